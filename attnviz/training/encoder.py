"""Training the built-in encoder: masked tokens, and the antecedent at each pronoun."""

import math
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy

from attnviz.reference.masks import padding
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config, Positions, transformer
from attnviz.training.batches import Batch, Places, Pronouns, batches
from attnviz.training.corpus import Split, examples
from attnviz.training.objectives import masked_scores, naming_scores

CONFIG = Config(width=96, layers=4, heads=6, positions=Positions.ROTARY, activation="relu")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and how fast to learn. `warm_up` is a share of the steps."""

    steps: int = 5000
    seed: int = 1
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warm_up: float = 0.05

    def pace(self, step: int) -> float:
        """The learning rate at a step, as a share of the full one: up in a line, then down in half a cosine."""
        return min(1.0, (step + 1) / (self.warm_up * self.steps)) * (1 + math.cos(math.pi * step / self.steps)) / 2


def train(tokenizer: Tokenizer, recipe: Recipe, progress: Progress) -> dict[str, NDArray[np.float16]]:
    """The learned arrays, by name, in half precision."""
    torch.manual_seed(recipe.seed)
    torch.use_deterministic_algorithms(True)
    weights = initial_weights(CONFIG, tokenizer.get_vocab_size())
    optimizer = torch.optim.AdamW(weights.values(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.pace)
    task = progress.add_task("training", total=recipe.steps)
    for batch in islice(batches(examples(Split.TRAIN, recipe.seed), tokenizer, recipe.seed), recipe.steps):
        masked, naming = losses(batch, Parameters(weights))
        optimizer.zero_grad()
        (masked + naming).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        schedule.step()
        progress.update(task, advance=1, description=f"masked {masked.item():.2f}, naming {naming.item():.3f}")
    return {name: array.detach().half().numpy() for name, array in weights.items()}


def initial_weights(config: Config, vocabulary: int) -> dict[str, torch.Tensor]:
    """Random matrices with variance 1/inputs; what adds to the residual stream is smaller the more layers there are."""
    width, inner = config.width, 4 * config.width
    residual = 1 / math.sqrt(2 * config.layers)
    arrays = {"embedding.weight": torch.randn(vocabulary, width) / math.sqrt(width)}
    for layer in range(config.layers):
        prefix = f"layers.{layer}"
        for part in ("query", "key", "value"):
            arrays |= _linear(f"{prefix}.attention.{part}", width, width)
        arrays |= _linear(f"{prefix}.attention.output", width, width, residual)
        arrays |= _linear(f"{prefix}.feed_forward.up", width, inner)
        arrays |= _linear(f"{prefix}.feed_forward.down", inner, width, residual)
        arrays |= _norm(f"{prefix}.attention_norm", width) | _norm(f"{prefix}.feed_forward_norm", width)
    arrays |= _norm("norm", width) | _linear("naming", width, width) | {"masked.bias": torch.zeros(vocabulary)}
    return {name: array.requires_grad_() for name, array in arrays.items()}


def _linear(name: str, inputs: int, outputs: int, scale: float = 1.0) -> dict[str, torch.Tensor]:
    weight = torch.randn(outputs, inputs) * scale / math.sqrt(inputs)
    return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(outputs)}


def _norm(name: str, width: int) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}


def losses(batch: Batch, parameters: Parameters) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of the masked tokens, and at each pronoun of the first piece of its antecedent."""
    ids, asked = torch.from_numpy(batch.ids), batch.pronouns
    vectors = transformer(ids, parameters, CONFIG, mask=padding(torch.from_numpy(batch.lengths)))
    masked = cross_entropy(masked_scores(_at(vectors, batch.masked), parameters), torch.from_numpy(batch.masked.ids))
    if not len(asked.rows):
        return masked, torch.zeros(())
    named = naming_scores(_at(vectors, asked), ids[torch.from_numpy(asked.rows)], parameters)  # [pronouns, tokens]
    return masked, cross_entropy(named, torch.from_numpy(asked.starts))


def _at(vectors: torch.Tensor, places: Places | Pronouns) -> torch.Tensor:
    return vectors[torch.from_numpy(places.rows), torch.from_numpy(places.columns)]
