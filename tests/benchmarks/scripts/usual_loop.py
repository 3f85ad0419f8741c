"""How one would print the attention of many texts with transformers, a line of JSON each: FOLDER LINES."""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

folder, lines = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
for text in Path(lines).read_text(encoding="utf-8").splitlines():
    inputs = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs, output_attentions=True)
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    attention = [layer[0].tolist() for layer in outputs.attentions]
    print(json.dumps({"text": text, "tokens": tokens, "attention": attention}))
