"""The full-screen view, driven by keys and a mouse at fixed sizes, without a terminal."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from textual import _wait
from textual.pilot import Pilot
from textual.widgets import Static

import attnviz
from attnviz.cli.options import flag
from attnviz.errors import ModelError, OutputError
from attnviz.views.screen.browser import Browser
from attnviz.views.screen.detail import Detail, name_link
from attnviz.views.screen.heads import AllHeads
from attnviz.views.screen.help import HelpScreen
from attnviz.views.screen.links import Links
from attnviz.views.screen.matrix import Matrix
from attnviz.views.screen.overview import Overview
from attnviz.views.screen.prompt import Prompt
from attnviz.views.screen.prose import Prose
from attnviz.views.screen.scene import OpenText, Scene

SENTENCE = "The animal didn't cross the street because it was too tired"
OTHER = "Mary lost her keys"
SIZES = (80, 24), (60, 20), (200, 50)


@pytest.fixture(scope="module", autouse=True)
def watchful_pilot() -> Iterator[None]:
    """Lets textual look more often, whether what a key has set going is done: after each it would wait 40 ms."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("SLEEP_GRANULARITY", "SLEEP_IDLE"):
            patched.setattr(_wait, name, getattr(_wait, name) / 4)
        yield


def make_browser(
    texts: tuple[str, ...] = (SENTENCE, OTHER), model: str = "builtin", *, added_tokens: bool = True, **options: Any
) -> Browser:
    loaded = attnviz.load(model)
    saved: list[str] = []

    def read(text: str, number: int | None = None) -> OpenText:
        return OpenText(text, loaded.attend(text, added_tokens=added_tokens), (), number)

    def save(scene: Scene, name: str) -> str:
        if not name.endswith(".png"):
            raise OutputError(f"{name} cannot be written.")
        saved.append(name)
        return f"Saved as {name}"

    app = Browser(
        lambda number: read(texts[number], number) if number < len(texts) else None,
        read,
        save,
        formats=lambda: ("png", "json"),
        option=flag,
        **options,
    )
    app.saved = saved  # type: ignore[attr-defined]
    return app


async def settle(app: Browser, pilot: Pilot[Any]) -> None:
    await pilot.pause()
    while app.busy:
        await asyncio.sleep(0.01)
        await pilot.pause()
    await pilot.pause()


Drive = Callable[[Browser, Pilot[Any]], Coroutine[Any, Any, None]]


def run_apart(steps: Coroutine[Any, Any, None]) -> None:
    """Run the steps in another thread: Playwright, once it drives a browser, keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, steps).result()


def drive(app: Browser, steps: Drive, size: tuple[int, int] = (80, 24)) -> None:
    """Run the screen at a size, wait until the first text is there, and take these steps."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await settle(app, pilot)
            await steps(app, pilot)

    run_apart(run())


def lines_of(pane: Any) -> list[str]:
    return pane.render().plain.split("\n")


def link_of(app: Browser) -> str:
    assert app.scene
    return name_link(app.scene)


def message_of(app: Browser) -> str:
    return str(app.query_one("#message", Static).render())


@pytest.mark.parametrize("size", SIZES)
def test_it_opens_with_the_most_telling_link_at_any_size(size: tuple[int, int]) -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        assert link_of(app) == "layer 3 head 1: it → animal 0.94"
        assert lines_of(app.query_one(Detail))[0].startswith(link_of(app))
        assert "animal" in " ".join(lines_of(app.query_one(Prose)))
        for pane in (Overview, Matrix, Prose, Detail):
            found = lines_of(app.query_one(pane))
            width, height = app.query_one(pane).content_size
            assert 0 < len(found) <= height
            assert max(map(len, found)) <= width

    drive(make_browser(), steps, size)


