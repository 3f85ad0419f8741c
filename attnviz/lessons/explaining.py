"""The walk through one head of a model, for one query of a text."""

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from attnviz.lessons import Lesson, Variant, WhatIf, compare, head_steps
from attnviz.lessons.reruns import SEED
from attnviz.models.model import Model
from attnviz.models.passages import Reading
from attnviz.records import Selection
from attnviz.reference.head_steps import Reals
from attnviz.vocabulary import Engine, Kind


class HeadQuery(Struct, frozen=True, kw_only=True):
    """One head of one kind of attention, and the index of the query among those of this kind."""

    kind: Kind
    layer: int
    head: int
    query: int

    @property
    def select(self) -> Selection:
        """Return what to ask a model for to get that head alone."""
        return Selection((self.kind,), (self.layer,), (self.head,))


def explain_head(model: Model, reading: Reading, place: HeadQuery, what_if: WhatIf) -> Lesson:
    """Return the lesson on one head: the walk, as far as the model shows its steps, and the comparisons.

    Raises:
        UsageError: the model shows only its weights, or cannot run without what a comparison leaves out.
    """
    queries, keys = reading.axes(place.kind)
    names, asking = (tuple(token.label for token in tokens) for tokens in (keys, queries))
    trace = model.trace(reading, place.kind, place.layer, place.query)
    walk = tuple(head_steps(trace, place.layer, place.head, names))
    steps = (
        *walk,
        *compare(trace, place.head, what_if, lambda variant: _run_again(model, reading, place, variant), asking),
    )
    return Lesson(
        subject=model.card.name,
        query=queries[place.query].label,
        position=place.query,
        predicts=queries[place.query].predicts,
        keys=names,
        steps=steps,
        walked=len(walk),
        notes=(
            *_name_languages(model, reading),
            *(_NOTHING_BESIDE if model.engine is Engine.TRANSFORMERS else ()),
        ),
    )


_NOTHING_BESIDE = (
    "This model runs through transformers. So the walk begins with the queries, keys and values as they are compared "
    "and mixed, and ends with the sum of the values: what comes before and after is not shown.",
)


def _name_languages(model: Model, reading: Reading) -> list[str]:
    """Return what a built-in translator says of itself, where it reads a target."""
    translates = reading.target and model.engine is Engine.REFERENCE and model.card.purpose
    return [model.card.purpose] if translates else []


def _run_again(model: Model, reading: Reading, place: HeadQuery, variant: Variant) -> Reals:
    """Return all weights of the head when the model runs in another way: [queries, keys], in their first order."""
    if not (variant.positions and variant.mask):
        model = model.without(positions=not variant.positions, mask=not variant.mask)
    if not variant.trained:
        model = model.untrain(SEED)
    if variant.order is None:
        return _run(model, reading, place)
    order = list(variant.order)
    weights = _run(model, _reorder(reading, place.kind, order), place)
    put_back = np.empty_like(weights)
    put_back[np.ix_(range(len(weights)) if place.kind.crosses else order, order)] = weights
    return put_back


def _reorder(reading: Reading, kind: Kind, order: list[int]) -> Reading:
    """Return the reading with the keys of this kind of attention in another order."""
    if kind is Kind.DECODER and reading.target:
        return replace(reading, target=reading.target.take(order))
    return reading.take(order)


def _run(model: Model, reading: Reading, place: HeadQuery) -> Reals:
    (attention,) = model.weights(reading, place.select)
    weights: Reals = attention.weights[0, 0]
    return weights
