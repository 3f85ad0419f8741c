"""A checkpoint of the shape of Llama 3.2 1B, in bfloat16: all zeros, in a sparse file that takes no room on disk."""

import json
import math
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

_WIDTH, _INNER, _LAYERS, _HEADS, _KEY_HEADS, _VOCABULARY = 2048, 8192, 16, 32, 8, 128_256
_HEAD_WIDTH = _WIDTH // _HEADS
_LAYER = {
    "input_layernorm": (_WIDTH,),
    "self_attn.q_proj": (_WIDTH, _WIDTH),
    "self_attn.k_proj": (_KEY_HEADS * _HEAD_WIDTH, _WIDTH),
    "self_attn.v_proj": (_KEY_HEADS * _HEAD_WIDTH, _WIDTH),
    "self_attn.o_proj": (_WIDTH, _WIDTH),
    "post_attention_layernorm": (_WIDTH,),
    "mlp.gate_proj": (_INNER, _WIDTH),
    "mlp.up_proj": (_INNER, _WIDTH),
    "mlp.down_proj": (_WIDTH, _INNER),
}
_CONFIG = {
    "model_type": "llama",
    "hidden_size": _WIDTH,
    "intermediate_size": _INNER,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "num_key_value_heads": _KEY_HEADS,
    "vocab_size": _VOCABULARY,
    "tie_word_embeddings": True,
}
_BYTES = 2  # of a bfloat16


def write_checkpoint(folder: Path) -> int:
    """Writes it; how many parameters it has."""
    folder.mkdir(exist_ok=True)
    shapes = {f"model.layers.{n}.{part}.weight": shape for n in range(_LAYERS) for part, shape in _LAYER.items()}
    shapes |= {"model.embed_tokens.weight": (_VOCABULARY, _WIDTH), "model.norm.weight": (_WIDTH,)}
    header, end = dict[str, object](), 0
    for name, shape in shapes.items():
        start, end = end, end + _BYTES * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    raw = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + end)
    (folder / "config.json").write_text(json.dumps(_CONFIG), encoding="utf-8")
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return end // _BYTES
