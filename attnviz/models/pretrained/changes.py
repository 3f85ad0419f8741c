"""Models that change while they run: BigBird, which for good attends to all texts as it does to a short one it met."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch.nn import Module

_SIMPLE = (str, int, float, type(None))


@contextmanager
def unchanged(network: Module) -> Iterator[None]:
    """Give every module its parts and its settings back, whatever runs meanwhile."""
    kept = [(module, dict(module._modules), _settings(module)) for module in network.modules()]
    try:
        yield
    finally:
        for module, parts, settings in kept:
            module._modules.clear()
            module._modules.update(parts)
            vars(module).update(settings)


def _settings(module: Module) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if isinstance(value, _SIMPLE)}
