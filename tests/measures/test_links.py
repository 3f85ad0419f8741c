import numpy as np
import pytest

from attnviz.errors import UsageError
from attnviz.measures.links import find_telling, strongest, telling
from attnviz.records import Attention, HeadMatrix, Link
from attnviz.text import Segment
from attnviz.vocabulary import Kind
from tests.build import Names, axes, record, tokens

WORDS = ["[CLS]", "the", "cat", "saw", "it", ".", "[SEP]"]
THE, CAT, SAW, IT, STOP, SEP = 1, 2, 3, 4, 5, 6


def one_layer(*heads: np.ndarray, kind: Kind = Kind.ENCODER, names: Names = WORDS) -> Attention:
    """Return a record of one layer, number 3, whose heads are numbered from 10."""
    return record(kind, layers=(3,), heads=range(10, 10 + len(heads)), names=names, weights=np.stack(heads))


def uniform(size: int = len(WORDS)) -> np.ndarray:
    return np.full((size, size), 1 / size)


def shifted(by: int, size: int = len(WORDS)) -> np.ndarray:
    """Every query looks at the token so far after it, or at itself where there is none."""
    rows = np.arange(size)
    there = rows + by
    return np.eye(size)[np.where((there >= 0) & (there < size), there, rows)]


def sink(at: int = SEP, size: int = len(WORDS)) -> np.ndarray:
    return np.eye(size)[np.full(size, at)]


def linked(query: int, key: int, weight: float = 0.9, base: np.ndarray | None = None) -> np.ndarray:
    """Even attention, but for one row that looks at one key."""
    weights = uniform() if base is None else base.copy()
    weights[query] = (1 - weight) / (len(weights) - 1)
    weights[query, key] = weight
    return weights


def ends(link: Link) -> tuple[int, int, str, str]:
    return link.layer, link.head, link.query.text, link.key.text


class TestStrongest:
    def test_links_come_in_the_order_of_their_weights_with_original_indices(self) -> None:
        found = strongest(one_layer(linked(IT, CAT, 0.8), linked(SAW, IT, 0.9)), 2)
        assert [ends(link) for link in found] == [(3, 11, "saw", "it"), (3, 10, "it", "cat")]
        assert [link.weight for link in found] == pytest.approx([0.9, 0.8])

    @pytest.mark.parametrize(
        ("query", "key"), [(IT, SEP), (SEP, IT), (IT, STOP), (STOP, IT), (IT, IT), (0, SEP)], ids=str
    )
    def test_special_tokens_punctuation_and_a_word_itself_are_no_links(self, query: int, key: int) -> None:
        found = strongest(one_layer(linked(query, key, 0.9)), 50)
        assert found
        assert max(link.weight for link in found) < 0.2
        assert {link.query.text for link in found} | {link.key.text for link in found} == {"the", "cat", "saw", "it"}

    def test_there_are_as_many_as_asked_for_or_as_there_are(self) -> None:
        assert len(strongest(one_layer(uniform()), 3)) == 3
        assert len(strongest(one_layer(uniform()))) == 5
        assert len(strongest(one_layer(uniform()), 99)) == 4 * 3
        assert strongest(one_layer(sink()), 5) == []

    def test_of_equal_links_the_first_come_first(self) -> None:
        found = strongest(one_layer(uniform(), uniform()), 4)
        assert [ends(link) for link in found] == [
            (3, 10, "the", "cat"),
            (3, 10, "the", "saw"),
            (3, 10, "the", "it"),
            (3, 10, "cat", "the"),
        ]

    def test_of_many_equal_links_the_first_come_first_too(self) -> None:
        found = strongest(one_layer(*[uniform()] * 13), 12 * 13)
        assert [link.head for link in found] == [head for head in range(10, 23) for _ in range(12)]

    def test_blanks_are_no_words_and_a_mark_within_a_word_takes_nothing_from_it(self) -> None:
        segment = Segment("can't see")
        names = [segment.token(span, place) for place, span in enumerate([(0, 5), (5, 6), (6, 9)])]
        weights = np.array([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]])
        found = strongest(one_layer(weights, names=names), 9)
        assert [(link.query.text, link.key.text) for link in found] == [("see", "can't"), ("can't", "see")]

    def test_a_list_of_records_is_no_record(self) -> None:
        with pytest.raises(UsageError, match="attend returns a list"):
            strongest([one_layer(uniform())])  # type: ignore[arg-type]

    def test_to_a_word_weights_are_summed_and_from_it_averaged(self) -> None:
        names = ["un", "seen", "it"]
        weights = np.array([[0.1, 0.1, 0.8], [0.2, 0.2, 0.6], [0.4, 0.3, 0.3]])
        held = tokens(names, words=[0, 0, 1])
        found = strongest(one_layer(weights, names=held), 5)
        assert len(found) == 2
        by_words = {(link.query.text, link.key.text): link.weight for link in found}
        assert by_words[("it", "unseen")] == pytest.approx(0.7)
        assert by_words[("unseen", "it")] == pytest.approx(0.7)

    def test_between_two_sequences_the_same_position_is_a_link(self) -> None:
        (best,) = strongest(one_layer(linked(IT, IT, 0.9), kind=Kind.CROSS), 1)
        assert ends(best) == (3, 10, "it", "it")

    def test_of_a_difference_the_largest_counts_whatever_its_sign(self) -> None:
        weights = uniform() - linked(IT, CAT, 0.8)
        named = axes(Kind.ENCODER, layers=(3,), heads=(10,), names=WORDS, measure="difference")
        difference = HeadMatrix.on(named, weights[None, None].astype(np.float32))
        (best,) = strongest(difference, 1)
        assert ends(best) == (3, 10, "it", "cat")
        assert best.weight == pytest.approx(1 / 7 - 0.8)


