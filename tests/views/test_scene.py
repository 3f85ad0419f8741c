"""What is shown of a text, and what keys make of it, without a screen."""

import numpy as np
import pytest
from msgspec.structs import replace

from attnviz.errors import TextError
from attnviz.records import Attention
from attnviz.views.pooling import shrink
from attnviz.views.screen.keys import CHANGES, COMMANDS, name_key, toggle_head
from attnviz.views.screen.look import Look, bar, density, scale, spell
from attnviz.views.screen.scene import Scene, State, View, find_token, open_record, open_text, prepare, rank

LAYERS, HEADS, WORDS = 2, 3, ["the", "big", "dog", "saw", "the", "cat"]


@pytest.fixture(scope="module")
def attention() -> Attention:
    """Weights of 2 layers × 3 heads that say little, but for one link from cat to dog in layer 1 head 2."""
    weights = np.full((LAYERS, HEADS, len(WORDS), len(WORDS)), 1 / len(WORDS), np.float32)
    weights[1, 2, 5] = 0.02
    weights[1, 2, 5, 2] = 0.9
    return Attention.from_array(weights, WORDS)


def scene_of(attention: Attention, **state: object) -> Scene:
    return Scene(prepare(attention, words=False, special=True), State(**state))  # type: ignore[arg-type]


def test_a_record_opens_with_its_most_telling_head_and_the_query_of_that_link(attention: Attention) -> None:
    shown = prepare(attention, words=False, special=True)
    state = open_record(shown, State(turned=True))
    assert (state.layer, state.head, state.query, state.turned) == (1, 2, 5, True)
    scene = Scene(shown, state)
    assert (scene.link.query.text, scene.link.key.text) == ("cat", "dog")
    assert scene.link.weight == pytest.approx(0.9)
    assert scene.cursor == (2, 5)
    assert scene.is_telling((1, 2)) and not scene.is_telling((0, 0))


def test_another_text_keeps_the_head_unless_there_is_none(attention: Attention) -> None:
    shown = prepare(attention, words=False, special=True)
    assert open_text(shown, State(layer=0, head=1)).head == 1
    assert open_text(shown, State(layer=7, head=1)).layer == 1


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("head_after", {"head": 1}, {"head": 2}),
        ("head_after", {"head": 2}, {"head": 2}),
        ("head_before", {"head": 0}, {"head": 0}),
        ("layer_below", {"layer": 0}, {"layer": 1}),
        ("layer_above", {"layer": 0}, {"layer": 0}),
        ("query_after", {"query": 5}, {"query": 5}),
        ("query_after", {"query": 2, "key": 4}, {"query": 3, "key": None}),
        ("key_before", {"query": 2, "key": 4}, {"query": 2, "key": 3}),
        ("lock", {}, {"locked": True}),
        ("release", {"locked": True, "key": 3}, {"locked": False, "key": None}),
        ("transpose", {}, {"turned": True}),
        ("logarithmic", {"log": True}, {"log": False}),
        ("special", {}, {"special": False}),
        ("words", {}, {"words": True}),
        ("keep", {"head": 1}, {"head": 2, "others": ((0, 1),)}),
        ("keep", {"head": 2, "others": ((0, 1),)}, {"layer": 1, "head": 0, "others": ((0, 1), (0, 2))}),
        ("keep", {"layer": 1, "head": 2, "others": ((0, 0),)}, {"layer": 0, "head": 0, "others": ((0, 0), (1, 2))}),
        ("average", {"others": ((1, 1),)}, {"mean": True}),
        ("average", {"others": ((1, 1),), "mean": True}, {"mean": False}),
        ("average", {"others": ((0, 0),)}, {"mean": False}),
        ("next_view", {}, {"view": View.LINKS}),
        ("next_view", {"view": View.LINKS}, {"view": View.HEADS}),
        ("next_view", {"view": View.HEADS}, {"view": View.MATRIX}),
        ("release", {"locked": True, "others": ((1, 1),)}, {"locked": False}),
        ("release", {"others": ((1, 1),), "mean": True}, {"others": (), "mean": False}),
        (
            "most_telling",
            {"others": ((0, 1),), "mean": True},
            {"layer": 1, "head": 2, "query": 5, "others": (), "mean": False},
        ),
    ],
)
def test_a_key_makes_one_state_of_another(
    attention: Attention, name: str, before: dict[str, object], after: dict[str, object]
) -> None:
    scene = scene_of(attention, **before)
    assert CHANGES[name](scene) == replace(scene.state, **after)


def test_a_head_is_taken_among_those_that_are_shown_and_out_of_them_but_never_the_last(attention: Attention) -> None:
    alone = State(layer=0, head=1)
    both = toggle_head(scene_of(attention, head=1), (1, 0))
    assert (both.layer, both.head, both.others) == (1, 0, ((0, 1),))
    shown = prepare(attention, words=False, special=True)
    assert toggle_head(Scene(shown, both), (1, 0)) == alone
    assert toggle_head(Scene(shown, alone), (0, 1)) == alone


