"""The records that modules of views show when they are run, as in `python -m attnviz.views.terminal.matrix`."""

import sys
from pathlib import Path

import numpy as np

from attnviz.costs.measurement import Experiment, Point, Series
from attnviz.records import Attention

_NAMES = "Mary", "lost", "her", "old", "keys"
_LOOKED_AT = [
    [[0, 0, 1, 2, 3], [1, 2, 3, 4, 4], [0, 1, 2, 3, 4]],  # the token before, the token after, the token itself
    [[0, 0, 0, 0, 0], [1, 4, 4, 4, 1], [1, 1, 0, 4, 2]],  # the first token, verb and object, "her" to "Mary"
]
"""The key that each query looks at most: [layers, heads, queries]."""


def example_attention() -> Attention:
    """Return made-up attention of 2 layers with 3 heads each, whose queries look mostly at one key."""
    count = len(_NAMES)
    weights = 0.7 * np.eye(count)[_LOOKED_AT] + 0.3 / count  # [layers, heads, queries, keys]
    return Attention.from_array(weights.astype(np.float32), _NAMES, model="an example")


def example_experiment() -> Experiment:
    """Return a made-up measurement: two methods whose time grows as N², one of which holds N×N numbers."""
    sizes = [2**power for power in range(7, 12)]
    points = [Point(size, 2e-9 * size**2, 4 * size**2) for size in sizes]
    tiled = [Point(size, 3e-9 * size**2, 4 * 64 * size) for size in sizes]
    naive = Series(method="naive", points=(*points,), noise=0, time_exponent=2.0, memory_exponent=2.0)
    online = Series(method="online softmax", points=(*tiled,), noise=0, time_exponent=2.0, memory_exponent=1.0)
    return Experiment(title="Attention", variable="N", fixed="d = 64", series=(naive, online))


def write_example(data: bytes, name: str) -> None:
    """Write a picture or a page to the path that is the program's first argument, else to `name`; say where it is."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else name)
    path.write_bytes(data)
    sys.stdout.write(f"{path}\n")
