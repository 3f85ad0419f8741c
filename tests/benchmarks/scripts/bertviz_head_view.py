"""What one writes to keep BertViz's head view of a text, all heads of a model, as a file."""

import sys
from pathlib import Path

import torch
from bertviz import head_view
from transformers import AutoModel, AutoTokenizer

folder, text, output = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModel.from_pretrained(folder, attn_implementation="eager")
inputs = tokenizer(text, return_tensors="pt")
with torch.no_grad():
    attentions = model(**inputs, output_attentions=True).attentions
tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
Path(output).write_text(head_view(attentions, tokens, html_action="return").data, encoding="utf-8")
