"""Masks that are not computed until somebody looks at them, so that a mask is never stored for all query rows."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from transformers.masking_utils import eager_mask, sdpa_mask


class LazyMask(Tensor):
    """What `eager_mask` would make of a recipe: an additive mask [1, 1, queries, keys], 0 where a key can be seen.

    To a model it is a tensor like any other: an operation on it computes it. Only our attention function knows how to
    ask it for some rows.
    """

    recipe: dict[str, Any]

    @staticmethod
    def __new__(cls, recipe: dict[str, Any]) -> "LazyMask":
        """A tensor of that shape without any storage."""
        shape = recipe["batch_size"], 1, recipe["q_length"], recipe["kv_length"]
        mask: LazyMask = Tensor._make_wrapper_subclass(cls, shape, dtype=recipe["dtype"], device=recipe["device"])
        mask.recipe = recipe
        return mask

    def rows(self, first: int, last: int) -> tuple[Tensor, int]:
        """The mask [1, 1, rows, keys] of some query rows, and how many keys it has: those up to the last one seen."""
        recipe = self.recipe | {"q_offset": self.recipe["q_offset"] + first, "q_length": last - first}
        seen = sdpa_mask(**recipe | {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False})
        assert seen is not None  # no skipping was allowed
        keys = seen.shape[-1]
        if seen.any(-1).all():  # a row that sees nothing is spread evenly over all keys
            keys = int(seen.any(-2).flatten(0, -2).any(0).nonzero()[-1]) + 1
        hidden = torch.finfo(self.dtype).min
        return torch.where(seen[..., :keys], torch.zeros((), dtype=self.dtype, device=seen.device), hidden), keys

    def needless(self) -> bool:
        """Whether it hides nothing but the keys after each query, which fused attention does by itself."""
        recipe = self.recipe
        window, padding = recipe.get("local_size"), recipe["attention_mask"]
        return (
            bool(recipe.get("allow_is_causal_skip"))
            and recipe["q_length"] == recipe["kv_length"]
            and (window is None or window > recipe["kv_length"])
            and (padding is None or bool(padding.all()))
        )

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch types it as an instance method
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Computes the mask where a model does more with it than look at its shape or take all of it."""
        if _takes_all(func, args):
            return LazyMask(args[0].recipe)
        return func(*tree_map(_computed, args), **tree_map(_computed, kwargs or {}))


def lazy_mask(**recipe: Any) -> LazyMask | None:
    """What models are given instead of a mask; None where `eager_mask` would give none."""
    if recipe.get("allow_is_bidirectional_skip") and eager_mask(**recipe | {"q_length": 1}) is None:
        return None
    return LazyMask(recipe)


def mask_rows(mask: Tensor | None, first: int, last: int, keys: int) -> tuple[Tensor | None, int]:
    """Some query rows of any mask that a model may pass on, and how many of its keys they can see."""
    if isinstance(mask, LazyMask):
        return mask.rows(first, last)
    if mask is None or mask.ndim < 2 or mask.shape[-2] == 1:
        return mask, keys
    return mask[..., first:last, :], keys


def _computed(value: Any) -> Any:
    return eager_mask(**value.recipe) if isinstance(value, LazyMask) else value


def _takes_all(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether an operation leaves the mask as it is: `mask[:, :, :, :keys]` with all keys."""
    if not args or not isinstance(args[0], LazyMask):
        return False
    if func is torch.ops.aten.slice.Tensor:
        dim, start, end = args[1], args[2], args[3]
        return not start and (end is None or end >= args[0].shape[dim])
    return func in (torch.ops.aten.detach.default, torch.ops.aten.alias.default)
