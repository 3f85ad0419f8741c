"""Our attention function in the place of a model's eager one, for as long as the model runs under it.

A model gets its attention function by name, and may do more by that name: models with sparse attention put the keys
that they leave out into the mask for some names, and hand them to the function for others. Ours takes the place of the
eager one under that very name, so that all else is as it is where the model returns its own weights.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import Module
from transformers import AttentionInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask

from attnviz.models.pretrained.attending import Attending, Attention
from attnviz.models.pretrained.masks import lazy_mask

EAGER = "eager"

Attend = Callable[[Attending], tuple[Tensor | None, None]]
_attend: ContextVar[Attend | None] = ContextVar("attend", default=None)


@contextmanager
def attending_by(attend: Attend) -> Iterator[None]:
    """Let models attend by this function instead of eagerly; those that run in other threads meanwhile do not."""
    token = _attend.set(attend)
    try:
        yield
    finally:
        _attend.reset(token)


_by_name = AttentionInterface.get_interface


def _get_interface(interface: AttentionInterface, attn_implementation: str, default: Attention) -> Attention:
    """Return the attention function of this name, `default` being the model's eager one."""
    attend = _attend.get()
    if attend is None or attn_implementation != EAGER:
        return _by_name(interface, attn_implementation, default)
    return partial(_attention, attend, default)


def _attention(
    attend: Attend,
    own: Attention,
    module: Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor | None, None]:
    """Attend as transformers asks an attention function to."""
    return attend(Attending(module, query, key, value, attention_mask, options, own))


def _mask(**arguments: Any) -> Tensor | None:
    return (eager_mask if _attend.get() is None else lazy_mask)(**arguments)


AttentionInterface.get_interface = _get_interface  # type: ignore[assignment]  # a parameter has another name than self
ALL_MASK_ATTENTION_FUNCTIONS[EAGER] = _mask