@pytest.mark.parametrize(
    ("keys", "link"),
    [
        (["left"], "layer 3 head 0: it →"),
        (["right"], "layer 3 head 2: it →"),
        (["up", "k"], "layer 1 head 1: it →"),
        (["down"], "layer 3 head 1: it →"),
        (["l", "l", "l", "l", "l", "l"], "layer 3 head 5: it →"),
        (["h", "m"], "layer 3 head 1: it → animal"),
        (["shift+up"], "layer 3 head 1: because →"),
        (["shift+right"], "layer 3 head 1: it → didn't"),
        (["shift+right", "escape"], "layer 3 head 1: it → animal"),
        (["slash", *"street", "enter"], "layer 3 head 1: street →"),
        (["slash", *"THE", "enter", "slash", *"the", "enter", "shift+up"], "layer 3 head 1: cross →"),
        (["w"], "layer 3 head 1: it → animal"),
        (["t", "g"], "layer 3 head 1: it → animal"),
    ],
)
def test_keys_lead_to_heads_and_tokens(keys: list[str], link: str) -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.press(*keys)
        await settle(app, pilot)
        assert link_of(app).startswith(link)

    drive(make_browser(), steps)


def test_special_tokens_go_and_come_back_with_the_same_query() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.press("s")
        await settle(app, pilot)
        assert "[CLS]" not in "".join(lines_of(app.query_one(Prose)))
        assert link_of(app).startswith("layer 3 head 1: it → animal")
        await pilot.press("s")
        await settle(app, pilot)
        assert "[CLS]" in "".join(lines_of(app.query_one(Prose)))

    drive(make_browser(), steps)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_several_heads_have_numbers_in_the_overview_and_a_legend(
    size: tuple[int, int], colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.press("c", "c")
        await settle(app, pilot)
        legend, sentence, *_ = lines_of(app.query_one(Detail))
        assert legend == "■ 1 layer 3 head 1  ■ 2 layer 3 head 2  ■ 3 layer 3 head 3"[: size[0] - 2]
        assert sentence.startswith("layer 3 head 3: it →")
        assert all(number in "".join(lines_of(app.query_one(Overview))[1:]) for number in "123")
        await pilot.press("a")
        assert link_of(app).startswith("mean of layer 3 head 1, layer 3 head 2, layer 3 head 3: it →")
        await pilot.press("escape")
        assert link_of(app).startswith("layer 3 head 3: it →")
        assert len(lines_of(app.query_one(Detail))) == 3

    drive(make_browser(colour=colour), steps, size)


def test_a_head_that_is_pressed_with_shift_is_shown_besides() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        heads = lines_of(app.query_one(Overview))
        place = heads[0].index("2"), heads.index(next(line for line in heads if line[:2] == "1 "))
        await pilot.click(Overview, offset=place, shift=True)
        await settle(app, pilot)
        assert lines_of(app.query_one(Detail))[0] == "■ 1 layer 3 head 1  ■ 2 layer 1 head 2"
        await pilot.click(Overview, offset=place, shift=True)
        await settle(app, pilot)
        assert link_of(app) == "layer 3 head 1: it → animal 0.94"

    drive(make_browser(), steps)


@pytest.mark.parametrize("size", SIZES)
def test_each_view_shows_the_chosen_link_and_is_followed_by_the_next(size: tuple[int, int]) -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        panes = [app.query_one(pane) for pane in (Matrix, Links, AllHeads)]
        for view in (*panes, panes[0]):
            assert [pane.display for pane in panes] == [pane is view for pane in panes]
            drawn = lines_of(view)
            width, height = view.content_size
            assert 0 < len(drawn) <= height and max(map(len, drawn)) <= width
            await pilot.press("v")
            await settle(app, pilot)

    drive(make_browser(), steps, size)


def test_links_have_a_bar_and_a_number_for_each_head_and_all_heads_have_a_row_each() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.press("v")
        await settle(app, pilot)
        titles, *rows = lines_of(app.query_one(Links))
        assert titles.split("looks at")[1:] == [titles.split("looks at")[1], ""] and "it looks at" in titles
        assert any(row.startswith("it ") and ".94" in row for row in rows)
        await pilot.press("v")
        await settle(app, pilot)
        _, *rows = lines_of(app.query_one(AllHeads))
        assert [row.split("  ")[0].strip() for row in rows][-1] == "L3 H5" and len(rows) >= 24
        assert any(row.startswith("L3 H1") and ".94" in row for row in rows)

    drive(make_browser(), steps, (200, 50))


def test_transposed_rows_are_keys() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        def row(name: str) -> str:
            return next(line for line in lines_of(app.query_one(Matrix)) if line.startswith(name))

        names = lines_of(app.query_one(Matrix))[0].split()
        assert row("it ").split()[1:][names.index("animal")] == ".94"
        await pilot.press("t")
        assert row("animal ").split()[1:][names.index("it")] == ".94"

    drive(make_browser(), steps, (200, 50))


def test_the_pointer_chooses_a_token_until_one_is_locked_and_a_press_chooses_a_head() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        prose = lines_of(app.query_one(Prose))[0]
        await pilot.hover(Prose, offset=(prose.index("street") + 2, 0))
        await settle(app, pilot)
        assert link_of(app).startswith("layer 3 head 1: street →")
        await pilot.click(Prose, offset=(prose.index("cross") + 1, 0))
        await settle(app, pilot)
        await pilot.hover(Prose, offset=(prose.index("street") + 2, 0))
        await settle(app, pilot)
        assert link_of(app).startswith("layer 3 head 1: cross →")
        heads = lines_of(app.query_one(Overview))
        await pilot.click(Overview, offset=(heads[0].index("2"), heads.index(next(x for x in heads if x[:2] == "1 "))))
        await settle(app, pilot)
        assert link_of(app).startswith("layer 1 head 2: cross →")

    drive(make_browser(), steps)


def test_a_cell_that_is_pressed_is_the_pair() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        lines = lines_of(app.query_one(Matrix))
        row = next(number for number, line in enumerate(lines) if line.startswith("cross"))
        await pilot.click(Matrix, offset=(lines[0].index("street") + 1, row))
        await settle(app, pilot)
        assert link_of(app).startswith("layer 3 head 1: cross → street")

    drive(make_browser(), steps, (200, 50))


def test_another_sentence_keeps_the_head_and_the_next_text_is_the_next_one_given() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.press("e")
        app.query_one(Prompt).value = "A cat slept"
        await pilot.press("enter")
        await settle(app, pilot)
        assert link_of(app).startswith("layer 3 head 1:")
        assert "slept" in lines_of(app.query_one(Prose))[0]
        await pilot.press("n")
        await settle(app, pilot)
        assert "animal" in lines_of(app.query_one(Prose))[0]
        await pilot.press("n")
        await settle(app, pilot)
        assert "Mary" in lines_of(app.query_one(Prose))[0]
        await pilot.press("n")
        await settle(app, pilot)
        assert message_of(app) == "There is no text after this one."
        await pilot.press("p")
        await settle(app, pilot)
        assert "animal" in lines_of(app.query_one(Prose))[0]

    drive(make_browser(), steps)


def test_an_error_is_a_sentence_on_the_screen_and_what_was_shown_stays() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.press("e")
        app.query_one(Prompt).value = "word " * 3000
        await pilot.press("enter")
        await settle(app, pilot)
        assert "tokens" in message_of(app)
        assert link_of(app) == "layer 3 head 1: it → animal 0.94"
        await pilot.press("slash", *"zebra", "enter")
        assert message_of(app).startswith("There is no token 'zebra' in this text.")

    drive(make_browser(), steps)


def test_a_model_that_cannot_be_loaded_ends_the_screen_with_its_error() -> None:
    error = ModelError("There is no such model.")

    def fail(number: int) -> OpenText:
        raise error

    app = make_browser()
    app._open = fail

    async def run() -> None:
        async with app.run_test() as pilot:
            await settle(app, pilot)

    run_apart(run())
    assert app.return_value is error


def test_what_is_shown_is_saved_and_a_file_that_is_there_only_if_enter_is_pressed_twice(tmp_path: Path) -> None:
    there = tmp_path / "there.png"
    there.touch()

    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        async def answer(name: str) -> None:
            app.query_one(Prompt).value = name
            await pilot.press("enter")
            await settle(app, pilot)

        await pilot.press("x")
        assert "png, .json" in str(app.query_one(Prompt).border_title)
        await answer("head.bmp")
        assert message_of(app) == "head.bmp cannot be written."
        await pilot.press("x")
        await answer(str(there))
        assert app.saved == []  # type: ignore[attr-defined]
        await pilot.press("enter")
        await settle(app, pilot)
        assert app.saved == [str(there)]  # type: ignore[attr-defined]

    drive(make_browser(), steps)


@pytest.mark.parametrize("size", SIZES)
def test_help_lists_the_keys_and_any_key_closes_it(size: tuple[int, int]) -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("right")
        assert not isinstance(app.screen, HelpScreen)
        assert link_of(app).startswith("layer 3 head 1:")

    drive(make_browser(), steps, size)


def test_a_window_that_is_too_small_says_so_until_it_is_larger() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.resize_terminal(30, 9)
        await pilot.pause()
        assert app.query_one("#small").display and not app.query_one(Detail).display
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert not app.query_one("#small").display and app.query_one(Detail).display

    drive(make_browser(), steps)


@pytest.mark.parametrize(("before", "after"), [((200, 50), (60, 20)), ((60, 20), (200, 50)), ((30, 9), (80, 24))])
def test_a_window_of_another_size_is_laid_out_as_if_it_had_been_opened_so(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    seen = []

    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.resize_terminal(*after)
        await settle(app, pilot)
        seen.append([app.query_one(pane).size for pane in (Overview, Matrix, Prose, Detail)])

    drive(make_browser(), steps, before)
    drive(make_browser(), steps, after)
    assert seen[0] == seen[1]


def test_without_colour_there_is_none_and_weights_are_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        drawn = lines_of(app.query_one(Matrix))
        assert any("██" in line for line in drawn)
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                assert segment.style is None or not (
                    (segment.style.color and segment.style.color.name != "default")
                    or (segment.style.bgcolor and segment.style.bgcolor.name != "default")
                )

    drive(make_browser(colour=False), steps)


def test_another_encoding_gets_only_characters_that_it_has() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        for strip in app.screen._compositor.render_strips():
            strip.text.encode("latin-1")
            assert strip.cell_length == 80

    drive(make_browser(encoding="latin-1"), steps)


def test_every_kind_can_be_reached_and_cross_attention_comes_first() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        kinds = []
        for _ in range(3):
            assert app.scene
            kinds.append(app.scene.attention.kind.value)
            await pilot.press("tab")
            await settle(app, pilot)
        assert kinds == ["cross", "encoder", "decoder"]

    drive(make_browser(("The red car is fast",), "builtin/translator"), steps)


def test_escape_quits_where_no_text_was_given_and_only_there() -> None:
    async def without(app: Browser, pilot: Pilot[Any]) -> None:
        assert "Esc quits" in str(app.query_one(Prompt).border_title)
        await pilot.press("escape")
        await pilot.pause()
        assert not app.is_running

    async def with_one(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.press("e", "escape")
        await settle(app, pilot)
        assert app.is_running and not app.query_one(Prompt).display

    drive(make_browser(()), without)
    drive(make_browser(), with_one)


@pytest.mark.parametrize(
    ("text", "added_tokens", "size", "weighed"),
    [
        (OTHER + " when she was tired", True, (80, 24), False),
        (OTHER + " when she was tired", True, (200, 50), True),  # cells of 7 columns
        (OTHER, False, (200, 50), False),  # of 6
    ],
)
def test_without_colour_each_cell_of_several_heads_has_the_number_of_the_strongest(
    text: str, added_tokens: bool, size: tuple[int, int], weighed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        await pilot.press("c", "shift+up")
        await settle(app, pilot)
        assert app.scene
        rows = {line.split()[0]: line for line in lines_of(app.query_one(Matrix)) if line.strip()}
        last = text.split()[-1]
        head = app.scene.heads[:, [t.text for t in app.scene.attention.query_tokens].index(last)].max(1).argmax()
        assert str(head + 1) in rows[last].replace(".1", "").replace(".2", "")
        assert not re.search(r"\d\.\d\d", "".join(rows.values()))  # no number of a head reads as one of a weight
        assert bool(re.search(r" \.\d\d", "".join(rows.values()))) == weighed

    drive(make_browser((text,), added_tokens=added_tokens, colour=False), steps, size)


def test_rows_that_are_scrolled_away_are_counted() -> None:
    async def steps(app: Browser, pilot: Pilot[Any]) -> None:
        assert app.scene
        drawn = lines_of(app.query_one(Matrix))
        count = len(app.scene.attention.query_tokens)
        marks = [part for line in drawn for part in line.split() if part[0] in "↑↓" and part[1:].isdecimal()]
        hidden = sum(int(mark[1:]) for mark in marks)
        assert hidden > 0 and sum(line[:1] not in " ↑↓" for line in drawn) == count - hidden

    drive(make_browser(), steps, (60, 20))
