"""The capacity of a model: how many tokens it can read, and how many different ones, by the rows of its tables."""

import re

from torch import Tensor
from torch.nn import Embedding, Module
from transformers import PreTrainedModel

from attnviz.models.pretrained.changes import hold_hooks
from attnviz.models.pretrained.places import Inputs

_TABLE = re.compile(r"(pos|wpe)(?!.*(rel|dist|type))", re.IGNORECASE)
"""The names of tables that have a row for each position, and not for each distance."""


_COMPUTED = ("embed_positions", "pos_encoding")
"""The names of tables that are computed once, for as many positions as the config says."""


def count_positions(network: PreTrainedModel, inputs: Inputs) -> int | None:
    """Return the most tokens that the network can read; None if it has no table of positions that could be at an end.

    Where it has parts that read pictures or sounds, only those tables count that these inputs, a text, pass through.
    """
    said = getattr(network.config, "max_position_embeddings", None)
    tables: list[tuple[Module, int]] = [
        (module, _count_rows(module))
        for name, module in network.named_modules()
        if isinstance(module, Embedding) and _TABLE.search(name.rpartition(".")[2])
    ]
    tables += [
        (network.get_submodule(name.rpartition(".")[0]), len(table))
        for name, table in network.named_buffers()
        if name.rpartition(".")[2] in _COMPUTED
    ]
    if tables and has_other_parts(network):
        passed = _find_passed(network, {module for module, _ in tables}, inputs)
        tables = [(module, rows) for module, rows in tables if module in passed]
    sizes = [rows for _, rows in tables]
    if not sizes:
        return None
    return min([*sizes, said] if isinstance(said, int) and said > 0 else sizes)


def has_other_parts(network: PreTrainedModel) -> bool:
    """Return whether a network has a part that is no part of its reading of text, as its config says."""
    return network.config.get_text_config() is not network.config or any(
        part.main_input_name != "input_ids" for part in network.modules() if isinstance(part, PreTrainedModel)
    )


def _find_passed(network: PreTrainedModel, modules: set[Module], inputs: Inputs) -> set[Module]:
    """Return which of these modules make something for each token of a text that the network runs on."""
    passed: set[Module] = set()
    counts = {ids.shape[1] for name, ids in inputs.items() if name.endswith("input_ids")}

    def hook(module: Module, args: object, output: object) -> None:
        made = [each for each in (output if isinstance(output, tuple) else (output,)) if isinstance(each, Tensor)]
        if any(each.ndim > 1 and counts & set(each.shape[:-1]) for each in made):
            passed.add(module)

    with hold_hooks(module.register_forward_hook(hook) for module in modules):
        network(**inputs)
    return passed


def count_vocabulary(network: PreTrainedModel) -> int | None:
    """Return how many different ids the network knows; None if it has no table of them (CANINE reads characters)."""
    try:
        size = getattr(network.get_input_embeddings(), "num_embeddings", None)
    except NotImplementedError:  # so transformers says that a network has no such table
        return None
    return size if isinstance(size, int) else None


def _count_rows(table: Embedding) -> int:
    """Return how many positions a table has; RoBERTa and its like begin after the one for padding."""
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
