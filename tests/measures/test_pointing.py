"""What words point at, in heads that are planted by hand."""

from collections.abc import Iterator

import numpy as np
import pytest
from msgspec.structs import replace

from attnviz.errors import UsageError
from attnviz.measures.pointing import Pointing, Question, number_words
from attnviz.measures.reducers import reduce_record
from attnviz.measures.word_links import LinkNumbers, MissingLinkError, WordLink, follow_offsets, rank_heads
from attnviz.records import Attention, Axes, Block, Word
from attnviz.text import By, Token
from attnviz.vocabulary import Kind
from tests import build

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
    asked = [Question(UNSEEN, (CAT, IT)), Question(IT, (UNSEEN,)), Question(CAT, (IT,))]
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


def test_blanks_are_part_of_no_word() -> None:
    a, blank, b = Token("a", 0, (0, 1), word=0), Token("␣", 1, (1, 2)), Token("b", 2, (2, 3), word=1)
    assert number_words([a, blank, b]) == [0, -1, 1]


def test_weights_and_the_word_pointed_at_are_those_of_a_dense_matrix_of_words() -> None:
    attention = record()
    weights, right, back, right_back = ask(attention)
    words = by_words(attention.weights.astype(float))  # [layers, heads, 5, 5]
    np.testing.assert_allclose(weights[0], words[..., 1, [2, 4]].mean(-1), atol=1e-6)
    np.testing.assert_allclose(weights[1], words[..., 4, 1], atol=1e-6)
    np.testing.assert_allclose(weights[2], words[..., 2, 4], atol=1e-6)
    np.testing.assert_allclose(back[2], words[..., 4, 2], atol=1e-6)
    np.testing.assert_allclose(back[0], words[..., [2, 4], 1].mean(-1), atol=1e-6)
    np.testing.assert_allclose(back[1], words[..., 1, 4], atol=1e-6)
    others = words * (1 - np.eye(5))
    assert (right[0] == np.isin(others[..., 1, :].argmax(-1), [2, 4])).all()
    assert (right[1] == (others[..., 4, :].argmax(-1) == 1)).all()
    assert (right[2] == (others[..., 2, :].argmax(-1) == 4)).all()
    assert (right_back[2] == (others[..., :, 2].argmax(-1) == 4)).all()
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


