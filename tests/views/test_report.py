from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import attnviz
from attnviz.errors import TextError
from attnviz.measures.links import strongest, telling
from attnviz.records import Attention, HeadTable, Judgement
from attnviz.records.head_table import Column
from attnviz.views.report import (
    Definitions,
    Glance,
    HeadRows,
    HeadWeights,
    LinksInHeads,
    RankedHeads,
    Report,
    Section,
    StrongestLinks,
    Summary,
    WordInHeads,
    note_faint,
    sides,
)
from attnviz.views.table_report import TableReport
from attnviz.vocabulary import Kind, Orientation
from tests.build import looking_at, record, tokens
from tests.interpreter import modules_after

LAYERS, HEADS = 2, 3
WORDS = "the", "dog", "saw", "the", "cat"


def encoder(layers: int = LAYERS, heads: int = HEADS) -> Attention:
    return record(layers=layers, heads=heads, names=WORDS, seed=2)


def of(*found: Attention, **wanted: Any) -> list[Section]:
    usual = {"token": None, "every": False, "top": 5, "orientation": Orientation.QUERIES_DOWN}
    return list(Report(**usual | wanted).sections(found))


def kinds(sections: list[Section]) -> list[type[Section]]:
    return [type(section) for section in sections]


def test_all_heads_at_a_glance_come_before_the_weights_and_links_of_the_most_telling_one() -> None:
    attention = encoder()
    sections = of(attention)
    assert kinds(sections) == [Summary, Glance, LinksInHeads, HeadWeights, StrongestLinks]
    _, glance, told, one, links = sections
    link = telling(attention)
    assert link is not None
    assert glance.marked == (link.layer, link.head)
    assert glance.attention is attention
    assert (one.attention.layers, one.attention.heads, one.reason) == ((link.layer,), (link.head,), link)
    assert (links.links[0], links.telling) == (link, True)
    assert (told.links[0], len(told.links)) == (link, 3)


def test_heads_have_the_labels_that_the_table_of_their_numbers_gives_them() -> None:
    weights = np.stack([looking_at([1, 2, 3, 4, 0]), looking_at([2, 0, 4, 1, 3]), looking_at([0, 0, 0, 0, 0])])
    attention = record(layers=(6,), heads=(3, 7, 5), names=WORDS, weights=weights[None])
    (table,) = attnviz.statistics(attention)
    _, glance, *_ = of(attention)
    assert glance.labels == {(6, 3): "next", (6, 5): "first"}
    assert glance.labels == {head: label.name for head, label in table.labels.items()}


def test_heads_of_a_part_of_a_text_have_no_labels() -> None:
    weights = np.stack([looking_at([1, 2, 3, 4, 0]), looking_at([0, 0, 0, 0, 0])])[None]
    _, glance, *_ = of(record(layers=(6,), heads=(3, 5), names=WORDS, weights=weights).rows([1, 2]))
    assert glance.labels == {}


def test_tokens_that_share_a_character_are_shown_as_one_with_a_note() -> None:
    """The weight to a character is the sum over its tokens, from it the mean."""
    pieces = [replace(token, span=(0, 1), text="猫") for token in tokens(["a", "b"])]
    last = replace(tokens(["a", "b", "c"])[2], span=(1, 2), text="は")
    weights = np.array([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75], [0.25, 0.5, 0.25]], np.float32)
    summary, one, *_ = of(record(names=[*pieces, last], weights=weights[None, None]))
    assert [token.label for token in one.attention.key_tokens] == ["猫", "は"]
    np.testing.assert_array_equal(one.attention.weights, [[[[0.5, 0.5], [0.75, 0.25]]]])
    assert "tokens that share a character shown as one" in summary.record.notes


