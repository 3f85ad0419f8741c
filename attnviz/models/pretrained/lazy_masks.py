"""Masks that are not computed until somebody looks at them, so that a mask is never stored for all query rows."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils._pytree import tree_map
from transformers.masking_utils import eager_mask, sdpa_mask


class Recipe:
    """The recipe of a mask: the arguments of `eager_mask`."""

    def __init__(self, **arguments: Any) -> None:
        self.keys: int = arguments["kv_length"]
        self.arguments = arguments | {"attention_mask": _find_padding(arguments["attention_mask"], self.keys)}
        self._seen: dict[range, range] = {}

    @cached_property
    def is_causal(self) -> bool:
        """Return whether it hides only the keys after each query, which fused attention does by itself."""
        window = self.arguments.get("local_size")
        return (
            bool(self.arguments.get("allow_is_causal_skip"))
            and self.arguments["q_length"] == self.keys
            and (window is None or window > self.keys)
            and self.arguments["attention_mask"] is None
        )

    def seen_by(self, rows: range) -> range:
        """Return the keys from the first to the last that these rows can see; found once for all layers that ask."""
        if self.is_causal:
            return range(rows.stop)
        if rows not in self._seen:
            self._seen[rows] = self._find_seen(rows)
        return self._seen[rows]

    def allowed(self, rows: range, keys: range) -> Tensor:
        """Return whether a query may look at a key: [texts, 1, rows, keys]."""
        recipe = self.arguments
        allowed = sdpa_mask(
            **recipe
            | {"q_offset": recipe["q_offset"] + rows.start, "q_length": len(rows)}
            | {"kv_offset": recipe["kv_offset"] + keys.start, "kv_length": len(keys)}
            | {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
        )
        assert allowed is not None  # no skipping was allowed
        return allowed

    def _find_seen(self, rows: range) -> range:
        allowed = self.allowed(rows, range(self.keys))
        if not allowed.any(-1).all():  # a row that sees nothing is spread evenly over all keys
            return range(self.keys)
        seen = allowed.flatten(0, -2).any(0).nonzero()
        return range(int(seen[0]), int(seen[-1]) + 1)


class LazyMask(Tensor):
    """An additive mask that `eager_mask` makes only when it must: [texts, 1, queries, keys], 0 where a key can be seen.

    To a model it is a tensor like any other: an operation on it computes it. Only our attention function knows how to
    ask it for some rows.
    """

    recipe: Recipe

    @staticmethod
    def __new__(cls, recipe: Recipe) -> "LazyMask":
        """Return a tensor of that shape without any storage."""
        made = recipe.arguments
        shape = made["batch_size"], 1, made["q_length"], made["kv_length"]
        mask: LazyMask = Tensor._make_wrapper_subclass(cls, shape, dtype=made["dtype"], device=made["device"])
        mask.recipe = recipe
        return mask

    def rows(self, rows: range) -> tuple[Tensor, range]:
        """Return the mask of some query rows, and the keys that these can see.

        The mask [texts, 1, rows, last keys] leaves out those first ones of these keys that all of the rows can see.
        """
        keys = self.recipe.seen_by(rows)
        allowed = self.recipe.allowed(rows, rows if self.recipe.is_causal else keys)
        hidden = torch.finfo(self.dtype).min
        return torch.where(allowed, torch.zeros((), dtype=self.dtype, device=allowed.device), hidden), keys

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch types it as an instance method
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute the mask where a model does more with it than look at its shape or take all of it."""
        if _takes_all(func, args):
            return LazyMask(args[0].recipe)
        return func(*tree_map(_compute, args), **tree_map(_compute, kwargs or {}))


def make_lazy_mask(**arguments: Any) -> LazyMask | None:
    """Return what models are given instead of a mask; None where `eager_mask` would give none."""
    if arguments.get("allow_is_bidirectional_skip") and eager_mask(**arguments | {"q_length": 1}) is None:
        return None
    return LazyMask(Recipe(**arguments))


def cut_mask(mask: Tensor | None, rows: range, keys: int) -> tuple[Tensor | None, range]:
    """Return some query rows of any mask that a model may pass on, and which of its keys they can see."""
    if isinstance(mask, LazyMask):
        return mask.rows(rows)
    if mask is None or mask.ndim < 2 or mask.shape[-2] == 1:
        return mask, range(keys)
    return mask[..., rows.start : rows.stop, :], range(keys)


def find_seen(mask: Tensor | None, rows: range, keys: int) -> range:
    """Return which of all keys some query rows can see."""
    return mask.recipe.seen_by(rows) if isinstance(mask, LazyMask) else range(keys)


def widen(mask: Tensor | None, keys: int) -> Tensor | None:
    """Return a mask of the last of so many keys as one of all of them."""
    if mask is None or isinstance(mask, LazyMask) or mask.shape[-1] == keys:
        return mask
    return pad(mask, (keys - mask.shape[-1], 0))


def _find_padding(padding: Tensor | None, keys: int) -> Tensor | None:
    """Return which keys are padding, if any are."""
    needless = padding is not None and padding.shape[-1] == keys and bool(padding.all())
    return None if needless else padding


def _compute(value: Any) -> Any:
    return eager_mask(**value.recipe.arguments) if isinstance(value, LazyMask) else value


def _takes_all(func: Any, args: tuple[Any, ...]) -> bool:
    """Return whether an operation leaves the mask as it is: `mask[:, :, :, :keys]` with all keys."""
    if not args or not isinstance(args[0], LazyMask):
        return False
    if func is torch.ops.aten.slice.Tensor:
        dim, start, end = args[1], args[2], args[3]
        return not start and (end is None or end >= args[0].shape[dim])
    return func in (torch.ops.aten.detach.default, torch.ops.aten.alias.default)
