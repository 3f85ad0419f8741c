"""Descriptions of records for a page: all but their numbers, as JSON can hold it."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from msgspec.structs import asdict

from attnviz.measures.head_statistics import Statistics
from attnviz.measures.labels import find_labels
from attnviz.measures.links import telling
from attnviz.measures.reducers import reduce_record
from attnviz.measures.statistics import find_statistics
from attnviz.records import Attention, HeadMatrix, HeadTable, Link
from attnviz.text import By, Token, visible
from attnviz.views.names import caveats, count_tokens, counted
from attnviz.views.page.packing import Packed, PackedTerms
from attnviz.views.report import MARKED, mark_heads
from attnviz.vocabulary import AVERAGE


def describe(record: HeadMatrix, packed: Packed, name: str, *, left_out: str = "") -> dict[str, Any]:
    """Return what is known of a record of this name but its numbers: its axes, how they are packed, what heads do.

    `left_out` says why what its scores are made of was left out, if it was.
    """
    same = record.query_tokens == record.key_tokens
    step = packed.quantisation.step
    return {
        "name": name,
        "summary": _summarise(record),
        "layers": record.layers,
        "heads": record.heads,
        "by": record.by.value,
        "queries": _describe_tokens(record.query_tokens),
        "keys": None if same else _describe_tokens(record.key_tokens),
        "quantisation": asdict(packed.quantisation),
        "error": _write_step(step / 2),
        "exactness": f"Numbers here come in steps of {_write_step(step)}; JSON and other data formats have exact ones.",
        "triangle": packed.triangle,
        "thumbnail": packed.size,
        "terms": None if packed.terms is None else _describe_terms(packed.terms),
        "measured": "" if record.meaning.usual else f", {visible(record.measure)}",
        "untold": left_out or _explain_missing(record),
        "unmeasured": _explain_unmeasured(record),
        **(_describe_attention(record) if isinstance(record, Attention) else _describe_numbers(record)),
    }


def _summarise(record: HeadMatrix) -> str:
    """Write what a record is of: its model, its kind, its size."""
    layers, heads = record.shape[:2]
    shape = f"{counted(layers, 'layer')} × {counted(heads, 'head')}"
    return " · ".join((visible(record.model), f"{record.kind.value} attention", shape, count_tokens(record)))


def _write_step(step: float) -> str:
    """Write how far numbers are apart in one digit, as the page writes small numbers: `8e-6`."""
    return f"{step:.1g}".replace("e-0", "e-")


def _describe_tokens(tokens: Sequence[Token]) -> dict[str, Any]:
    """Return lists with an entry a token; `word` is the number of its word on the page, `gap` what stands before it.

    Of a token that shares its characters with the one before the gap is None.
    """
    words: dict[tuple[int | None, int, int], int] = {}
    numbers = [
        None if token.word is None else words.setdefault((token.window, token.segment, token.word), len(words))
        for token in tokens
    ]
    described: dict[str, Any] = {
        "text": [token.label for token in tokens],
        "word": numbers,
        "special": [int(token.special) for token in tokens],
        "gap": [*(["" for _ in tokens[:1]]), *(_find_gap(one, other) for one, other in pairwise(tokens))],
        "position": [token.position for token in tokens],
    }
    segments = [*accumulate((token.segment for token in tokens), max)]  # what ends a second text belongs to it
    if len({*segments}) > 1:
        described["segment"] = segments
    if any(token.predicts is not None for token in tokens):
        described["predicts"] = [token.predicts for token in tokens]
    return described


def _find_gap(one: Token, other: Token) -> str | None:
    """Return what parts two neighbours where they are set as prose: nothing, a blank, a new line; None if they are one.

    Those are one that stand for the same characters, of which each is a part of the bytes.
    """
    if one.span is None or other.span is None or one.source is None or one.source != other.source:
        return " "
    if one.span == other.span:
        return None
    between = one.source.text[one.span[1] : other.span[0]]
    return "\n" if "\n" in between else " "[: len(between)]


def _describe_terms(terms: PackedTerms) -> dict[str, Any]:
    """Return how the terms of scores are packed, layer by layer."""
    layers = [
        {"scale": layer.scale, "depth": layer.depth, "queries": asdict(layer.queries), "keys": asdict(layer.keys)}
        for layer in terms.layers
    ]
    return {"first": terms.first, "distances": terms.distances, "layers": layers}


def _explain_missing(record: HeadMatrix) -> str:
    """Return why the products of queries and keys of a record are not shown, if they are not."""
    if not isinstance(record, Attention):
        measure = visible(record.measure)
        return f"A {measure} has no queries and keys, and no numbers of heads."
    if record.by is not By.TOKEN:
        return f"Queries and keys belong to tokens, and these are {record.by.unit}s."
    if any(token.window is not None for token in record.key_tokens):
        return "There are no queries and keys here: in windows, a token has several."
    if record.layers == (AVERAGE,):
        return "A mean over heads has no queries and keys of its own."
    return (
        "There are no queries and keys here: saved weights have none, some models do not tell theirs, or they were too "
        "many to keep."
    )


def _explain_unmeasured(record: HeadMatrix) -> str:
    """Return why a head of a record has no numbers, where it has none."""
    if not isinstance(record, Attention):
        return ""
    if not record.is_whole:
        return "Numbers of a head need the whole text, and this is a part of it."
    return "None of the numbers of this head is defined."


def _describe_attention(attention: Attention) -> dict[str, Any]:
    return {
        "verbs": {"query": "looks at", "key": "is looked at by"},
        "marks": ["most telling", "strongest links"],
        "distributions": True,
        **_mark(attention, mark_heads(attention), telling(attention)),
        **_describe_heads(attention),
        "notes": caveats(attention),
    }


def _describe_heads(attention: Attention) -> dict[str, Any]:
    """Return the numbers and the labels of heads, of which those of a part of a text have none."""
    if not attention.is_whole:
        return {"statistics": [], "labels": []}
    table = reduce_record(attention, Statistics(attention, find_statistics(())))
    return {
        "statistics": _describe_statistics(attention, table),
        "labels": [[layer, head, label.name] for (layer, head), label in find_labels(table).items()],
    }


def _mark(record: HeadMatrix, heads: Sequence[tuple[int, int]], link: Link | None) -> dict[str, Any]:
    """Return the places of heads that are marked, of the most telling one, and where a page starts: there, if any."""
    places = [(record.layers.index(layer), record.heads.index(head)) for layer, head in heads]
    if link is None:
        query = next((i for i, token in enumerate(record.query_tokens) if not token.special), 0)
        told = None
    else:
        query = next(i for i, token in enumerate(record.query_tokens) if token.position == link.query.position)
        told = record.layers.index(link.layer), record.heads.index(link.head)
    layer, head = told or (places[0] if places else (0, 0))
    return {"marked": places, "telling": told, "start": {"layer": layer, "head": head, "query": query}}


def _describe_statistics(attention: Attention, table: HeadTable) -> list[dict[str, Any]]:
    """Return each statistic that is defined: its values [layers][heads] in the order of the record, None for NaN."""
    order = np.ix_(*(np.argsort(np.argsort(indices)) for indices in (attention.layers, attention.heads)))
    return [
        {
            "name": name,
            "definition": column.definition,
            "values": [[round(x, 4) if np.isfinite(x) else None for x in row] for row in column.means[order].tolist()],
        }
        for name, column in table.columns.items()
        if np.isfinite(column.means).any()
    ]


def _find_largest(record: HeadMatrix) -> Link | None:
    """Return the number that is furthest from 0, or None where all are 0."""
    layer, head, query, key = np.unravel_index(np.abs(record.weights).argmax(), record.shape)
    number = float(record.weights[layer, head, query, key])
    tokens = record.query_tokens[query], record.key_tokens[key]
    return Link(record.layers[layer], record.heads[head], *tokens, number) if number else None


def _describe_numbers(record: HeadMatrix) -> dict[str, Any]:
    """Return what can be said of numbers that are no weights; the largest ones mark their heads."""
    largest = np.abs(record.weights).max((-2, -1), initial=0)  # [layers, heads]
    order = np.argsort(-largest, axis=None, kind="stable")[:MARKED]
    marked = [(record.layers[place // largest.shape[1]], record.heads[place % largest.shape[1]]) for place in order]
    return {
        "verbs": {"query": "as a query", "key": "as a key"},
        "marks": [f"largest {visible(record.measure)}", "next largest"],
        "distributions": False,
        **_mark(record, marked, _find_largest(record)),
        "statistics": [],
        "labels": [],
        "notes": record.notes,
    }
