from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnviz.errors import UsageError
from attnviz.measures.labels import LABELS
from attnviz.measures.probes import PROBES, Pairs, Probe, Probed, Repeated
from attnviz.records import Axes, Block, HeadTable, find_named
from attnviz.text import Token
from attnviz.vocabulary import Kind

LAYERS, HEADS = (3, 1), (0, 4, 2)


def axes(said: Repeated) -> Axes:
    inner = range(said.before, said.length - said.after)
    tokens = tuple(Token(f"t{i}", i, special=i not in inner, id=i) for i in range(said.length))
    tokens = tuple(
        token if token.special else Token(token.text, token.position, (0, 1), id=token.id) for token in tokens
    )
    kind = Kind.ENCODER if said.both_ways else Kind.DECODER
    return Axes(kind=kind, layers=LAYERS, heads=HEADS, query_tokens=tokens, key_tokens=tokens, model="some model")


def dense(said: Repeated) -> np.ndarray:
    weights = np.random.default_rng(7).dirichlet(np.full(said.length, 0.3), (2, 3, said.length))
    if not said.both_ways:
        weights = np.tril(weights) / np.tril(weights).sum(-1, keepdims=True)
    return weights.astype(np.float32)


def table(said: Repeated, weights: np.ndarray, cuts: tuple[int, ...] = ()) -> HeadTable:
    here = axes(said)
    wanted = {name: probe for name, probe in PROBES.items() if probe.copies == said.copies}
    reducer = Probed(here, wanted, said.tokens)
    for index, layer in enumerate(LAYERS):
        for first, end in zip([0, *cuts], [*cuts, said.length], strict=True):
            until = said.length if said.both_ways else end
            some = weights[index, :, first:end, :until]
            reducer.update(Block.starting(here.kind, layer, HEADS, first, some))
    return reducer.result()


def expected(said: Repeated, weights: np.ndarray, name: str) -> np.ndarray:
    """The mean over entries that are found one by one, from the numbers of the tokens: [layers, heads]."""
    number = {place: (place - said.before) % said.tokens for place in range(said.before, said.length - said.after)}
    copy = {place: (place - said.before) // said.tokens for place in number}
    entries = []
    for query in number:
        for key in number:
            seen = said.both_ways or key <= query
            before = said.both_ways or (key - 1 in copy and copy[key - 1] < copy[query])
            if name == "previous_token":
                fits = key == query - 1
            elif name == "duplicate_token":
                fits = key != query and number[key] == number[query]
            else:
                other = key - 1 in number and key - 1 != query and number[key - 1] == number[query]
                fits = other and before
            if seen and fits:
                entries.append(weights[..., query, key])
    return np.mean(entries, 0)


SAID = [
    Repeated(5, 2),
    Repeated(5, 2, 1),
    Repeated(7, 2, 1, 1, both_ways=True),
    Repeated(3, 4, 1),
    Repeated(3, 4, 0, 2, both_ways=True),
]


@pytest.mark.parametrize("said", SAID, ids=str)
def test_a_probe_is_the_mean_of_the_entries_that_its_definition_names(said: Repeated) -> None:
    weights = dense(said)
    found = table(said, weights)
    assert found.layers == (1, 3) and found.heads == (0, 2, 4) and found.texts == 1
    assert list(found.columns) == [name for name, probe in PROBES.items() if probe.copies == said.copies]
    for name in found.columns:
        np.testing.assert_allclose(found[name], expected(said, weights, name)[::-1][:, [0, 2, 1]], rtol=1e-6)


@given(cuts=st.sets(st.integers(1, 10), max_size=4))
def test_blocks_of_any_size_give_the_same(cuts: set[int]) -> None:
    said = Repeated(5, 2, 1)
    found, whole = table(said, dense(said), tuple(sorted(cuts))), table(said, dense(said))
    for name in found.columns:
        np.testing.assert_allclose(found[name], whole[name], atol=1e-12)


def test_a_whole_diagonal_has_special_tokens_too() -> None:
    queries, keys = Repeated(5, 2, 1).diagonal(-4)
    assert list(zip(queries, keys, strict=True)) == [(4, 0), (5, 1), (6, 2), (7, 3), (8, 4), (9, 5), (10, 6)]

    queries, keys = Repeated(3, 2, 0, 1).diagonal(4)
    assert list(zip(queries, keys, strict=True)) == [(0, 4), (1, 5), (2, 6)]


@pytest.mark.parametrize("shift", [-4, -3, -1, 0, 1, 2, 3, 4])
@pytest.mark.parametrize("said", [Repeated(3, 4, 1, 2), Repeated(3, 4, 1, 2, both_ways=True)], ids=["back", "both"])
def test_stripes_are_all_keys_that_stand_so_far_after_the_same_token_in_another_copy(
    said: Repeated, shift: int
) -> None:
    there = range(12)
    expected = {
        (query + 1, same + shift + 1)
        for query in there
        for same in there
        if same != query and same % 3 == query % 3 and same + shift in there
        if said.both_ways or (same < query and same + shift <= query)
    }
    queries, keys = said.stripes(shift)
    assert sorted(zip(queries.tolist(), keys.tolist(), strict=True)) == sorted(expected)


def own(pairs: Callable[[Repeated], Pairs], said: Repeated, blocks: list[Block]) -> np.ndarray:
    """What a probe of one's own comes to: [layers, heads], in the order of the axes."""
    reducer = Probed(axes(said), {"mine": Probe("mine", "mine", said.copies, pairs)}, said.tokens)
    for block in blocks:
        reducer.update(block)
    return reducer.result()["mine"][::-1][:, [0, 2, 1]]


def whole(said: Repeated, weights: np.ndarray) -> list[Block]:
    return [Block.starting(axes(said).kind, layer, HEADS, 0, own) for layer, own in zip(LAYERS, weights, strict=True)]


@pytest.mark.parametrize("said", SAID, ids=str)
def test_a_probe_of_ones_own_may_take_a_whole_diagonal(said: Repeated) -> None:
    weights = dense(said)
    found = own(lambda given: given.diagonal(-1), said, whole(said, weights))
    np.testing.assert_allclose(found, np.diagonal(weights, -1, -2, -1).mean(-1), rtol=1e-6)


def test_of_no_pairs_a_probe_is_undefined() -> None:
    said = Repeated(5, 2)
    assert np.isnan(own(lambda given: given.diagonal(99), said, whole(said, dense(said)))).all()


def test_keys_that_a_block_leaves_out_have_no_weight() -> None:
    said = Repeated(5, 2, 1)
    weights = np.triu(dense(said), -2)  # each query sees three keys
    blocks = [
        Block.starting(Kind.DECODER, layer, HEADS, row, own[:, row : row + 1, first : row + 1], first_key=first)
        for layer, own in zip(LAYERS, weights, strict=True)
        for row in range(said.length)
        if (first := max(row - 2, 0)) >= 0
    ]
    found = own(lambda given: given.stripes(1), said, blocks)
    np.testing.assert_allclose(found, own(lambda given: given.stripes(1), said, whole(said, weights)), atol=1e-12)


def test_every_probe_says_what_it_is_and_who_says_so() -> None:
    for probe in PROBES.values():
        assert all((probe.definition, probe.source, probe.formula, probe.extent, probe.high))
    assert "induction" in {label.statistic for label in LABELS}


def test_an_unknown_probe_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no probe 'deduction': choose previous_token, "):
        find_named(PROBES, "deduction", "probe")
