"""What one writes without attnviz to see what *it* looks at: all weights of a model, through transformers."""

import sys

import torch
from transformers import AutoModel, AutoTokenizer

folder, sentence = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder, attn_implementation="eager")
inputs = tokenizer(sentence, return_tensors="pt")
with torch.no_grad():
    attentions = model(**inputs, output_attentions=True).attentions
weights = torch.stack(attentions)[:, 0]  # [layers, heads, queries, keys]
tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
query, key = tokens.index("it"), tokens.index("animal")
for layer, heads in enumerate(weights):
    for head, matrix in enumerate(heads):
        print(layer, head, f"{matrix[query, key]:.3f}")
