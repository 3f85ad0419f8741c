"""Attention that streams over tiles of keys and never holds N×N weights (Dao et al. 2022, algorithm 1).

Softmax needs the largest score of a row and the sum of its exponentials, and both can be kept up to date while the
scores come by (Milakov and Gimelshein 2018, algorithm 3). Query tiles are the outer loop, as in Dao 2023, 3.1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from attnviz.reference.arrays import Array, namespace
from attnviz.reference.masks import Mask
from attnviz.reference.scores import masked, scaled_dot


@dataclass(frozen=True, slots=True)
class Running:
    """All that is kept of the keys that some query rows have seen so far."""

    maximum: Array  # [..., rows]: the largest score, -∞ before the first
    total: Array  # [..., rows]: Σ exp(score - maximum)
    weighted: Array  # [..., rows, d]: Σ exp(score - maximum) · value

    @classmethod
    def before(cls, queries: Array, values: Array) -> "Running":
        """What queries [..., rows, d] know before they have seen any key."""
        xp, rows = namespace(queries), queries.shape[:-1]
        zeros = xp.zeros((*rows, 1 + values.shape[-1]), dtype=queries.dtype, device=queries.device)
        return cls(zeros[..., 0] - math.inf, zeros[..., 0], zeros[..., 1:])

    def after(self, scores: Array, values: Array) -> "Running":
        """What they know when they have seen some more: scores [..., rows, columns], values [..., columns, d].

        A larger maximum shrinks what was summed below the old one.
        """
        xp = namespace(scores)
        maximum = xp.maximum(self.maximum, xp.max(scores, axis=-1))
        subtracted = _finite(maximum)
        shrink = xp.exp(self.maximum - subtracted)
        exponentials = xp.exp(scores - subtracted[..., None])
        total = self.total * shrink + xp.sum(exponentials, axis=-1)
        return Running(maximum, total, self.weighted * shrink[..., None] + exponentials @ values)

    @property
    def output(self) -> Array:
        """The average of the values seen so far [..., rows, d]; zeros where none was allowed."""
        xp = namespace(self.total)
        return self.weighted / xp.where(self.total > 0, self.total, xp.ones_like(self.total))[..., None]

    @property
    def log_sum_exp(self) -> Array:
        """Ln Σ exp(score) [..., rows]; -∞ where no key was allowed."""
        xp = namespace(self.total)
        return self.maximum + xp.log(xp.where(self.total > 0, self.total, xp.ones_like(self.total)))


Watch = Callable[[int, int, Running], None]
"""Is shown what is known after each tile, with the indices of the tile's first query and first key."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """The output [..., q, d] of attention, and ln Σ exp(score) [..., q], from which any weight can be had again."""

    output: Array
    log_sum_exp: Array


def online_attention(
    queries: Array,
    keys: Array,
    values: Array,
    *,
    tile: tuple[int, int] = (128, 128),
    mask: Mask | None = None,
    watch: Watch = lambda first_query, first_key, running: None,
) -> Streamed:
    """Scaled dot-product attention, a tile of (query rows, key columns) at a time: the output [..., q, d].

    What comes out is `attention`'s output, but for queries that may look at nothing: they get zeros.
    """
    xp, (height, width) = namespace(queries), tile
    finished = []
    for first_query in range(0, queries.shape[-2], height):
        rows = slice(first_query, first_query + height)
        running = Running.before(queries[..., rows, :], values)
        for first_key in range(0, keys.shape[-2], width):
            columns = slice(first_key, first_key + width)
            running = running.after(_scores(queries, keys, rows, columns, mask), values[..., columns, :])
            watch(first_query, first_key, running)
        finished.append(running)
    output = xp.concat([running.output for running in finished], axis=-2)
    return Streamed(output, xp.concat([running.log_sum_exp for running in finished], axis=-1))


def tile_weights(
    queries: Array, keys: Array, log_sum_exp: Array, rows: slice, columns: slice, mask: Mask | None = None
) -> Array:
    """The weights [..., rows, columns] of any tile, exp(score - log-sum-exp), without those beside it.

    This is how the backward pass has them again (Dao et al. 2022, appendix B.2). Queries that may look at nothing
    have weights of 0.
    """
    scores = _scores(queries, keys, rows, columns, mask)
    return namespace(scores).exp(scores - _finite(log_sum_exp[..., rows])[..., None])


def _scores(queries: Array, keys: Array, rows: slice, columns: slice, mask: Mask | None) -> Array:
    """The scores of one tile [..., rows, columns], -∞ where the mask forbids."""
    scores = scaled_dot(queries[..., rows, :], keys[..., columns, :])
    if mask is None:
        return scores
    xp = namespace(queries)
    asking = xp.arange(queries.shape[-2], device=queries.device)[rows]
    asked = xp.arange(keys.shape[-2], device=queries.device)[columns]
    return masked(scores, mask(asking[:, None], asked[None, :]))


def _finite(x: Array) -> Array:
    """0 in place of -∞, since -∞ - (-∞) is no number, while exp(-∞ - 0) is 0."""
    xp = namespace(x)
    return xp.where(x == -math.inf, xp.zeros_like(x), x)
