"""The methods that are measured: ways to attend, and ways to score, each on one head of random float32 vectors."""

from collections.abc import Callable, Mapping
from typing import Any

Work = Callable[[], object]
"""Something to be done again and again."""

Prepare = Callable[[int, int], Work]
"""A function that makes the work for a number of tokens and a width of vectors, with all its inputs at hand."""

_SEED = 7


def _prepare_naive(tokens: int, width: int) -> Work:
    from attnviz.reference.scores import attention

    vectors = _draw_vectors(3, tokens, width)
    return lambda: attention(*vectors)[1]


def _prepare_online(tokens: int, width: int) -> Work:
    from attnviz.reference.streaming import online_attention

    vectors = _draw_vectors(3, tokens, width)
    return lambda: online_attention(*vectors)


def _prepare_fused(tokens: int, width: int) -> Work:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    torch.set_num_threads(1)
    vectors = torch.from_numpy(_draw_vectors(3, tokens, width))[:, None, None]
    q, k, v = vectors  # [1, 1, tokens, width] each

    def attend() -> object:
        with torch.inference_mode(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return scaled_dot_product_attention(q, k, v)

    return attend


def _prepare_scoring(name: str) -> Prepare:
    """Prepare scores of a function in `SCORES`, with random parameters."""

    def prepare(tokens: int, width: int) -> Work:
        from attnviz.reference.scores import SCORES, draw_parameters

        q, k = _draw_vectors(2, tokens, width)
        parameters = draw_parameters(name, width, width, tokens, _SEED)
        return lambda: SCORES[name](q, k, parameters)

    return prepare


def _draw_vectors(count: int, tokens: int, width: int) -> Any:
    """Return random float32 vectors [count, tokens, width]."""
    import numpy as np

    return np.random.default_rng(_SEED).standard_normal((count, tokens, width), np.float32)


ATTENDING: Mapping[str, Prepare] = {
    "naive": _prepare_naive,
    "online softmax": _prepare_online,
    "PyTorch fused": _prepare_fused,
}
SCORING: Mapping[str, Prepare] = {
    "dot product": _prepare_scoring("scaled-dot"),
    "additive": _prepare_scoring("additive"),
}
METHODS: Mapping[str, Prepare] = {**ATTENDING, **SCORING}
"""The methods, by the names that tables and pictures show."""
