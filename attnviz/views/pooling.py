"""Large matrices in few cells: of several numbers the one furthest from 0 stands for all, so that strong links show."""

from collections.abc import Sequence

import numpy as np

from attnviz.records import Weights


def shrink(numbers: Weights, rows: int, columns: int) -> Weights:
    """Return [..., queries, keys] in at most so many rows and columns, each of which stands for about as many."""
    for axis, most in ((-2, rows), (-1, columns)):
        count = numbers.shape[axis]
        if count > most:
            numbers = _keep_furthest(numbers, [cell * count // most for cell in range(most)], axis)
    return numbers


def pooled(numbers: Weights, pool: tuple[int, int]) -> Weights:
    """Return one number for each `pool` rows and columns: [..., queries, keys] -> [..., rows, columns]."""
    if numbers.ndim > 2 and pool != (1, 1):  # head by head, since all of them together are large
        return np.stack([pooled(each, pool) for each in numbers])
    for axis, length in zip((-2, -1), pool, strict=True):
        if length > 1:
            numbers = _keep_furthest(numbers, range(0, numbers.shape[axis], length), axis)
    return numbers


def _keep_furthest(numbers: Weights, starts: Sequence[int], axis: int) -> Weights:
    """Return the number furthest from 0 of each stretch along an axis that begins at one of these places."""
    most = np.maximum.reduceat(numbers, starts, axis)
    if numbers.min() >= 0:  # as weights are; to look through each stretch again takes longer
        return most
    least = np.minimum.reduceat(numbers, starts, axis)
    return np.where(most >= -least, most, least)
