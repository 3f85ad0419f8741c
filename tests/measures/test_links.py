import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.measures.habits import find_habits
from attnviz.measures.links import strongest, telling
from attnviz.records import Attention, Link
from attnviz.vocabulary import Kind, Place
from tests.build import Names, record, tokens

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


class TestHabits:
    @pytest.mark.parametrize(
        ("head", "place"),
        [
            (shifted(-1), Place.PREVIOUS),
            (shifted(1), Place.NEXT),
            (shifted(0), Place.SAME),
            (sink(), Place.SPECIAL),
            (sink(0), Place.SPECIAL),
            (shifted(2), Place.OTHER),
        ],
    )
    def test_a_head_that_does_one_thing_is_said_to_do_it(self, head: np.ndarray, place: Place) -> None:
        assert find_habits(one_layer(head)).main == [[place]]

    def test_shares_are_means_over_queries_that_are_not_special(self) -> None:
        found = find_habits(one_layer(shifted(-1), sink()))
        share = dict(zip(Place, found.shares[:, 0, 0], strict=True))
        assert share[Place.PREVIOUS] == pytest.approx(4 / 5)  # of the first word the token before is special
        assert share[Place.SPECIAL] == pytest.approx(1 / 5)
        assert dict(zip(Place, found.shares[:, 0, 1], strict=True))[Place.SPECIAL] == pytest.approx(1)

    def test_shares_sum_to_one_over_places_for_every_head_of_every_layer(self) -> None:
        drawn = np.random.default_rng(1).dirichlet(np.ones(7), (2, 3, 5))
        queries, keys = tokens(WORDS)[1:6], tokens(WORDS)
        made = record(Kind.ENCODER, queries=queries, keys=keys, weights=drawn)
        found = find_habits(made)
        assert found.shares.shape == (5, 2, 3)
        assert_allclose(found.shares.sum(0), 1, atol=1e-6)
        assert_allclose(found.concentration, drawn.max(-1).mean(-1), atol=1e-6)

    def test_concentration_is_the_largest_weight_of_a_row_on_average(self) -> None:
        found = find_habits(one_layer(uniform(), shifted(1), linked(IT, CAT, 0.65)))
        assert_allclose(found.concentration, [[1 / 7, 1, (4 / 7 + 0.65) / 5]], atol=1e-6)

    def test_between_two_sequences_there_is_no_before_and_after(self) -> None:
        assert find_habits(one_layer(shifted(-1), shifted(0), sink(), kind=Kind.CROSS)).main == [
            [Place.OTHER, Place.OTHER, Place.SPECIAL]
        ]

    def test_places_are_counted_in_the_whole_sequence_not_among_the_rows_held(self) -> None:
        made = one_layer(shifted(-1)).rows([SAW, IT])
        assert find_habits(made).main == [[Place.PREVIOUS]]


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
        for analyse in (telling, find_habits, lambda of: strongest(of, 3)):
            analyse(made)
        assert (made.weights == before).all()
