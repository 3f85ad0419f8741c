"""The training of a built-in model: a recipe, and the steps of gradient descent that it prescribes."""

import math
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from rich.progress import Progress

from attnviz.reference.parameters import Parameters

Weights = dict[str, torch.Tensor]
Learned = dict[str, NDArray[np.float16]]
Losses = dict[str, torch.Tensor]
"""What is made small, by name; the sum is what counts."""

Batch = TypeVar("Batch")


class Recipe(Struct, frozen=True, kw_only=True):
    """A recipe: how long and how fast to learn. `warm_up` is a share of the steps."""

    steps: int = 5000
    seed: int = 1
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warm_up: float = 0.05

    def pace(self, step: int) -> float:
        """Return the learning rate at a step, as a share of the full one: up in a line, then down in half a cosine."""
        return min(1.0, (step + 1) / (self.warm_up * self.steps)) * (1 + math.cos(math.pi * step / self.steps)) / 2


def fit(
    weights: Weights,
    batches: Iterable[Batch],
    losses: Callable[[Batch, Parameters], Losses],
    recipe: Recipe,
    progress: Progress,
) -> Learned:
    """Return the learned arrays, by name, in half precision."""
    torch.use_deterministic_algorithms(True)
    optimizer = torch.optim.AdamW(weights.values(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.pace)
    task = progress.add_task("training", total=recipe.steps)
    for batch in islice(batches, recipe.steps):
        parts = losses(batch, Parameters(weights))
        optimizer.zero_grad()
        torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        schedule.step()
        said = ", ".join(f"{name} {part.item():.3f}" for name, part in parts.items())
        progress.update(task, advance=1, description=said)
    return {name: array.detach().half().numpy() for name, array in weights.items()}
