"""Texts longer than a model reads: refused, cut, or read in overlapping windows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.testing import assert_allclose, assert_array_equal

import attnviz
from attnviz.errors import TextError, UsageError
from attnviz.models.base import Card, Stack
from attnviz.models.lengths import cut, fit_length, read_beginning
from attnviz.models.model import Model
from attnviz.models.passages import Overlong, Passage, Reading, Windows
from attnviz.records import Attention, Selection
from attnviz.text import Bins, Segment, Token, check_text, make_special_token
from attnviz.vocabulary import Kind

WORDS = ["the", "big", "old", "dog", "saw", "a", "small", "cat", "near", "her", "house", "when", "it", "was", "late"]


def text_of(count: int) -> str:
    return " ".join(WORDS[i % len(WORDS)] for i in range(count))


def card(positions: int | None = None, *kinds: Kind) -> Card:
    stacks = {kind: Stack((0,), 1) for kind in kinds or (Kind.ENCODER,)}
    return Card(name="some model", purpose="", stacks=stacks, parameters=0, positions=positions, config={})


def reading_of(words: int, second: int = 0, overlong: Any = Overlong.REFUSED, around: bool = True) -> Reading:
    """A reading of so many words, of a pair if there are second ones, between special tokens; ids count from 100."""
    tokens: list[Token] = [make_special_token("[CLS]", 0)] if around else []
    for number, count in enumerate([words, second] if second else [words]):
        segment = Segment(text_of(count), number)
        tokens += [segment.token(span, len(tokens) + i) for i, span in enumerate(segment.words)]
        tokens += [make_special_token("[SEP]", len(tokens))] if around else []
    passage = Passage(text=text_of(words), pair=text_of(second) if second else None, overlong=overlong)
    ids = tuple(range(100, 100 + len(tokens)))
    return Reading(passage=passage, ids=ids, tokens=tuple(tokens), types=tuple(token.segment for token in tokens))


def words_in(reading: Reading, segment: int = 0) -> int:
    return sum(not token.special for token in reading.tokens if token.segment == segment)


class TestRefused:
    def test_a_text_that_is_too_long_is_refused_with_the_limit_and_the_ways_out(self) -> None:
        with pytest.raises(TextError, match=r"13 tokens long.*at most 11.*`truncate`.*`window=\"11:5\"`"):
            fit_length(reading_of(11), card(11))

    def test_a_translation_is_not_offered_windows(self) -> None:
        with pytest.raises(TextError, match="`truncate`") as caught:
            fit_length(reading_of(11), card(11, Kind.ENCODER, Kind.CROSS))
        assert "window" not in str(caught.value)

    def test_room_for_what_is_still_to_be_written_counts(self) -> None:
        assert fit_length(reading_of(7), card(11), more=2).size == (9,)
        with pytest.raises(TextError, match="leaves room for 2 new ones, and 3 were asked for"):
            fit_length(reading_of(7), card(11), more=3)


class TestCut:
    def test_the_beginning_is_kept_and_special_tokens_stand_round_it(self) -> None:
        short = fit_length(reading_of(13, overlong=Overlong.CUT), card(7))
        assert [token.text for token in short.tokens] == ["[CLS]", *WORDS[:5], "[SEP]"]
        assert short.ids == (100, 101, 102, 103, 104, 105, 114)
        assert [token.position for token in short.tokens] == list(range(7))
        assert short.notes == ("text cut to 7 of 15 tokens",)

    @pytest.mark.parametrize("beginning", [text_of(10**5), " " * 1000 + text_of(10**5)], ids=["words", "blanks first"])
    def test_of_a_long_text_only_the_beginning_is_read_and_the_note_says_so(self, beginning: str) -> None:
        passage, lengths = Passage(text=beginning, overlong=Overlong.CUT), list[int]()

        def read(passage: Passage) -> Reading:
            segment = Segment(check_text(passage.text))
            lengths.append(len(passage.text))
            tokens = tuple(segment.token(span, place) for place, span in enumerate(segment.words))
            return Reading(passage=passage, ids=tuple(range(len(tokens))), tokens=tokens)

        found = fit_length(read_beginning(passage, card(11), read), card(11))
        assert [token.text for token in found.tokens] == WORDS[:11]
        assert found.passage is passage
        assert max(lengths) < 5000
        assert found.notes[0].startswith("text cut to 11 of more than ")

    @pytest.mark.parametrize(
        ("text", "asked"),
        [
            (text_of(10**5), {}),  # as if how it is read began otherwise for every length
            ("a" * 10**6, {}),  # one word: nowhere can it be cut
            (text_of(10**5), {"pair": "too"}),
            (text_of(10**5), {"chat": True}),
            (text_of(10**5), {"overlong": Windows(7, 3)}),
        ],
        ids=["looks ahead", "one word", "pair", "chat", "windows"],
    )
    def test_what_cannot_be_told_from_the_beginning_is_read_whole(self, text: str, asked: dict[str, Any]) -> None:
        passage = Passage(**{"text": text, "overlong": Overlong.CUT} | asked)

        def read(passage: Passage) -> Reading:
            return Reading(passage=passage, ids=tuple(range(len(passage.text), 0, -1)), tokens=())

        found = read_beginning(passage, card(11), read)
        assert (len(found.ids), found.goes_on) == (len(text), False)

    def test_what_fits_is_left_as_it_is(self) -> None:
        reading = reading_of(5, overlong=Overlong.CUT)
        assert fit_length(reading, card(7)) is reading

    def test_what_is_to_be_written_has_room_left(self) -> None:
        assert fit_length(reading_of(13, overlong=Overlong.CUT), card(11), more=3).size == (8,)

    @given(st.integers(1, 17), st.integers(1, 17), st.integers(5, 37))
    def test_of_a_pair_the_longer_text_loses_tokens_first(self, first: int, second: int, room: int) -> None:
        reading = reading_of(first, second)
        if len(reading.ids) <= room:
            return
        short = cut(reading, room)
        left, right = words_in(short, 0), words_in(short, 1)
        assert left + right + 3 == room
        for kept, there, other in ((left, first, right), (right, second, left)):
            assert kept == there or kept >= other - 1  # what was cut is no shorter than the other

    def test_room_for_special_tokens_only_is_no_room(self) -> None:
        with pytest.raises(TextError, match="no room for the text in 2 tokens"):
            cut(reading_of(5), 2)


class TestWindows:
    def windows(self, words: int, size: int, stride: int, *kinds: Kind, around: bool = True) -> Reading:
        reading = reading_of(words, overlong=Windows(size, stride), around=around)
        return fit_length(reading, card(None, *kinds))

    def test_a_text_that_one_window_holds_is_read_whole(self) -> None:
        assert self.windows(5, 7, 3).windows == ()

    @given(st.integers(3, 23), st.integers(1, 17), st.integers(1, 60), st.booleans(), st.booleans())
    def test_each_token_is_a_query_of_one_window_that_holds_it(
        self, size: int, stride: int, words: int, causal: bool, around: bool
    ) -> None:
        special = 2 * around
        if stride > size - special:
            return
        kind = Kind.DECODER if causal else Kind.ENCODER
        whole = self.windows(words, size, stride, kind, around=around)
        if not whole.windows:
            assert words + special <= size
            return
        owned = np.concatenate([part.places[part.own] for part in whole.windows])
        assert_array_equal(owned, np.arange(len(whole.tokens)))  # each once, window after window
        said = [token for token in whole.tokens if not token.special]
        assert [token.text for token in said] == text_of(words).split()
        for number, part in enumerate(whole.windows):
            assert part.size == (size,)
            for here, there in enumerate(part.places):
                assert part.tokens[here].text == whole.tokens[there].text
                assert part.ids[here] == whole.ids[there]
                assert not part.own[here] or whole.tokens[there].window == number

    def test_in_an_encoder_a_token_is_read_where_it_has_most_on_both_sides(self) -> None:
        whole = self.windows(16, 10, 4)  # 8 words a window, from words 0, 4 and 8
        assert [token.window for token in whole.tokens if not token.special] == [0] * 6 + [1] * 4 + [2] * 6

    def test_in_a_decoder_a_token_is_read_in_the_first_window_where_most_stands_before_it(self) -> None:
        whole = self.windows(16, 8, 4, Kind.DECODER, around=False)
        assert [token.window for token in whole.tokens] == [0] * 8 + [1] * 4 + [2] * 4

    def test_the_last_window_is_as_long_as_the_others(self) -> None:
        whole = self.windows(13, 8, 5, Kind.DECODER, around=False)
        assert [part.ids[0] for part in whole.windows] == [100, 105]
        whole = self.windows(14, 8, 5, Kind.DECODER, around=False)
        assert [part.ids[0] for part in whole.windows] == [100, 105, 106]

    @pytest.mark.parametrize(
        ("reading", "positions", "kinds", "said"),
        [
            (reading_of(11, 3, Windows(7, 2)), None, (), "Windows work only for one text"),
            (
                reading_of(11, overlong=Windows(7, 2)),
                None,
                (Kind.ENCODER, Kind.CROSS),
                "Windows work only for one text",
            ),
            (reading_of(11, overlong=Windows(13, 2)), 11, (), "at most 11"),
            (reading_of(11, overlong=Windows(7, 6)), None, (), "hold 5 of the text"),
            (reading_of(11, overlong=Windows(2, 1)), None, (), "have room for special tokens only"),
        ],
        ids=["pair", "translation", "too long", "gaps", "too short"],
    )
    def test_windows_that_cannot_be_are_refused(
        self, reading: Reading, positions: int | None, kinds: tuple[Kind, ...], said: str
    ) -> None:
        with pytest.raises(UsageError, match=said):
            fit_length(reading, card(positions, *kinds))


@pytest.fixture(scope="module", params=["builtin/encoder", "builtin/decoder"])
def model(request: pytest.FixtureRequest) -> Model:
    return attnviz.load(request.param)


def weights(model: Model, text: str, overlong: Any, **options: Any) -> Attention:
    (attention,) = model.weights(model.read(Passage(text=text, overlong=overlong)), **options)
    return attention


def test_a_row_is_what_its_window_gives_read_alone(model: Model) -> None:
    overlong = Windows(17, 7)
    whole = model.read(Passage(text=text_of(41), overlong=overlong))
    (attention,) = model.weights(whole)
    assert len(whole.windows) > 3
    for part in whole.windows:
        (alone,) = model.weights(replace(part, own=None, places=None))
        expected = np.zeros((*alone.shape[:3], len(whole.tokens)), np.float32)
        expected[..., part.places] = alone.weights
        assert_allclose(attention.weights[:, :, part.places[part.own]], expected[:, :, part.own], atol=1e-6)


def test_rows_of_windows_sum_to_1_and_say_in_which_window_they_were_read(model: Model) -> None:
    attention = weights(model, text_of(41), Windows(17, 7))
    assert_allclose(attention.weights.sum(-1), 1, atol=1e-5)
    assert attention.notes[0].startswith("read in ") and attention.notes[0].endswith(", special tokens round each")
    assert {token.window for token in attention.query_tokens} == set(range(int(attention.notes[0].split()[2])))


def test_neighbours_are_neighbours_across_the_edge_of_a_window(model: Model) -> None:
    attention = weights(model, text_of(41), Windows(17, 7))
    said = [index for index, token in enumerate(attention.query_tokens) if not token.special]
    distances = attention.distances()
    assert distances is not None
    assert_array_equal(distances[np.ix_(said, said)], np.arange(len(said)) - np.arange(len(said))[:, None])


def test_windows_can_be_grouped_into_bins_and_cut_to_some_rows(model: Model) -> None:
    overlong = Windows(17, 7)
    dense = weights(model, text_of(41), overlong)
    binned = weights(model, text_of(41), overlong, by=Bins(11))
    assert binned.shape[2:] == (11, 11)
    assert_allclose(binned.weights.sum(-1), 1, atol=1e-5)
    rows = weights(model, text_of(41), overlong, select=Selection(rows=("3-5", "23")))
    assert_array_equal(rows.weights, dense.weights[:, :, [3, 4, 5, 23]])


def test_a_text_is_cut_to_the_positions_that_there_are(model: Model) -> None:
    limit = model.card.positions
    assert limit is not None
    attention = weights(model, text_of(2 * limit), Overlong.CUT)
    assert attention.shape[3] == limit
    assert f"text cut to {limit} of" in attention.notes[0]
