"""Attention as most models compute it, in as few passes over the weights as that takes.

The eager functions of transformers make a new matrix each for scaling, masking and softmax, and repeat keys for the
heads that share them. Where a model's own function computes nothing else, which the survey finds out, this one is used.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module


def in_few_passes(
    module: Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """The output [texts, queries, heads, d] and the weights [texts, heads, queries, keys].

    `query` is [texts, heads, queries, d], `key` and `value` are [texts, groups, keys, d]. The mask may be that of the
    last keys only, where those before them are seen by every query.
    """
    texts, heads, queries, depth = query.shape
    _, groups, keys, _ = key.shape
    scale = depth**-0.5 if scaling is None else scaling
    asking = (query * scale).reshape(texts * groups, -1, depth)  # the heads of a group below each other
    weights = asking.bmm(key.reshape(texts * groups, keys, depth).mT)  # [texts · groups, heads of one · queries, keys]
    apart = weights.view(texts, heads, queries, keys)
    if attention_mask is not None:
        apart[..., keys - attention_mask.shape[-1] :] += attention_mask
    torch.softmax(weights, -1, out=weights)
    mixed = weights.bmm(value.reshape(texts * groups, keys, -1)).view(texts, heads, queries, -1)
    return mixed.transpose(1, 2), apart
