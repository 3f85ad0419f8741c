"""The obvious way to draw all heads: a subplot for each, two inches wide so that its labels can be read."""

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from tests.benchmarks.scripts.example import HEADS, LAYERS, TOKENS, weights

figure, axes = plt.subplots(LAYERS, HEADS, figsize=(2 * HEADS, 2 * LAYERS))
for layer, heads in enumerate(weights()):
    for head, matrix in enumerate(heads):
        axis = axes[layer, head]
        axis.imshow(matrix)
        axis.set_xticks(range(len(TOKENS)), TOKENS, rotation=90, fontsize=5)
        axis.set_yticks(range(len(TOKENS)), TOKENS, fontsize=5)
plt.savefig(sys.argv[1])
