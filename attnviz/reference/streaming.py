"""Attention that streams over tiles of keys and never holds N×N weights (Dao et al. 2022, algorithm 1).

Softmax needs the largest score of a row and the sum of its exponentials, and both can be kept up to date while the
scores come by (Milakov and Gimelshein 2018, algorithm 3). Query tiles are the outer loop, as in Dao 2023, 3.1.
"""

import math

from msgspec import Struct

from attnviz.reference.arrays import Array, namespace
from attnviz.reference.scores import scaled_dot


class Running(Struct, frozen=True):
    """All that is kept of the keys that some query rows have seen so far."""

    maximum: Array  # [..., rows]: the largest score, -∞ before the first
    total: Array  # [..., rows]: Σ exp(score - maximum)
    weighted: Array  # [..., rows, d]: Σ exp(score - maximum) · value

    @classmethod
    def before(cls, q: Array, v: Array) -> "Running":
        """Return the state of queries q [..., rows, d] that have seen no key yet; v tells the width of values."""
        xp, rows = namespace(q), q.shape[:-1]
        zeros = xp.zeros((*rows, 1 + v.shape[-1]), dtype=q.dtype, device=q.device)
        return cls(zeros[..., 0] - math.inf, zeros[..., 0], zeros[..., 1:])

    def after(self, scores: Array, v: Array) -> "Running":
        """Return the state after some more keys: scores [..., rows, columns], values v [..., columns, d].

        A larger maximum shrinks what was summed below the old one.
        """
        xp = namespace(scores)
        maximum = xp.maximum(self.maximum, xp.max(scores, axis=-1))
        # -∞ - (-∞) is no number, while exp(-∞ - 0) is 0
        subtracted = xp.where(maximum == -math.inf, xp.zeros_like(maximum), maximum)
        shrink = xp.exp(self.maximum - subtracted)
        exponentials = xp.exp(scores - subtracted[..., None])
        total = self.total * shrink + xp.sum(exponentials, axis=-1)
        return Running(maximum, total, self.weighted * shrink[..., None] + exponentials @ v)

    @property
    def output(self) -> Array:
        """Return the average of the values seen so far [..., rows, d]; zeros where no key was allowed."""
        xp = namespace(self.total)
        return self.weighted / xp.where(self.total > 0, self.total, xp.ones_like(self.total))[..., None]

    @property
    def log_sum_exp(self) -> Array:
        """Return ln Σ exp(score) [..., rows]: a weight is exp(score - this). It is -∞ where no key was allowed."""
        xp = namespace(self.total)
        return self.maximum + xp.log(xp.where(self.total > 0, self.total, xp.ones_like(self.total)))


def online_attention(q: Array, k: Array, v: Array, *, tile: tuple[int, int] = (128, 128)) -> Array:
    """Return the output [..., q, d] of scaled dot-product attention, computed in tiles of (query rows, key columns)."""
    height, width = tile
    finished = []
    for first_query in range(0, q.shape[-2], height):
        rows = q[..., first_query : first_query + height, :]  # [..., height, d]
        running = Running.before(rows, v)
        for first_key in range(0, k.shape[-2], width):
            columns = slice(first_key, first_key + width)
            running = running.after(scaled_dot(rows, k[..., columns, :]), v[..., columns, :])
        finished.append(running.output)
    return namespace(q).concat(finished, axis=-2)
