"""Heads that follow the relations of a small treebank, planted by hand."""

import numpy as np
import pytest
from msgspec.structs import replace

from attnviz.formats.treebanks import read_treebank
from attnviz.measures.reducers import reduce_record
from attnviz.measures.relations import RelationCounter
from attnviz.measures.totals import Totals
from attnviz.records import ALL_RELATIONS as ALL
from attnviz.records import Attention, RelationTable
from attnviz.text import GoldWord, ParsedText, Segment
from attnviz.vocabulary import Direction, Kind
from tests.pages import ROOT

with (ROOT / "sample_inputs/treebank.conllu").open(encoding="utf-8") as _lines:
    PARSED = [entry.found for entry in read_treebank(_lines)]


def planted(parsed: ParsedText, *, heads: bool) -> np.ndarray:
    """Rows in which each word looks at its head word, or each head word at its dependents; the root at itself."""
    size = len(parsed.words)
    weights = np.eye(size) * 0.01
    for dependent, word in enumerate(parsed.words):
        if word.governor is not None:
            weights[(dependent, word.governor) if heads else (word.governor, dependent)] += 1
    return weights / weights.sum(-1, keepdims=True)


def gold(text: str, *words: tuple[str, int | None]) -> ParsedText:
    """A text of words, each of one letter: the relation of each, and the place of the word that it depends on."""
    spans = [(2 * place, 2 * place + 1) for place in range(len(words))]
    return ParsedText(text, [GoldWord(span, *word) for span, word in zip(spans, words, strict=True)])


def record(parsed: ParsedText) -> Attention:
    """Head 0 looks at the head word, head 1 at the dependents, head 2 at the word after."""
    segment = Segment(parsed.text)
    tokens = tuple(segment.token(word.span, place) for place, word in enumerate(parsed.words))
    size = len(tokens)
    after = np.eye(size)[np.minimum(np.arange(size) + 1, size - 1)]
    weights = np.stack([planted(parsed, heads=True), planted(parsed, heads=False), after])[None]
    return Attention(
        kind=Kind.ENCODER, layers=(0,), heads=(0, 1, 2), query_tokens=tokens, key_tokens=tokens, model="by hand",
        weights=weights.astype(np.float32),
    )  # fmt: skip


def count(texts: list[ParsedText]) -> RelationTable:
    totals = Totals()
    for index, parsed in enumerate(texts):
        attention = record(parsed)
        totals.add(reduce_record(attention, RelationCounter(attention, parsed, odd=index % 2 > 0)))
    (table,) = totals.tables()
    return table


def test_a_head_that_looks_at_the_head_word_follows_every_relation() -> None:
    table = count(PARSED)
    assert table.texts == len(PARSED)
    for relation in table.relations:
        assert (relation.head, relation.direction, relation.whole.accuracy) == (0, Direction.TO_HEAD, 1.0), relation
    order = [(-relation.whole.count, relation.name) for relation in table.relations]
    assert order == sorted(order)
    dependents = [word for parsed in PARSED for word in parsed.words if word.governor is not None]
    assert table[ALL].whole.count == len(dependents)
    assert table["det"].whole.count == sum(word.relation == "det" for word in dependents)


def test_the_baseline_is_the_best_offset_counted_by_hand() -> None:
    for relation in count(PARSED).relations:
        offsets = [
            word.governor - place
            for parsed in PARSED
            for place, word in enumerate(parsed.words)
            if word.governor is not None and relation.name in (word.relation, ALL)
        ]
        shares = {k: offsets.count(k) / len(offsets) for k in range(-3, 3)}
        assert relation.whole.baseline == pytest.approx(max(shares.values()))
        assert shares[relation.offset] == max(shares.values())


def test_what_is_held_out_is_judged_by_the_head_that_is_best_on_the_rest() -> None:
    even, odd = PARSED[0], PARSED[1]
    table = count([even, odd])
    assert table[ALL].held_out.count == sum(word.governor is not None for word in odd.words)
    assert table[ALL].held_out.accuracy == 1.0
    alone = count([even])
    assert (alone[ALL].held_out.count, alone[ALL].held_out.accuracy) == (0, None)