def test_every_head_has_its_weights_and_links_by_layer_then_head_and_none_was_chosen() -> None:
    sections = of(encoder(), every=True)
    assert kinds(sections) == [Summary, Glance, LinksInHeads, *[HeadWeights, StrongestLinks] * (LAYERS * HEADS)]
    shown = [section.attention for section in sections if isinstance(section, HeadWeights)]
    assert [(one.layers, one.heads) for one in shown] == [((i,), (j,)) for i in range(LAYERS) for j in range(HEADS)]
    assert not any(section.reason for section in sections if isinstance(section, HeadWeights))
    assert not any(section.telling for section in sections if isinstance(section, StrongestLinks))


def test_a_single_head_needs_no_glance_and_no_reason() -> None:
    sections = of(encoder(layers=1, heads=1))
    assert kinds(sections) == [Summary, HeadWeights, StrongestLinks]
    assert sections[1].reason is None


def test_as_many_links_are_listed_as_were_asked_for_and_none_twice() -> None:
    attention = encoder()
    link = telling(attention)
    others = strongest(attention.select([link.layer], [link.head]), 5)
    assert link in others[1:]  # so that it moves to the front
    for top in (1, 3, 5):
        *_, links = of(attention, top=top)
        assert list(links.links) == [link, *(other for other in others if other != link)][:top]


def test_where_no_two_words_are_linked_there_is_no_section_of_links() -> None:
    attention = encoder(layers=1, heads=1)
    one = attention.rows([0])
    itself = replace(one, key_tokens=one.query_tokens, weights=np.ones((1, 1, 1, 1), np.float32))
    assert kinds(of(itself)) == [Summary, HeadWeights]


def test_a_word_is_shown_in_all_heads_at_each_place_where_it_stands() -> None:
    sections = of(encoder(), token="the", top=2)
    assert kinds(sections) == [Summary, WordInHeads, WordInHeads]
    assert [section.word.queries for section in sections[1:]] == [(0,), (3,)]
    assert {section.top for section in sections[1:]} == {2}


def test_a_record_without_the_word_is_left_out_and_a_word_of_none_is_an_error() -> None:
    other = encoder().rows([0])
    crossing = record(names=other.query_tokens, kind=Kind.CROSS, weights=np.ones((LAYERS, HEADS, 1, 1)))
    assert [s.record.model for s in of(crossing, encoder(), token="cat") if isinstance(s, Summary)] == ["some/model"]
    with pytest.raises(TextError):
        of(encoder(), token="bird")


def test_each_kind_has_its_own_sections() -> None:
    sections = of(encoder(), record(Kind.DECODER, layers=1, heads=1, names=WORDS))
    summaries = [section.record.kind for section in sections if isinstance(section, Summary)]
    assert summaries == [Kind.ENCODER, Kind.DECODER]


def test_the_sides_of_a_word_are_what_it_looks_at_and_what_looks_at_it() -> None:
    attention = encoder()
    (word,) = attention.words("cat")
    away, back = sides(attention, word)
    np.testing.assert_array_equal(away.weights, attention.weights[:, :, 4, :])
    np.testing.assert_array_equal(back.weights, attention.weights[:, :, :, 4])
    assert (away.axis, back.axis) == ("keys", "queries")


def test_a_word_of_one_sequence_of_two_has_one_side() -> None:
    attention = record(Kind.CROSS, layers=LAYERS, heads=HEADS, names=WORDS)
    read, looked_at = attention.words("cat")
    assert [side.axis for side in sides(attention, read)] == ["keys"]
    assert [side.axis for side in sides(attention, looked_at)] == ["queries"]


NUMBERS = np.array([[0.1, 0.9, 0.3], [0.6, np.nan, 0.2]])  # [layers, heads]
TABLE = HeadTable(
    model="some/model", kind=Kind.ENCODER, layers=(4, 2), heads=(5, 0, 1), texts=7,
    columns={
        "next": Column.of_one_text(NUMBERS, "what it is"),
        "same": Column.of_one_text(NUMBERS[::-1], "what that is"),
    },
    labels={
        (4, 0): Judgement("next", "next > 0.5", 0.9), (2, 5): Judgement("next", "next > 0.5", 0.6),
        (2, 0): Judgement("same", "same > 0.5", 0.9), (4, 5): Judgement("same", "same > 0.5", 0.6),
    },
)  # fmt: skip


