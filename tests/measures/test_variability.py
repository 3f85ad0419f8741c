import numpy as np
import pytest

from attnviz.measures import variability
from attnviz.measures.head_statistics import Statistics
from attnviz.measures.statistics import find_statistics
from attnviz.measures.totals import Totals
from attnviz.records import Axes, Block
from attnviz.text import Token
from attnviz.vocabulary import Kind

LENGTHS = 13, 5, 11, 13, 7


def add_text(totals: Totals, weights: np.ndarray, window: int | None = None) -> None:
    """Add a text of a decoder, whose weights are [layers, heads, queries, keys]."""
    tokens = tuple(Token(f"t{i}", i, (0, 1), window=window) for i in range(weights.shape[-1]))
    axes = Axes(
        kind=Kind.DECODER, layers=(0, 1), heads=(0, 1, 2), query_tokens=tokens, key_tokens=tokens, model="some model"
    )
    reducer = Statistics(axes, find_statistics(["same", "variability"]))
    for layer in (0, 1):
        for first in range(0, weights.shape[-1], 3):
            block = weights[layer, :, first : first + 3, : first + 3]
            reducer.update(Block.starting(Kind.DECODER, layer, (0, 1, 2), first, block))
    totals.add(reducer.result())


def texts(lengths: tuple[int, ...] = LENGTHS) -> list[np.ndarray]:
    chance = np.random.default_rng(3)
    drawn = [np.tril(chance.random((2, 3, count, count))) for count in lengths]
    return [(weights / weights.sum(-1, keepdims=True)).astype(np.float32) for weights in drawn]


def by_the_letter(given: list[np.ndarray]) -> np.ndarray:
    """Equation 5 of Vig and Belinkov, entry by entry: [layers, heads]."""
    upper, lower = np.zeros((2, 3)), np.zeros((2, 3))
    for i in range(10):
        for j in range(i + 1):
            there = [weights[..., i, j].astype(float) for weights in given if weights.shape[-1] > i]
            if not there:
                continue
            mean = np.mean(there, 0)
            upper += sum(abs(weight - mean) for weight in there)
            lower += 2 * sum(there)
    return upper / lower


@pytest.mark.parametrize("lengths", [LENGTHS, (13, 5, 3), (5, 3)])
def test_variability_is_that_of_equation_5_over_the_first_ten_tokens_of_all_texts(lengths: tuple[int, ...]) -> None:
    totals = Totals()
    for weights in texts(lengths):
        add_text(totals, weights)
    (table,) = totals.tables()
    np.testing.assert_allclose(table["variability"], by_the_letter(texts(lengths)), rtol=1e-9)
    assert (table.columns["variability"].counts == len(lengths)).all()
    assert np.isnan(table.columns["variability"].errors).all()


@pytest.mark.parametrize("undefined", [0, 1, 2])
def test_a_text_that_is_read_in_windows_is_no_part_of_the_comparison(undefined: int) -> None:
    totals = Totals()
    for place in range(3):
        if place == undefined:
            add_text(totals, texts()[4], window=0)
        if place < 2:
            add_text(totals, texts()[place])
    (table,) = totals.tables()
    np.testing.assert_allclose(table["variability"], by_the_letter(texts()[:2]), rtol=1e-9)
    assert (table.texts, table.columns["variability"].counts.tolist()) == (3, [[2] * 3] * 2)


def test_fewer_than_two_texts_have_none_whatever_the_heads() -> None:
    assert variability.compute_variability(np.ones((1, 2, 3, 5, 7))).shape == (2, 3)


@pytest.mark.parametrize("most", [variability._MOST, 3 * 6 * 100, 1])
def test_any_order_and_any_shares_give_the_same_bits_even_of_a_sample(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(variability, "_MOST", most)
    found = []
    for order, cut in (([0, 1, 2, 3, 4], 0), ([4, 2, 0, 1, 3], 2), ([3, 4, 1, 2, 0], 4)):
        one, other = Totals(), Totals()
        for place, index in enumerate(order):
            add_text(one if place < cut else other, texts()[index])
        one.merge(other)
        (table,) = one.tables()
        found.append(table.columns["variability"])
    assert all(np.array_equal(column.means, found[0].means) for column in found)
    assert (found[0].counts == min(max(most // 600, 2), len(LENGTHS))).all()  # of one text there is none


def test_of_a_single_text_it_is_undefined_and_of_equal_texts_0() -> None:
    totals = Totals()
    add_text(totals, texts()[0])
    (table,) = totals.tables()
    assert np.isnan(table["variability"]).all() and not table.columns["variability"].counts.any()
    add_text(totals, texts()[0])
    (table,) = totals.tables()
    assert (table["variability"] == 0).all()