def test_keys_that_blocks_of_a_decoder_leave_out_have_no_weight() -> None:
    seen = np.tril(record().weights)
    attention = replace(record(kind=Kind.DECODER), weights=seen / seen.sum(-1, keepdims=True))
    blocks = (
        Block.starting(attention.kind, layer, attention.heads, row, weights[:, row : row + 1, : row + 1])
        for layer, weights in zip(attention.layers, attention.weights, strict=True)
        for row in range(SIZE)
    )
    for found, expected in zip(ask(attention, blocks), ask(attention), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def answer(asked: list[Question], words: list[int] | None = None) -> list[np.ndarray]:
    attention = record()
    numbers = words or number_words(attention.key_tokens)
    there, back = reduce_record(attention, Pointing(attention, asked, numbers, numbers))
    return [there.weights, there.right, back.weights, back.right]


def test_of_answers_of_which_some_are_no_keys_or_no_queries_only_the_others_count() -> None:
    as_key, as_query = Word("cat", (), (4,)), Word("cat", (4,), ())
    both = answer([Question(UNSEEN, (CAT,))])
    for mixed in ((as_key, as_query), (as_query, as_key)):
        for found, expected in zip(answer([Question(UNSEEN, mixed)]), both, strict=True):
            np.testing.assert_allclose(found, expected)


def test_what_no_answer_can_tell_is_undefined_and_other_questions_are_not() -> None:
    alone = answer([Question(UNSEEN, (CAT,))])
    asked = [
        Question(UNSEEN, (CAT,)),
        Question(UNSEEN, (Word("cat", (), (4,)),)),
        Question(UNSEEN, (Word("cat", (4,), ()),)),
        Question(Word("unseen", (2, 3), ()), (Word("cat", (), (4,)),)),
    ]
    found = answer(asked)
    assert [np.isnan(one).all((1, 2)).tolist() for one in found] == [
        [False, False, True, False],
        [False, False, True, False],
        [False, True, False, True],
        [False, True, False, True],
    ]
    for one, expected in zip(found, alone, strict=True):
        np.testing.assert_allclose(one[0], expected[0])


def test_which_special_token_a_word_looks_at_most_is_undefined_and_so_is_it_where_there_are_no_words() -> None:
    start = Word("[CLS]", (0,), (0,))
    weights, right, *_ = answer([Question(UNSEEN, (start,))])
    np.testing.assert_allclose(weights[0], record().weights[:, :, 2:4, 0].mean(-1), atol=1e-7)
    assert np.isnan(right).all()
    _, right, _, right_back = answer([Question(UNSEEN, (CAT,))], [-1] * SIZE)
    assert not right.any() and not right_back.any()


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
    first = Pointing(alone, [Question(IT, (Word("the", (1,), (1,)),))], *[number_words(alone.key_tokens)] * 2)
    assert not any(each.right.any() for each in reduce_record(alone, first))


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


def test_the_numbers_of_a_link_are_means_over_its_places() -> None:
    twice = build.record(names=["cat", "saw", "dog", "and", "cat"], notes=(), by=By.WORD)
    table = rank_heads(reduce_record(twice, LinkNumbers(twice, WordLink("cat", "dog"))), "weight")
    w = twice.weights.astype(float)  # [layers, heads, 5, 5]
    others = w * (1 - np.eye(5))
    looks = [others[..., place, :].argmax(-1) == 2 for place in (0, 4)]
    looked_at = [others[..., :, place].argmax(-1) == 2 for place in (0, 4)]
    np.testing.assert_allclose(table["weight"], (w[..., 0, 2] + w[..., 4, 2]) / 2, atol=1e-7)
    np.testing.assert_allclose(table["accuracy"], np.mean(looks, 0))
    np.testing.assert_allclose(table["weight_back"], (w[..., 2, 0] + w[..., 2, 4]) / 2, atol=1e-7)
    np.testing.assert_allclose(table["accuracy_back"], np.mean(looked_at, 0))
    assert (table["baseline"] == 0.5).all()  # two words after the first, two words before the second
    assert (table.by, table.texts, table.ranked_by) == (By.WORD, 1, ("weight",))
    assert all("(Clark et al. 2019" in said for said in table.definitions.values())


def test_where_there_is_no_link_there_are_no_numbers() -> None:
    attention = record()
    assert reduce_record(attention, LinkNumbers(attention, WordLink("cat", "dog"))).columns == {}


def stands(link: str, axes: Axes) -> bool:
    """Whether a text with these axes has such a link."""
    try:
        WordLink.parse(link).check([axes])
    except MissingLinkError:
        return False
    return True


def test_in_a_decoder_only_what_stands_before_a_word_or_is_part_of_it_is_linked() -> None:
    names = ["cat", "saw", "dog", "and", "cat"]
    seen = np.tril(build.record(names=names).weights)
    decoder = build.record(Kind.DECODER, names=names, weights=seen / seen.sum(-1, keepdims=True), layers=2, heads=3)
    table = rank_heads(reduce_record(decoder, LinkNumbers(decoder, WordLink("cat", "dog"))), "weight")
    np.testing.assert_allclose(table["weight"], decoder.weights[..., 4, 2], atol=1e-7)
    assert (table["baseline"] == 1).all()
    pieces = build.axes(Kind.DECODER, names=build.tokens(["the", "un", "seen", "cat"], words=[0, 1, 1, 2]))
    for link, there in (("unseen -> seen", 1), ("un -> unseen", 1), ("un -> cat", 0), ("cat -> the", 1)):
        assert stands(link, pieces) is bool(there), link
    part = pieces.of_tokens(pieces.query_tokens, pieces.key_tokens[:3])
    assert stands("cat -> cat", part) is stands("the -> cat", part) is False
    encoder = replace(pieces, kind=Kind.ENCODER)
    assert stands("un -> cat", encoder) is True


def test_a_baseline_is_that_of_words_that_stand_somewhere() -> None:
    words = [-1, 0, 1, 2]
    start = Question(Word("[CLS]", (0,), (0,)), (Word("a", (1,), (1,)),))
    assert not follow_offsets([start], words).any()  # a special token has no place among words
    assert np.isnan(follow_offsets([Question(Word("b", (2,), ()), (CAT,))], words)).all()


@pytest.mark.parametrize("written", ["it", "it ->", "-> animal", "a -> b -> c", "it → animal → cat"])
def test_a_link_is_written_as_two_words_and_an_arrow(written: str) -> None:
    with pytest.raises(UsageError, match='A link is written as "it -> animal"'):
        WordLink.parse(written)


@pytest.mark.parametrize(
    ("link", "kinds", "said"),
    [
        ("dog -> cat", [Kind.ENCODER], "There is no token 'dog' in this text"),
        ("cat -> dog", [Kind.ENCODER], "There is no token 'dog' in this text"),
        ("cat -> cat", [Kind.ENCODER], "no link cat → cat in this text: name two places in it."),
        ("cat -> it", [Kind.DECODER], "two places in it, the second of them first, since a decoder does not look"),
        ("cat -> cat", [Kind.ENCODER, Kind.DECODER], "the second of them first, since a decoder does not look ahead."),
    ],
)
def test_a_text_without_the_link_is_refused(link: str, kinds: list[Kind], said: str) -> None:
    with pytest.raises(MissingLinkError) as raised:
        WordLink.parse(link).check([replace(record(), kind=kind) for kind in kinds])
    assert said in str(raised.value)


def test_a_link_that_stands_on_one_of_several_records_is_there() -> None:
    decoder, encoder = replace(record(), kind=Kind.DECODER), record()
    for found in ([decoder, encoder], [encoder, decoder]):
        WordLink("cat", "it").check(found)


def test_between_two_sequences_there_is_no_baseline_and_no_link_back() -> None:
    found = numbers(record(kind=Kind.CROSS), "it -> cat")
    assert np.isfinite(found["weight"]).all() and np.isfinite(found["accuracy"]).all()
    assert np.isnan(found["baseline"]).all() and np.isnan(found["accuracy_back"]).all()
