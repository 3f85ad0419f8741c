"""The obvious way to do the same: `naive_figures LINES FOLDER`."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from tests.benchmarks.scripts.example import heads

lines, folder = map(Path, sys.argv[1:])
folder.mkdir(exist_ok=True)
for number, (names, weights) in enumerate(heads(lines)):
    figure, axis = plt.subplots()
    image = axis.imshow(weights)
    axis.set_xticks(range(len(names)), names, rotation=90)
    axis.set_yticks(range(len(names)), names)
    figure.colorbar(image)
    figure.tight_layout()
    figure.savefig(folder / f"{number:03}.png")
    plt.close(figure)
