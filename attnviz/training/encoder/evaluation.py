"""The evaluation of the built-in encoder on texts that it was not trained on, from its shipped weights."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.models.builtin.package import Package
from attnviz.models.builtin.stack import load
from attnviz.models.model import Model
from attnviz.models.passages import Passage
from attnviz.models.stack_runner import StackRunner
from attnviz.records import Attention, require_record
from attnviz.reference.masks import padding
from attnviz.reference.transformer import transformer
from attnviz.training.corpus import Example, Split, examples
from attnviz.training.corpus.handwritten import SETS, HandWritten, read_sentences
from attnviz.training.encoder.batches import Batch, Places, Pronouns, masked, padded
from attnviz.training.encoder.objectives import masked_scores, naming_scores
from attnviz.training.encoder.roles import PRONOUN, Baseline, RoleTally, Shares

DEMO = "The animal didn't cross the street because it was too {}"
_SEED = 2
_TOGETHER = 50
_PARTS = 5  # of a batch, each of texts of like length, so that little is padded


class Natural(Struct, frozen=True, kw_only=True):
    """The measurements on sentences that no grammar wrote, all as shares.

    They say how often the antecedent is `named`, is `looked_at` most by each head, and is the `first` noun.
    """

    texts: int
    named: float
    looked_at: Shares
    first: float


class Figures(Struct, frozen=True, kw_only=True):
    """The measurements on held-out texts; all accuracies and shares are between 0 and 1.

    `roles` says how often each head fills each role, `baselines` how often a fixed offset does, `demo` what weight each
    head gives from *it* to *animal* and to *street* in the two sentences of `DEMO`. `handwritten` is on the sentences
    of each of the `SETS`.
    """

    texts: int
    pronouns: int
    named: float
    masked: float
    roles: dict[str, Shares]
    baselines: dict[str, Baseline]
    demo: dict[str, dict[str, Shares]]
    handwritten: dict[str, Natural]


def evaluate(folder: Path, texts: int) -> Figures:
    """Return all figures of the encoder in a folder, on the first `texts` held-out examples."""
    model, package = load(folder), Package.of(folder)
    held_out = list(islice(examples(Split.TEST, _SEED), texts))
    tally = RoleTally()
    for example, attention in zip(held_out, attend_each(model, held_out), strict=True):
        tally.add(example, attention)
    named, guessed = zip(*(_hits(package, batch) for batch in _batches(package, held_out)), strict=True)
    return Figures(
        texts=texts,
        pronouns=sum(map(len, named)),
        named=float(np.concatenate(named).mean()),
        masked=float(np.concatenate(guessed).mean()),
        roles=tally.shares(),
        baselines=tally.baselines(),
        demo={adjective: _demo(model, adjective) for adjective in ("tired", "wide")},
        handwritten={kind: _read_natural(model, package, read_sentences(kind)) for kind in SETS},
    )


def _read_natural(model: Model, package: Package, sentences: list[HandWritten]) -> Natural:
    tally, written = RoleTally(), [sentence.example for sentence in sentences]
    for example, attention in zip(written, attend_each(model, written), strict=True):
        tally.add(example, attention)
    return Natural(
        texts=len(written),
        named=float(_name(package, padded(written, package.text.tokenizer)).mean()),
        looked_at=tally.shares()[PRONOUN],
        first=float(np.mean([sentence.first for sentence in sentences])),
    )


def attend_each(model: Model, held_out: Iterable[Example]) -> Iterator[Attention]:
    """Yield the attention weights of each text; texts of one length are run together."""
    readings = [model.read(Passage(text=example.text)) for example in held_out]
    alike = defaultdict[int, list[int]](list)
    for index, reading in enumerate(readings):
        alike[len(reading.ids)].append(index)
    found = dict[int, Attention]()
    for indices in alike.values():
        for first in range(0, len(indices), _TOGETHER):
            some = indices[first : first + _TOGETHER]
            records = model.weights_of([readings[index] for index in some])
            found |= {index: require_record(*one) for index, one in zip(some, records, strict=True)}
    yield from (found[index] for index in range(len(readings)))


def _batches(package: Package, held_out: list[Example]) -> Iterator[tuple[Batch, Batch]]:
    """Yield the texts as they are, and with some of their tokens hidden."""
    noise, tokenizer = np.random.default_rng(_SEED), package.text.tokenizer
    for first in range(0, len(held_out), _TOGETHER):
        whole = padded(held_out[first : first + _TOGETHER], tokenizer)
        yield whole, masked(whole, tokenizer, noise)


def _hits(package: Package, batches: tuple[Batch, Batch]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """At which pronouns the antecedent is what the model names first, and which hidden tokens it guesses."""
    whole, hidden = batches
    guessed = masked_scores(_read(package.stack, hidden, hidden.masked), package.parameters).argmax(-1)
    return _name(package, whole), guessed == hidden.masked.ids


def _name(package: Package, batch: Batch) -> NDArray[np.bool_]:
    """Return at which pronouns of a batch the antecedent is what the model names first."""
    asked, texts = batch.pronouns, batch.ids[batch.pronouns.rows]  # [pronouns, tokens]
    named = naming_scores(_read(package.stack, batch, asked), texts, package.parameters).argmax(-1)  # [pronouns]
    hits: NDArray[np.bool_] = (asked.starts <= named) & (named < asked.ends)
    return hits


def _read(stack: StackRunner, batch: Batch, places: Places | Pronouns) -> NDArray[np.float32]:
    vectors = np.zeros((*batch.ids.shape, stack.shape.width), np.float32)  # [texts, tokens, width]
    for rows in filter(len, np.array_split(batch.lengths.argsort(), _PARTS)):
        lengths = batch.lengths[rows]
        ids = batch.ids[rows, : lengths.max()]
        vectors[rows, : lengths.max()] = transformer(ids, stack.parameters, stack.shape, mask=padding(lengths))
    return vectors[places.rows, places.columns]  # [places, width]


def _demo(model: Model, adjective: str) -> dict[str, Shares]:
    attention = model.attend(DEMO.format(adjective))[0]
    (pronoun,) = attention.words("it")
    weights = attention.looks_at(pronoun)  # [layers, heads, keys]
    return {
        noun: weights[..., list(word.keys)].sum(-1).astype(float)
        for noun in ("animal", "street")
        for word in attention.words(noun)
    }
