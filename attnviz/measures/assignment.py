"""The assignment problem: partners for rows among columns, so that the sum of their costs is least."""

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Return rows and columns that are paired so that their costs [rows, columns] sum to the least possible.

    Each is paired at most once, and as many are as there are of the fewer. The method is that of shortest augmenting
    paths (Jonker and Volgenant 1987, "A shortest augmenting path algorithm for dense and sparse linear assignment
    problems"); the time is O(rows² · columns).

    Example:
        >>> assign(np.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0]]))
        ([0, 1], [1, 0])
    """
    if costs.shape[0] > costs.shape[1]:
        pairs = sorted(zip(*reversed(assign(costs.T)), strict=True))
        return [row for row, _ in pairs], [column for _, column in pairs]
    rows, columns = costs.shape
    potentials = np.zeros(rows), np.zeros(columns)
    partners = np.full(columns, -1)  # the row of each column
    for row in range(rows):
        _augment(costs, row, partners, *potentials)
    return list(range(rows)), [int(np.flatnonzero(partners == row)[0]) for row in range(rows)]


def _augment(
    costs: NDArray[np.float64],
    row: int,
    partners: NDArray[np.intp],
    of_rows: NDArray[np.float64],
    of_columns: NDArray[np.float64],
) -> None:
    """Pair one more row, along the shortest path to a column that is free; earlier pairs on the path are changed."""
    shortest = np.full(len(partners), np.inf)
    before = np.full(len(partners), -1)  # the column before each on its path
    reached = np.zeros(len(partners), np.bool_)
    distance, column, current = 0.0, -1, row
    while True:
        lengths = distance + costs[current] - of_rows[current] - of_columns
        shorter = ~reached & (lengths < shortest)
        shortest[shorter], before[shorter] = lengths[shorter], column
        column = int(np.argmin(np.where(reached, np.inf, shortest)))
        distance, reached[column] = shortest[column], True
        if partners[column] < 0:
            break
        current = partners[column]
    on_path = np.flatnonzero(reached & (partners >= 0))
    of_rows[row] += distance
    of_rows[partners[on_path]] += distance - shortest[on_path]
    of_columns[reached] -= distance - shortest[reached]
    while column >= 0:
        previous = before[column]
        partners[column] = row if previous < 0 else partners[previous]
        column = previous
