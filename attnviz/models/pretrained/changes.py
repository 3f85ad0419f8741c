"""Changes to a network that are undone: those it makes while it runs, and those we make for a while.

Without this, BigBird would attend to all later texts as to the first short one.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch.nn import Module
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedConfig

_SIMPLE = (str, int, float, type(None))

NARROW = {
    **dict.fromkeys(("sliding_window", "sliding_window_size", "local_attention", "attention_chunk_size"), 3),
    **dict.fromkeys(("index_topk", "index_block_size", "block_size"), 2),
    **dict.fromkeys(("index_topk_blocks", "topk_blocks"), 1),
}
"""The fields of configs and modules that limit the keys a query sees, and the value of each in a narrowed network.

They are windows; the size of a block of keys; and the number of keys, or of blocks, that are chosen from all.
"""


@contextmanager
def keep_unchanged(network: Module) -> Iterator[None]:
    """Give every module its parts and its settings back, whatever runs meanwhile."""
    kept = [(module, dict(module._modules), _read_settings(module)) for module in network.modules()]
    try:
        yield
    finally:
        for module, parts, settings in kept:
            module._modules.clear()
            module._modules.update(parts)
            vars(module).update(settings)


def _read_settings(module: Module) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if isinstance(value, _SIMPLE)}


@contextmanager
def hold_hooks(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Keep hooks on modules meanwhile, by the handles that torch gives for them."""
    with ExitStack() as held:
        for handle in handles:
            held.enter_context(handle)
        yield


@contextmanager
def narrow(network: Module) -> Iterator[None]:
    """Let a network attend to a few tokens as it does to many: its windows and budgets end before they do."""
    wide = [
        (fields, name, fields[name]) for fields in _list_fields(network) for name in NARROW if _is_wide(fields, name)
    ]
    for fields, name, _ in wide:
        fields[name] = NARROW[name]
    try:
        yield
    finally:
        for fields, name, width in wide:
            fields[name] = width


def _list_fields(network: Module) -> list[dict[str, Any]]:
    """Return the attributes of all parts of a network and of their configs, each once."""
    parts = list(network.modules())
    configs = {id(config): config for part in parts if isinstance(config := vars(part).get("config"), PreTrainedConfig)}
    return [vars(owner) for owner in (*parts, *configs.values())]


def _is_wide(fields: dict[str, Any], name: str) -> bool:
    width = fields.get(name)
    return isinstance(width, int) and width > NARROW[name]
