"""What words point at, in heads that are planted by hand."""

from collections.abc import Iterator

import numpy as np
import pytest

from attnviz.measures.pointing import Pointing, Question, number_words
from attnviz.measures.reducers import reduce_record
from attnviz.measures.word_links import LinkNumbers, MissingLinkError, WordLink, rank_heads
from attnviz.records import Attention, Block, Word
from attnviz.text import Token
from attnviz.vocabulary import Kind

# [CLS] the un·seen cat saw it [SEP]: "unseen" has two pieces
TEXTS = "[CLS]", "the", "un", "seen", "cat", "saw", "it", "[SEP]"
PLACES = None, 0, 1, 1, 2, 3, 4, None
UNSEEN, CAT, IT = Word("unseen", (2, 3), (2, 3)), Word("cat", (4,), (4,)), Word("it", (6,), (6,))
SIZE, LAYERS, HEADS = len(TEXTS), 2, 3


def tokens() -> tuple[Token, ...]:
    return tuple(
        Token(text, i, None if place is None else (i, i + 1), place is None, place)
        for i, (text, place) in enumerate(zip(TEXTS, PLACES, strict=True))
    )


def record(seed: int = 5, kind: Kind = Kind.ENCODER) -> Attention:
    weights = np.random.default_rng(seed).dirichlet(np.ones(SIZE), (LAYERS, HEADS, SIZE)).astype(np.float32)
    return Attention(
        kind=kind, layers=(3, 1), heads=(10, 12, 14), query_tokens=tokens(), key_tokens=tokens(), model="by hand",
        weights=weights,
    )  # fmt: skip


def by_words(weights: np.ndarray) -> np.ndarray:
    """Weights [..., 8, 8] between the five words: summed to a word, averaged from it."""
    summed = np.stack([weights[..., [i for i, p in enumerate(PLACES) if p == w]].sum(-1) for w in range(5)], -1)
    return np.stack([summed[..., [i for i, p in enumerate(PLACES) if p == w], :].mean(-2) for w in range(5)], -2)


def ask(attention: Attention, blocks: Iterator[Block] | None = None) -> tuple[np.ndarray, ...]:
    numbers = number_words(attention.key_tokens)
    asked = [Question(UNSEEN, (CAT, IT)), Question(IT, (UNSEEN,))]
    reducer = Pointing(attention, asked, numbers, numbers)
    if blocks is None:
        there, back = reduce_record(attention, reducer)
    else:
        for block in blocks:
            reducer.update(block)
        there, back = reducer.result()
    return there.weights, there.right, back.weights, back.right


def test_numbers_of_words_leave_special_tokens_out() -> None:
    assert number_words(tokens()) == [-1, 0, 1, 1, 2, 3, 4, -1]


def test_weights_and_the_word_pointed_at_are_those_of_a_dense_matrix_of_words() -> None:
    attention = record()
    weights, right, back, right_back = ask(attention)
    words = by_words(attention.weights.astype(float))  # [layers, heads, 5, 5]
    np.testing.assert_allclose(weights[0], words[..., 1, [2, 4]].mean(-1), atol=1e-6)
    np.testing.assert_allclose(weights[1], words[..., 4, 1], atol=1e-6)
    np.testing.assert_allclose(back[0], words[..., [2, 4], 1].mean(-1), atol=1e-6)
    np.testing.assert_allclose(back[1], words[..., 1, 4], atol=1e-6)
    others = words * (1 - np.eye(5))
    assert (right[0] == np.isin(others[..., 1, :].argmax(-1), [2, 4])).all()
    assert (right[1] == (others[..., 4, :].argmax(-1) == 1)).all()
    assert (right_back[0] == np.isin(others[..., :, 1].argmax(-1), [2, 4])).all()
    assert (right_back[1] == (others[..., :, 4].argmax(-1) == 1)).all()
    assert 0 < right.sum() < right.size


@pytest.mark.parametrize("size", [1, 3, 5])
def test_blocks_of_any_size_and_order_give_the_same(size: int) -> None:
    attention = record()

    def blocks() -> Iterator[Block]:
        for layer, weights in zip(attention.layers, attention.weights, strict=True):
            for first in reversed(range(0, SIZE, size)):
                yield Block.starting(attention.kind, layer, attention.heads, first, weights[:, first : first + size])

    for found, expected in zip(ask(attention, blocks()), ask(attention), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_head_that_looks_at_nothing_but_itself_and_special_tokens_is_right_of_nothing() -> None:
    weights = np.zeros((1, 1, SIZE, SIZE), np.float32)
    weights[..., range(SIZE), range(SIZE)] = 0.5
    weights[..., 0] += 0.5
    alone = Attention(
        kind=Kind.ENCODER, layers=(0,), heads=(0,), query_tokens=tokens(), key_tokens=tokens(), model="by hand",
        weights=weights,
    )  # fmt: skip
    _, right, _, right_back = ask(alone)
    assert not right.any() and not right_back.any()


def numbers(attention: Attention, link: str) -> dict[str, np.ndarray]:
    table = reduce_record(attention, LinkNumbers(attention, WordLink.parse(link)))
    return {name: column.means for name, column in rank_heads(table, "weight").columns.items()}


def test_a_link_has_a_baseline_of_the_best_fixed_offset() -> None:
    assert numbers(record(), "cat -> unseen")["baseline"].flat[0] == 1.0  # the word before
    assert numbers(record(), "it -> the")["baseline"].flat[0] == 0.0  # four words before
    assert numbers(record(), "the -> cat")["baseline"].flat[0] == 1.0  # two words after
    assert numbers(record(), "the -> saw")["baseline"].flat[0] == 0.0  # three words after


def test_heads_are_ranked_best_first() -> None:
    attention = record()
    table = rank_heads(reduce_record(attention, LinkNumbers(attention, WordLink("it", "cat"))), "weight")
    ranked = [float(table["weight"][place]) for place in table.places()]
    assert ranked == sorted(ranked, reverse=True)
    assert table.listed()[0] == (table.layers[next(table.places())[0]], table.heads[next(table.places())[1]])


@pytest.mark.parametrize("link", ["dog -> cat", "cat -> dog", "cat -> cat"])
def test_a_text_without_the_link_is_refused(link: str) -> None:
    with pytest.raises(MissingLinkError):
        WordLink.parse(link).check([record()])


def test_between_two_sequences_there_is_no_baseline_and_no_link_back() -> None:
    found = numbers(record(kind=Kind.CROSS), "it -> cat")
    assert np.isfinite(found["weight"]).all() and np.isfinite(found["accuracy"]).all()
    assert np.isnan(found["baseline"]).all() and np.isnan(found["accuracy_back"]).all()