def test_a_baseline_that_is_held_out_is_that_of_the_offset_which_is_best_on_the_rest() -> None:
    even = gold("a b c d", ("det", 1), ("det", 2), ("root", None), ("det", 1))  # offsets 1, 1, -2
    odd = gold("a b c d", ("root", None), ("det", 0), ("det", 1), ("det", None))  # offsets -1, -1
    also = gold("a b c", ("det", 1), ("root", None), ("det", 0))  # offsets 1, -2
    whole = count([even, odd, even, also])["det"]
    assert (whole.held_out.count, whole.held_out.baseline) == (4, 1 / 4)
    assert whole.whole.count == 10


def test_a_relation_that_only_texts_of_odd_index_have_is_counted_and_not_judged() -> None:
    even, odd = gold("a b", ("det", 1), ("root", None)), gold("a b c", ("obj", 1), ("root", None), ("obj", 1))
    held_out = count([even, odd])["obj"].held_out
    assert (held_out.count, held_out.accuracy, held_out.baseline) == (2, None, None)


def test_a_word_of_which_no_token_is_a_query_or_none_is_a_key_is_asked_about_nowhere() -> None:
    parsed = gold("a b c d e", ("x", 1), ("root", None), ("x", 1), ("x", 2), ("x", 0))
    attention = record(parsed)
    tokens = attention.query_tokens
    for queries, keys, left in ((tokens[1:], tokens, 2), (tokens, tokens[:-1], 3), (tokens[1:], tokens[:-1], 2)):
        here = replace(attention, kind=Kind.CROSS).of_tokens(queries, keys)
        counter = RelationCounter(here, parsed, odd=False)
        _, total = counter.result()
        assert total.parts["x", False].count == left


def test_tables_go_by_model_kind_layers_and_heads_and_texts_without_relations_count_nowhere() -> None:
    parsed = gold("a b", ("det", 1), ("root", None))
    attention = record(parsed)
    named = [
        {"model": "b"},
        {"model": "a", "kind": Kind.CROSS},
        {"model": "a", "kind": Kind.DECODER},
        {"model": "a", "layers": (7,)},
        {"model": "a"},
    ]
    totals = Totals()
    for names in named:
        here = replace(attention, **names)
        totals.add(reduce_record(here, RelationCounter(here, parsed, odd=False)))
        nothing = gold("a", ("root", None))
        totals.add(reduce_record(here, RelationCounter(here, nothing, odd=False)))
    tables = list(totals.tables())
    assert [(table.model, table.kind) for table in tables] == [
        ("a", Kind.ENCODER),
        ("a", Kind.ENCODER),
        ("a", Kind.DECODER),
        ("a", Kind.CROSS),
        ("b", Kind.ENCODER),
    ]
    assert [table["det"].layer for table in tables[:2]] == [0, 7]
    assert {table.texts for table in tables} == {1}


def test_totals_are_the_same_in_any_order_and_however_they_are_shared() -> None:
    whole, parts = Totals(), [Totals(), Totals()]
    for index, parsed in enumerate(PARSED):
        attention = record(parsed)
        found = reduce_record(attention, RelationCounter(attention, parsed, odd=index % 2 > 0))
        whole.add(found)
        parts[index % 3 % 2].add(found)
    parts[1].merge(parts[0])
    assert [table.relations for table in parts[1].tables()] == [table.relations for table in whole.tables()]


def test_a_relation_that_has_the_name_of_all_is_counted_once_beside_the_whole() -> None:
    table = count([gold("a b c d", (ALL, 1), ("root", None), (ALL, 1), ("det", 1))])
    assert [(relation.name, relation.whole.count) for relation in table.relations] == [(ALL, 3), (ALL, 2), ("det", 1)]
    assert table[ALL].whole.count == 3
    (whole, own) = count([gold("a b", (ALL, 1), ("root", None))]).relations
    assert (whole.name, own.name, whole.whole.count, own.whole.count) == (ALL, ALL, 1, 1)