def test_the_average_is_that_of_the_heads_that_are_shown_and_says_so(attention: Attention) -> None:
    scene = scene_of(attention, layer=1, head=2, others=((0, 1), (7, 0)), mean=True, query=5)
    expected = (attention.weights[1, 2] + attention.weights[0, 1]) / 2
    np.testing.assert_allclose(scene.heads, expected[None], rtol=1e-6)
    assert scene.name == "mean of layer 0 head 1, layer 1 head 2"
    np.testing.assert_allclose(scene.record.weights, expected[None, None], rtol=1e-6)
    assert scene.record.heads == (-1,) and "layer 0, head 1" in " ".join(scene.record.notes)


def test_several_heads_are_shown_one_by_one_and_the_chosen_one_is_saved(attention: Attention) -> None:
    scene = scene_of(attention, layer=1, head=2, others=((0, 1),))
    np.testing.assert_array_equal(scene.heads, [attention.weights[0, 1], attention.weights[1, 2]])
    np.testing.assert_array_equal(scene.weights, attention.weights[1, 2])
    assert (scene.record.layers, scene.record.heads) == ((1,), (2,))


def test_a_kept_head_keeps_its_number_wherever_one_goes(attention: Attention) -> None:
    shown = prepare(attention, words=False, special=True)
    state = State(layer=0, head=1)
    for action in ("keep", "keep", "layer_above", "head_before", "head_after", "keep"):
        state = CHANGES[action](Scene(shown, state))
        scene = Scene(shown, state)
        assert scene.picked[:2] == ((0, 1), (0, 2))
        assert scene.picked[scene.chosen] == (state.layer, state.head)


def test_what_is_unusual_about_how_weights_are_drawn_is_said(attention: Attention) -> None:
    assert list(scene_of(attention).drawn_as) == []
    assert list(scene_of(attention, turned=True, log=True).drawn_as) == ["keys down, queries across", "logarithmic"]


@pytest.mark.parametrize("dark", [True, False])
def test_heads_that_are_shown_together_have_colours_of_their_own(dark: bool) -> None:
    look = Look(colour=True, dark=dark)
    assert len({str(look.line(head).color) for head in range(6)}) == 6
    assert len({str(look.ground(0.7, head).bgcolor) for head in range(6)}) == 6
    assert look.ground(0.7, 6) == look.ground(0.7, 0) != look.ground(0.2, 0)


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (0.001, ""), (0.01, "▏"), (0.5, "██"), (0.53, "██▏"), (1, "████"), (1.5, "████")]
)
def test_a_bar_is_as_long_as_a_number_is_large_and_is_seen_if_it_is_no_nothing(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


def test_a_word_is_found_place_by_place(attention: Attention) -> None:
    first = find_token(scene_of(attention, query=1), "THE")
    assert (first.query, first.locked) == (0, True)
    second = find_token(Scene(prepare(attention, words=False, special=True), first), "the")
    assert second.query == 4
    assert find_token(Scene(prepare(attention, words=False, special=True), second), "the").query == 0
    with pytest.raises(TextError, match="zebra"):
        find_token(scene_of(attention), "zebra")


def test_a_word_is_found_first_as_it_is_spelled() -> None:
    capital = Attention.from_array(np.full((3, 3), 1 / 3), ["The", "dog", "the"])
    assert [find_token(scene_of(capital, query=1), word).query for word in ("the", "The", "THE")] == [2, 0, 0]
    assert find_token(scene_of(capital, query=2), "the").query == 0  # the next place


def test_pooling_keeps_the_largest_of_each_part() -> None:
    weights = np.arange(35, dtype=np.float32).reshape(5, 7)
    assert shrink(weights, 2, 3).tolist() == [[8, 10, 13], [29, 31, 34]]
    assert shrink(weights, 9, 9) is weights


def test_ranks_count_what_is_larger() -> None:
    assert [rank(np.array([0.2, 0.5, 0.3]), index) for index in range(3)] == [3, 1, 2]


def test_a_logarithmic_scale_has_three_decades() -> None:
    weights = np.array([1, 0.1, 0.01, 0.001, 0], np.float32)
    assert scale(weights, log=True) == pytest.approx([1, 2 / 3, 1 / 3, 0, 0], abs=1e-6)
    assert scale(weights, log=False) is weights


def test_characters_grow_denser_with_weight() -> None:
    assert [density(weight) for weight in (0, 0.2, 0.4, 0.7, 1)] == [*" ░▒▓█"]


@pytest.mark.parametrize(("text", "spelled"), [("it → dog", "it > dog"), ("猫", "??"), ("⣿⠀", "% "), ("▐▌", "||")])
def test_what_an_encoding_lacks_has_a_stand_in_of_the_same_width(text: str, spelled: str) -> None:
    assert spell(text, "ascii") == spelled


def test_no_key_does_two_things_and_each_has_a_name() -> None:
    keys = [key for command in COMMANDS for key in command.keys]
    assert len(keys) == len(set(keys))
    assert set(CHANGES) <= {command.action for command in COMMANDS}
    assert [name_key(key) for key in ("shift+up", "slash", "ctrl+q", "K")] == ["⇧↑", "/", "Ctrl+q", "K"]