def table_sections(
    *, every: bool = False, top: int = 2, sort: str | None = None, define: bool = False
) -> list[Section]:
    return list(TableReport(every=every, top=top, sort=sort, define=define).sections(TABLE))


def test_of_a_head_table_the_highest_of_each_number_are_shown_and_all_that_have_a_label() -> None:
    summary, labels, highest = table_sections()
    assert isinstance(summary, Summary) and summary.record is TABLE
    assert isinstance(highest, RankedHeads) and isinstance(labels, RankedHeads)
    assert highest.ranks == {"next": [(4, 0, 0.9), (2, 5, 0.6)], "same": [(2, 0, 0.9), (4, 5, 0.6)]}
    assert labels.ranks == {  # head 5 of layer 2 is 0.6 next, that of layer 4 is 0.6 same
        "same (same > 0.5)": [(2, 0, 0.9), (4, 5, 0.6)],
        "next (next > 0.5)": [(4, 0, 0.9), (2, 5, 0.6)],
    }


def test_all_heads_stand_in_their_order_or_in_that_of_a_number_those_without_one_last() -> None:
    order = [(4, 5), (4, 0), (4, 1), (2, 5), (2, 0), (2, 1)]
    for sort, expected in ((None, order), ("next", [(4, 0), (2, 5), (4, 1), (2, 1), (4, 5), (2, 0)])):
        _, rows = table_sections(every=True, sort=sort)
        assert isinstance(rows, HeadRows) and rows.heads == expected
    _, rows = table_sections(sort="same", top=3)
    assert isinstance(rows, HeadRows) and rows.heads == [(2, 0), (4, 5), (2, 1)]


@pytest.mark.parametrize("define", [False, True])
def test_what_heads_do_comes_first_whatever_was_asked_for(define: bool) -> None:
    _, labels, highest, *_ = table_sections(define=define)
    assert [*labels.ranks] == ["same (same > 0.5)", "next (next > 0.5)"]
    assert [*highest.ranks] == ["next", "same"]


def test_what_numbers_mean_is_said_last_where_that_is_wanted() -> None:
    assert isinstance(table_sections(define=True)[-1], Definitions)
    assert not any(isinstance(section, Definitions) for section in table_sections())


def test_sections_know_no_medium() -> None:
    assert modules_after("import attnviz.views.report").isdisjoint({"rich", "matplotlib"})


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        ([0.9, 0.9, 0.9, 0.9, 0.05], None),
        (
            [0.9, 0.9, 0.9, 0.05],
            "1 of 4 heads looks … of its queries",
        ),
        (
            [0.05, 0.09, 0.11],
            "2 of 3 heads look … of their queries",
        ),
        ([0.05], "The head looks … of its queries"),
        ([0.1], None),
    ],
)
def test_heads_look_blank_if_most_of_their_queries_have_small_weights_only(
    heads: list[float], said: str | None
) -> None:
    because = "nearly blank, because the largest weight of most"
    largest = np.array([[most] * 4 + [1.0] * 3 for most in heads], np.float32)  # [heads, queries]
    note = note_faint(largest, 0.1)
    assert note is None if said is None else note == f"{said.replace('…', because)} is below 0.1"
    assert note_faint(1 - (1 - largest) * [0, 0, 0, 1, 1, 1, 1], 0.1) is None  # most have a large one


@pytest.mark.parametrize(("rows", "cut"), [(100, 44), (144, 0), (None, 0)])
def test_a_word_in_more_heads_than_are_wanted_says_how_many_are_left_out(rows: int | None, cut: int) -> None:
    found = record(layers=12, heads=12, names=["her", "keys"])
    _, section = of(found, token="her", rows=rows)
    assert isinstance(section, WordInHeads) and section.cut == cut


def test_tables_are_cut_after_a_hundred_rows_unless_it_is_told_otherwise() -> None:
    found = record(layers=1, heads=1, names=101)
    assert [section.cut for section in of(found) if isinstance(section, HeadWeights)] == [1]