class TestTelling:
    def test_a_content_link_tells_more_than_position_and_sinks(self) -> None:
        link = telling(one_layer(shifted(-1), sink(), linked(IT, CAT, 0.7), shifted(1), shifted(0)))
        assert link is not None
        assert ends(link) == (3, 12, "it", "cat")
        assert link.weight == pytest.approx(0.7)

    def test_a_word_that_everything_looks_at_is_a_habit(self) -> None:
        link = telling(one_layer(sink(CAT), linked(IT, CAT, 0.6)))
        assert link is not None
        assert link.head == 11

    @pytest.mark.parametrize("by", [-3, -2, 2, 3])
    def test_a_fixed_distance_is_a_habit_however_far(self, by: int) -> None:
        names = [f"w{i}" for i in range(11)]
        content = linked(9, 3, 0.5, uniform(11))
        link = telling(one_layer(shifted(by, 11), content, names=names))
        assert link is not None
        assert link.head == 11

    def test_two_words_that_several_heads_link_go_before_two_that_one_head_does(self) -> None:
        link = telling(one_layer(linked(THE, SAW, 0.7), linked(IT, CAT, 0.5), linked(IT, CAT, 0.6)))
        assert link is not None
        assert ends(link) == (3, 12, "it", "cat")

    @pytest.mark.parametrize("weights", [(0.8, 0.6), (0.8, 0.8)])
    def test_of_several_heads_that_link_two_words_the_first_that_says_most_is_named(
        self, weights: tuple[float, float]
    ) -> None:
        link = telling(one_layer(uniform(), *(linked(IT, CAT, weight) for weight in weights), uniform()))
        assert link is not None
        assert (link.head, link.weight) == (11, pytest.approx(0.8))

    @pytest.mark.parametrize(
        ("word", "expected"), [("unseen", ("unseen", "cat")), ("cat", ("cat", "dog")), ("dog", ("dog", "cat"))]
    )
    def test_of_a_word_only_its_own_links_count(self, word: str, expected: tuple[str, str]) -> None:
        names = tokens(["un", "seen", "cat", "saw", "dog"], words=[0, 0, 1, 2, 3])
        weights = np.full((5, 5), 0.2)
        weights[4] = 0.05, 0.05, 0.8, 0.05, 0.05
        weights[1] = 0.1, 0.1, 0.6, 0.1, 0.1
        weights[2] = 0.15, 0.15, 0.15, 0.15, 0.4
        attention = one_layer(weights, names=names)
        (place,) = attention.words(word)
        link = telling(attention, place)
        assert link is not None
        assert (link.query.text, link.key.text) == expected

    def test_a_word_is_one_that_the_record_has_found(self) -> None:
        with pytest.raises(UsageError, match=r"attention\.words"):
            telling(one_layer(linked(IT, CAT)), "it")  # type: ignore[arg-type]

    def test_what_would_be_written_as_0_is_no_link(self) -> None:
        for weight, there in ((0.0045, False), (0.0055, True)):
            faint = one_layer(linked(9, 3, weight, uniform(307)), names=[f"w{i}" for i in range(307)])
            assert bool(find_telling(faint, 1)) == there

    @pytest.mark.parametrize(("weight", "head"), [(0.17, 10), (0.24, 11)])
    @pytest.mark.parametrize("of_function_word", [(1, 5), (5, 1)], ids=["query", "key"])
    def test_a_function_word_counts_a_tenth_at_either_end(
        self, of_function_word: tuple[int, int], weight: float, head: int
    ) -> None:
        names = ["dog", "the", "cat", "saw", "bit", "man", "bird"]
        link = telling(one_layer(linked(*of_function_word, 0.99), linked(3, 0, weight), names=names))
        assert link is not None
        assert link.head == head

    @pytest.mark.parametrize(("weight", "head"), [(0.25, 10), (0.4, 11)])
    def test_a_pronoun_counts_a_fifth_as_the_key(self, weight: float, head: int) -> None:
        names = ["dog", "bit", "cat", "saw", "him", "man", "bird"]
        link = telling(one_layer(linked(6, 4, 0.99), linked(3, 0, weight), names=names))
        assert link is not None
        assert link.head == head

    @pytest.mark.parametrize(
        ("kind", "weight", "head"),
        [(Kind.ENCODER, 0.45, 10), (Kind.ENCODER, 0.65, 11), (Kind.CROSS, 0.45, 10), (Kind.CROSS, 0.65, 10)],
    )
    def test_a_pronoun_counts_double_as_the_query_but_not_where_it_looks_ahead(
        self, kind: Kind, weight: float, head: int
    ) -> None:
        names = ["dog", "bit", "him", "saw", "bird", "man", "cat"]
        ahead = one_layer(linked(2, 6, 0.5), linked(3, 0, weight), kind=kind, names=names)
        link = telling(ahead)
        assert link is not None
        assert link.head == head

    def test_of_two_words_at_a_distance_that_no_others_have_habit_explains_all(self) -> None:
        names = [f"w{i}" for i in range(7)]
        link = telling(one_layer(linked(0, 6, 0.9), linked(4, 2, 0.3), names=names))
        assert link is not None
        assert ends(link) == (3, 11, "w4", "w2")

    @pytest.mark.parametrize(
        ("often", "seldom", "expected"),
        [((0.5, 3), (0.6, 2), ("w4", "w1")), ((0.55, 4), (0.6, 3), ("w2", "w5"))],
    )
    def test_what_two_words_say_in_three_heads_counts(
        self, often: tuple[float, int], seldom: tuple[float, int], expected: tuple[str, str]
    ) -> None:
        names = [f"w{i}" for i in range(7)]
        heads = [linked(4, 1, often[0])] * often[1] + [linked(2, 5, seldom[0])] * seldom[1]
        link = telling(one_layer(*heads, names=names))
        assert link is not None
        assert (link.query.text, link.key.text) == expected

    def test_neighbours_tell_less_than_words_that_stand_apart(self) -> None:
        link = telling(one_layer(linked(SAW, CAT, 0.8), linked(IT, CAT, 0.8)))
        assert link is not None
        assert ends(link) == (3, 11, "it", "cat")

    @pytest.mark.parametrize("head", [uniform(), sink(), shifted(-1), shifted(0), linked(IT, STOP, 0.9, shifted(0))])
    def test_where_nothing_stands_out_between_words_there_is_none(self, head: np.ndarray) -> None:
        assert telling(one_layer(head)) is None

    def test_between_two_sequences_distance_says_nothing(self) -> None:
        link = telling(one_layer(linked(IT, IT, 0.8), sink(CAT), kind=Kind.CROSS))
        assert link is not None
        assert ends(link) == (3, 10, "it", "it")

    def test_one_word_alone_has_no_link(self) -> None:
        assert telling(one_layer(uniform(3), names=["[CLS]", "the", "[SEP]"])) is None

    def test_the_record_is_left_as_it_was(self) -> None:
        made = one_layer(linked(IT, CAT))
        before = made.weights.copy()
        for analyse in (telling, lambda of: strongest(of, 3)):
            analyse(made)
        assert (made.weights == before).all()
