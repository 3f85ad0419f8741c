"""Long texts in stretches: which tokens share a bin, what a bin is called, and which rows are named."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnviz.errors import UsageError
from attnviz.text import Bins, By, Segment, Token, find_rows, group_tokens, make_special_token, read_grouping

SENTENCE = "The animal didn't cross the street because it was too tired."


def tokens_of(*texts: str, special: bool = True) -> list[Token]:
    """The words of a text, or of two, as tokens, with special tokens before, between and after them."""
    tokens = [make_special_token("[CLS]", 0)] if special else []
    for number, text in enumerate(texts):
        segment = Segment(text, number)
        tokens += [segment.token(span, len(tokens) + i) for i, span in enumerate(segment.words)]
        tokens += [make_special_token("[SEP]", len(tokens))] if special else []
    return tokens


class TestBins:
    @given(st.integers(1, 41), st.integers(1, 53), st.integers(0, 2), st.booleans())
    def test_there_are_at_most_so_many_of_neighbouring_tokens(
        self, count: int, words: int, others: int, special: bool
    ) -> None:
        tokens = tokens_of("word " * words, *["other " * words] * others, special=special)
        groups = group_tokens(tokens, Bins(count))
        assert len(groups.tokens) <= min(count, len(tokens))
        assert all(after - before in (0, 1) for before, after in pairwise(groups.index))
        assert groups.index[0] == 0
        assert groups.index[-1] == len(groups.tokens) - 1

    @given(st.integers(1, 41), st.integers(1, 97))
    def test_of_one_text_there_are_exactly_so_many_and_their_lengths_differ_by_one(
        self, count: int, words: int
    ) -> None:
        groups = group_tokens(tokens_of("word " * words, special=False), Bins(count))
        lengths = [groups.index.count(number) for number in range(len(groups.tokens))]
        assert len(lengths) == min(count, words)
        assert max(lengths) - min(lengths) <= 1

    def test_special_tokens_have_bins_of_their_own_where_there_are_enough(self) -> None:
        tokens = tokens_of(SENTENCE)
        assert [token.text for token in group_tokens(tokens, Bins(4)).tokens][::3] == ["[CLS]", "[SEP]"]
        assert not any(token.special for token in group_tokens(tokens, Bins(3)).tokens[1:2])
        assert len(group_tokens(tokens, Bins(3)).tokens) == 3

    def test_no_bin_reaches_from_one_text_of_a_pair_into_the_other(self) -> None:
        tokens = tokens_of("one two three four five", "six seven eight", special=False)
        groups = group_tokens(tokens, Bins(3))
        segments = [{t.segment for t, g in zip(tokens, groups.index, strict=True) if g == bin_} for bin_ in range(2)]
        assert all(len(segment) == 1 for segment in segments)

    def test_a_bin_shows_how_it_begins_and_ends_and_begins_where_its_first_token_does(self) -> None:
        first, second = group_tokens(tokens_of(SENTENCE, special=False), Bins(2)).tokens
        assert (first.text, first.position, first.span) == ("The animal … the street", 0, (0, 34))
        assert (second.text, second.position, second.span) == ("because it … too tired.", 6, (35, 60))

    def test_a_bin_that_is_short_shows_all_of_it(self) -> None:
        assert [token.text for token in group_tokens(tokens_of("It was too tired", special=False), Bins(2)).tokens] == [
            "It was",
            "too tired",
        ]

    def test_a_special_token_shows_in_its_bin(self) -> None:
        assert [token.text for token in group_tokens(tokens_of("The dog ran."), Bins(3)).tokens] == [
            "[CLS] The",
            "dog ran",
            ". [SEP]",
        ]

    def test_as_many_bins_as_tokens_are_the_tokens(self) -> None:
        tokens = tokens_of(SENTENCE)
        assert group_tokens(tokens, Bins(len(tokens))).tokens == tuple(tokens)

    @pytest.mark.parametrize("count", [0, -3])
    def test_no_bins_are_refused(self, count: int) -> None:
        with pytest.raises(UsageError, match="at least 1"):
            Bins(count)


class TestGroupingByName:
    @given(st.one_of(st.sampled_from(By), st.builds(Bins, st.integers(1, 10**6))))
    def test_each_has_a_name_that_stands_for_it(self, by: By | Bins) -> None:
        assert read_grouping(by.value) == by

    @pytest.mark.parametrize("name", ["", "bins", "bins:", "bins:x", "bins:-3", "bins:0", "words", "bins:٣٫٥"])
    def test_other_names_stand_for_nothing(self, name: str) -> None:
        with pytest.raises(UsageError):
            read_grouping(name)


class TestRowsByName:
    tokens = tokens_of("it was 3 , and it ran", special=False)

    @pytest.mark.parametrize(
        ("names", "rows"),
        [
            (["2"], (2,)),
            (["1-3"], (1, 2, 3)),
            (["5,1-2"], (1, 2, 5)),
            (["it"], (0, 5)),
            (["IT,6"], (0, 5, 6)),
            ([","], (3,)),
            (["6", "was"], (1, 6)),
            (["5-99"], (5, 6)),
            (["99"], ()),
            ([" it , was "], (0, 1, 5)),
            (["3-1"], ()),
            (["cat"], ()),
        ],
    )
    def test_rows_are_named_by_index_range_word_or_a_list_of_these(
        self, names: list[str], rows: tuple[int, ...]
    ) -> None:
        assert find_rows(self.tokens, names) == rows
