"""The evaluation of the built-in encoder on texts that it was not trained on, from its shipped weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attnviz.models.builtin.encoder import load
from attnviz.models.builtin.package import Package
from attnviz.models.model import Model
from attnviz.models.stack_runner import StackRunner
from attnviz.reference.masks import padding
from attnviz.reference.transformer import transformer
from attnviz.training.corpus import Example, Split, examples
from attnviz.training.encoder.batches import Batch, Places, Pronouns, masked, padded
from attnviz.training.encoder.objectives import masked_scores, naming_scores
from attnviz.training.encoder.roles import RoleTally, Shares

DEMO = "The animal didn't cross the street because it was too {}"
_SEED = 2
_TOGETHER = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The measurements on held-out texts; all accuracies and shares are between 0 and 1.

    `roles` says how often each head fills each role, `demo` what weight each head gives from *it* to *animal* and to
    *street* in the two sentences of `DEMO`.
    """

    texts: int
    pronouns: int
    named: float
    masked: float
    roles: dict[str, Shares]
    demo: dict[str, dict[str, Shares]]


def evaluate(folder: Path, texts: int) -> Figures:
    """Return all figures of the encoder in a folder, on the first `texts` held-out examples."""
    model, package = load(folder), Package.of(folder)
    held_out = list(islice(examples(Split.TEST, _SEED), texts))
    tally = RoleTally()
    for example in held_out:
        tally.add(example, model.attend(example.text)[0])
    named, guessed = zip(*(_hits(package, batch) for batch in _batches(package, held_out)), strict=True)
    return Figures(
        texts=texts,
        pronouns=sum(map(len, named)),
        named=float(np.concatenate(named).mean()),
        masked=float(np.concatenate(guessed).mean()),
        roles=tally.shares(),
        demo={adjective: _demo(model, adjective) for adjective in ("tired", "wide")},
    )


def _batches(package: Package, held_out: list[Example]) -> Iterator[tuple[Batch, Batch]]:
    """Yield the texts as they are, and with some of their tokens hidden."""
    noise, tokenizer = np.random.default_rng(_SEED), package.text.tokenizer
    for first in range(0, len(held_out), _TOGETHER):
        whole = padded(held_out[first : first + _TOGETHER], tokenizer)
        yield whole, masked(whole, tokenizer, noise)


def _hits(package: Package, batches: tuple[Batch, Batch]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """At which pronouns the antecedent is what the model names first, and which hidden tokens it guesses."""
    whole, hidden = batches
    asked, texts = whole.pronouns, whole.ids[whole.pronouns.rows]  # [pronouns, tokens]
    scores = naming_scores(_read(package.stack, whole, asked), texts, package.parameters)
    named = scores.argmax(-1)  # [pronouns]
    guessed = masked_scores(_read(package.stack, hidden, hidden.masked), package.parameters).argmax(-1)
    return (asked.starts <= named) & (named < asked.ends), guessed == hidden.masked.ids


def _read(stack: StackRunner, batch: Batch, places: Places | Pronouns) -> NDArray[np.float32]:
    vectors = transformer(batch.ids, stack.parameters, stack.shape, mask=padding(batch.lengths))
    read: NDArray[np.float32] = vectors[places.rows, places.columns]  # [places, width]
    return read


def _demo(model: Model, adjective: str) -> dict[str, Shares]:
    attention = model.attend(DEMO.format(adjective))[0]
    (pronoun,) = attention.words("it")
    weights = attention.looks_at(pronoun)  # [layers, heads, keys]
    return {
        noun: weights[..., list(word.keys)].sum(-1).astype(float)
        for noun in ("animal", "street")
        for word in attention.words(noun)
    }
