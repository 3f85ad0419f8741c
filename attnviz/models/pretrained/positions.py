"""How much a model can read: as many tokens, and as many different ones, as its tables have rows."""

import re

from torch.nn import Embedding, Module
from transformers import PreTrainedModel

_TABLE = re.compile(r"(pos|wpe)(?!.*(rel|dist|type))", re.IGNORECASE)
"""The names of tables that have a row for each position, and not for each distance."""


_COMPUTED = ("embed_positions", "pos_encoding")
"""The names of tables that are computed once, for as many positions as the config says."""


def positions(network: PreTrainedModel) -> int | None:
    """The most tokens that the network can read; None if it has no table of positions that could be at an end."""
    said = getattr(network.config, "max_position_embeddings", None)
    elsewhere = tuple(f"{name}." for name, part in network.named_modules() if name and _sees(part))
    tables = [
        _rows(module)
        for name, module in network.named_modules()
        if _is_table(name, module) and not name.startswith(elsewhere)
    ]
    tables += [len(table) for name, table in network.named_buffers() if name.rpartition(".")[2] in _COMPUTED]
    if not tables:
        return None
    return min([*tables, said] if isinstance(said, int) and said > 0 else tables)


def vocabulary(network: PreTrainedModel) -> int | None:
    """How many different ids the network knows; None if it has no table of them (CANINE reads characters)."""
    try:
        size = getattr(network.get_input_embeddings(), "num_embeddings", None)
    except NotImplementedError:
        return None
    return size if isinstance(size, int) else None


def _sees(part: Module) -> bool:
    """Whether a part of the network reads pictures or sounds instead of text."""
    return isinstance(part, PreTrainedModel) and part.main_input_name != "input_ids"


def _is_table(name: str, module: Module) -> bool:
    return isinstance(module, Embedding) and bool(_TABLE.search(name.rpartition(".")[2]))


def _rows(table: Module) -> int:
    """How many positions a table has; RoBERTa and its like begin after the one for padding."""
    assert isinstance(table, Embedding)
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
