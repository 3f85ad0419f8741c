"""Windows, chunks and budgets of keys, made so small that even a few tokens go beyond them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn import Module
from transformers import PreTrainedConfig

FEW = 3
"""How many tokens there are in a window, a chunk, a block or a budget that is narrowed."""

_WIDTHS = (
    *("sliding_window", "sliding_window_size", "local_attention", "attention_chunk_size"),
    *("index_topk", "index_block_size", "index_topk_blocks", "block_size", "topk_blocks"),
)
"""What configs and modules call the number of neighbouring keys that a query sees, or of those chosen from all keys."""


@contextmanager
def narrowed(network: Module) -> Iterator[None]:
    """Let a network attend to a few tokens as it does to many: its windows and budgets end before they do."""
    wide = [(fields, name, fields[name]) for fields in _fields(network) for name in _WIDTHS if _is_wide(fields, name)]
    for fields, name, _ in wide:
        fields[name] = FEW
    try:
        yield
    finally:
        for fields, name, width in wide:
            fields[name] = width


def _fields(network: Module) -> list[dict[str, Any]]:
    """The attributes of all parts of a network and of their configs, each once."""
    parts = list(network.modules())
    configs = {id(config): config for part in parts if isinstance(config := vars(part).get("config"), PreTrainedConfig)}
    return [vars(owner) for owner in (*parts, *configs.values())]


def _is_wide(fields: dict[str, Any], name: str) -> bool:
    width = fields.get(name)
    return isinstance(width, int) and width > FEW
