"""What a page does in a browser, by pointer and by keyboard alone."""

import html
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import fields, replace

import attnviz
from attnviz.measures.reducers import group_record
from attnviz.measures.terms import ScoredRecord
from attnviz.models.passages import Passage
from attnviz.records import Attention, HeadMatrix
from attnviz.text import By
from attnviz.views.page.pages import PageStart, make_page
from tests.views.page.conftest import PATIENCE, Show, Shown
from tests.views.page.test_document import HOSTILE, uniform


def strongest(record: Attention, layer: int, head: int, word: str) -> str:
    """The line for a token, from the record itself."""
    weights = record.head(layer, head)
    (row,) = (i for i, token in enumerate(record.query_tokens) if token.text == word)
    key = weights[row].argmax()
    return f"layer {layer} head {head}: {word} → {record.key_tokens[key].text} {weights[row, key]:.2f}"


def test_the_line_names_the_telling_head_and_the_strongest_key_of_its_query(show: Show, animal: Attention) -> None:
    link = attnviz.telling(animal)
    shown = show(animal)
    assert shown.line == strongest(animal, link.layer, link.head, link.query.text)
    assert shown.line.startswith("layer 3 head 1: it → animal 0.")
    assert shown.tab.locator("[aria-live]").count() == 1


def test_arrows_and_letters_walk_through_heads_and_layers(show: Show, animal: Attention) -> None:
    shown = show(animal)
    assert shown.press("ArrowRight") == strongest(animal, 3, 2, "it")
    assert shown.press("ArrowUp", "ArrowUp") == strongest(animal, 1, 2, "it")
    assert shown.press("h", "j") == strongest(animal, 2, 1, "it")
    assert shown.press("l", "k") == strongest(animal, 1, 2, "it")
    assert shown.press(*["ArrowUp"] * 9, *["ArrowRight"] * 9) == strongest(animal, 0, 5, "it")


def test_a_word_is_found_locked_and_let_go(show: Show, animal: Attention) -> None:
    shown = show(animal)
    shown.tab.keyboard.press("/")
    shown.tab.keyboard.type("TIRED")
    assert shown.line == strongest(animal, 3, 1, "tired")
    shown.press("Enter")
    assert shown.press("Enter") and shown.hash["locked"] == "true"
    assert shown.hover("query", 3) == strongest(animal, 3, 1, "tired")
    shown.press("Escape")
    assert "locked" not in shown.hash
    shown.tab.mouse.move(2, 2)
    assert shown.hover("query", 3) == strongest(animal, 3, 1, "didn't")


def test_pointing_shows_and_clicking_keeps_either_direction(show: Show, animal: Attention) -> None:
    shown = show(animal)
    assert shown.hover("query", 2) == strongest(animal, 3, 1, "animal")
    column = animal.head(3, 1)[:, 8]
    looks = animal.query_tokens[column.argmax()].text
    assert shown.click("key", 8) == f"layer 3 head 1: {looks} → it {column.max():.2f}"
    assert (shown.hash["side"], shown.hash["locked"]) == ("key", "true")
    shown.hover("query", 2)
    assert shown.line == f"layer 3 head 1: {looks} → it {column.max():.2f}"
    lists = shown.tab.locator(".details ol").all_text_contents()
    assert lists[0].startswith(looks) and len(lists) == 2


def test_links_are_drawn_of_the_chosen_token_alone_and_none_below_the_threshold(show: Show, animal: Attention) -> None:
    shown = show(animal, "#layer=2&head=0&token=8")
    row = animal.head(2, 0)[8]
    assert shown.tab.locator(".links path").count() == (row >= 0.02).sum() > 2
    shown.tab.locator("[aria-label='Hide links below']").fill("0.2")
    shown.line  # noqa: B018
    assert shown.tab.locator(".links path").count() == (row >= 0.2 * animal.weights.max()).sum()


def test_words_and_left_out_special_tokens_are_those_of_the_command(show: Show) -> None:
    (attention,) = attnviz.load("builtin/decoder").attend("the unhappiest zebras ran")
    grouped = group_record(attention, By.WORD)
    assert grouped.shape[2] < attention.shape[2]
    shown = show(attention, "#layer=1&head=2&token=3&words=true")
    assert shown.tokens("query") == [token.text for token in grouped.query_tokens]
    weights = grouped.head(1, 2)
    place = next(
        i for i, token in enumerate(grouped.query_tokens) if token.text == shown.line.split(": ")[1].split(" →")[0]
    )
    assert shown.line.endswith(f"{grouped.key_tokens[weights[place].argmax()].text} {weights[place].max():.2f}")
    shown.press("w", "s")
    bare = attention.without_special()
    assert shown.tokens("key") == [token.text for token in bare.key_tokens]
    row = bare.head(1, 2)[2]
    assert shown.line.endswith(f"{bare.key_tokens[row.argmax()].text} {row.max():.2f}")


def test_a_text_whose_characters_are_several_tokens_opens_by_words_each_character_once(show: Show) -> None:
    (attention,) = attnviz.load("builtin").attend("القطة نام")
    shown = show(attention, "#view=prose")
    assert shown.tokens("query") == ["[CLS]", "القطة", "نام", "[SEP]"]
    words = r"\u2068(القطة|نام)\u2069|\[(CLS|SEP)\]"  # isolated, so that numbers stay where they are
    assert re.fullmatch(rf"layer \d head \d: ({words}) → ({words}) \d\.\d\d", shown.line)
    assert shown.press("w") and len(shown.tokens("query")) == attention.shape[2] > 15


def test_all_kinds_of_a_model_are_on_one_page(show: Show, translation: list[Attention]) -> None:
    shown = show(translation)
    kinds = shown.tab.locator("[aria-label='Kind of attention'] button")
    assert kinds.all_text_contents() == ["encoder", "decoder", "cross"]
    cross = translation[2]
    assert shown.tokens("key") == [token.text for token in cross.key_tokens]
    assert shown.tokens("query") == [token.text for token in cross.query_tokens]
    kinds.nth(1).click()
    shown.line  # noqa: B018
    assert shown.tokens("key") == [token.text for token in translation[1].key_tokens]
    shown.tab.keyboard.press("Shift+ArrowUp")  # from the last token, which predicts nothing
    shown.line  # noqa: B018
    assert "is to predict" in shown.tab.text_content(".details")


def test_several_heads_are_shown_in_colours_with_a_legend_or_averaged(show: Show, animal: Attention) -> None:
    shown = show(animal, "#layer=3&head=1&token=8&others=2.2,1.3")
    assert shown.tab.locator(".legend button").all_text_contents() == ["3.1 ×", "2.2 ×", "1.3 ×"]
    colours = shown.tab.eval_on_selector_all(".legend .swatch", "all => all.map(one => one.style.backgroundColor)")
    assert len(set(colours)) == 3
    strokes = shown.tab.eval_on_selector_all(".links path", "all => all.map(one => one.getAttribute('stroke'))")
    assert len(set(strokes)) == 3
    mean = np.mean([animal.head(3, 1), animal.head(2, 2), animal.head(1, 3)], 0)[8]
    assert shown.press("a") == f"mean of 3.1, 2.2, 1.3: it → {animal.key_tokens[mean.argmax()].text} {mean.max():.2f}"
    shown.tab.click(".legend button >> nth=1")
    mean = np.mean([animal.head(3, 1), animal.head(1, 3)], 0)[8]
    assert shown.line.startswith("mean of 3.1, 1.3") and shown.line.endswith(f"{mean.max():.2f}")
    shown.tab.locator(".tiles").click(modifiers=["Shift"], position={"x": 3, "y": 3})
    assert "0.0" in shown.press("a") or shown.tab.locator(".legend button").count() == 3


def heads_of(shown: Shown) -> set[str]:
    """Return the heads in the legend, of which there is none for a single one."""
    assert shown.line
    return {text.removesuffix(" ×") for text in shown.tab.locator(".legend button").all_text_contents()}


def test_heads_that_are_kept_stay_when_one_walks_over_them(show: Show, animal: Attention) -> None:
    shown = show(animal)
    shown.press("c")
    assert heads_of(shown) == {"3.1", "3.2"}
    assert shown.press("ArrowLeft") == strongest(animal, 3, 1, "it") and heads_of(shown) == set()
    shown.press("ArrowRight")
    assert heads_of(shown) == {"3.1", "3.2"}
    shown.press("ArrowLeft", "A", "h", "l")
    assert heads_of(shown) == {f"3.{head}" for head in range(6)}


def test_escape_lets_the_token_go_and_then_the_heads_that_are_kept(show: Show, animal: Attention) -> None:
    shown = show(animal)
    shown.press("c", "Enter", "?", "Escape")
    assert shown.hash["locked"] == "true"
    shown.press("Escape")
    assert "locked" not in shown.hash and heads_of(shown) == {"3.1", "3.2"}
    shown.press("Escape")
    assert heads_of(shown) == set() and "others" not in shown.hash


def test_a_word_that_is_not_there_locks_nothing(show: Show, animal: Attention) -> None:
    shown = show(animal)
    shown.tab.keyboard.press("/")
    shown.tab.keyboard.type("zebra")
    assert shown.press("Enter") == strongest(animal, 3, 1, "it")
    assert "locked" not in shown.hash and "zebra" in shown.tab.text_content(".said")
    shown.tab.fill("[type=search]", "street")
    assert shown.press("Enter") == strongest(animal, 3, 1, "street")
    assert (shown.hash["locked"], shown.tab.text_content(".said")) == ("true", "")


@pytest.mark.parametrize("view", ["links", "prose"])
def test_the_token_that_the_chosen_one_is_paired_with_is_marked(show: Show, animal: Attention, view: str) -> None:
    shown = show(animal, f"#view={view}&layer=3&head=1&token=2&locked=true")
    assert shown.tab.locator(".paired").count() == 0
    shown.press("Shift+ArrowRight")
    pair = shown.line.split(": ")[1].split(" → ")[1].rpartition(" ")[0]
    assert shown.tab.locator(".paired bdi").all_text_contents() == [pair]


def test_the_matrix_is_a_grid_with_one_cell_that_the_keyboard_reaches(show: Show, animal: Attention) -> None:
    shown = show(animal, "#view=matrix&layer=3&head=1&token=8")
    grid = shown.tab.locator(".grid")
    assert (grid.get_attribute("role"), grid.get_attribute("aria-rowcount"), grid.get_attribute("aria-colcount")) == (
        "grid",
        "13",
        "13",
    )
    assert grid.locator("[role=gridcell][tabindex='0']").count() == 1
    assert grid.locator("[role=gridcell]").text_content() == shown.line
    assert grid.locator("[role=row]").get_attribute("aria-rowindex") == "9"
    numbers = [text for text in grid.locator("text.number").all_text_contents() if text != "·"]
    weights = animal.head(3, 1)
    assert len(numbers) == (weights >= 0.005).sum()
    shown.press("Shift+ArrowDown")
    assert shown.line == strongest(animal, 3, 1, "was")
    before = shown.line
    row, key = weights[9], weights[9].argmax()
    assert (
        shown.press("Shift+ArrowRight")
        == f"layer 3 head 1: was → {animal.key_tokens[key + 1].text} {row[key + 1]:.2f}"
        != before
    )
    shown.press("t")
    assert shown.tab.locator(".corner").text_content() == "keys ↓  queries →"


def test_a_cell_under_the_pointer_is_named(show: Show, animal: Attention) -> None:
    shown = show(animal, "#view=matrix&layer=3&head=1")
    box = shown.tab.locator(".grid canvas").bounding_box()
    side = box["width"] / 13
    shown.tab.mouse.move(box["x"] + 3.5 * side, box["y"] + 2.5 * side)
    assert shown.line == f"layer 3 head 1: animal → didn't {animal.head(3, 1)[2, 3]:.2f}"


def test_one_token_is_shown_across_all_heads(show: Show, animal: Attention) -> None:
    shown = show(animal, "#view=heads&token=8")
    grid = shown.tab.locator(".grid")
    assert (grid.get_attribute("aria-rowcount"), grid.get_attribute("aria-colcount")) == ("24", "13")
    texts = grid.locator("text.number").all_text_contents()
    row = animal.head(2, 2)[8]
    shown_row = texts[13 * 14 : 13 * 15]
    assert [text != "·" for text in shown_row] == [bool(weight >= 0.005) for weight in row]


def test_the_state_stands_in_the_url_and_can_be_sent(show: Show, animal: Attention) -> None:
    shown = show(animal)
    line = shown.press("ArrowRight", "Shift+ArrowDown", "g", "v", "v", "Enter")
    sent = show(animal, shown.tab.evaluate("location.hash"))
    assert sent.line == line
    assert sent.tab.locator(".grid").count() == 1
    assert sent.hash == shown.hash
    assert shown.press("v", "v", "g") and show(animal, shown.tab.evaluate("location.hash")).hash == shown.hash


@pytest.mark.parametrize(
    "state", ["#layer=99&head=x&token=-4&others=7.7,a&view=none&record=5", "#%E0%A4%A", "#least=NaN&other=999"]
)
def test_a_hash_that_makes_no_sense_does_no_harm(show: Show, animal: Attention, state: str) -> None:
    assert re.fullmatch(r"layer \d head \d: \S+ → \S+ \d\.\d\d", show(animal, state).line)


def test_hostile_tokens_are_only_text(show: Show) -> None:
    shown = show(uniform(HOSTILE), text=" ".join(HOSTILE))
    tokens = shown.tokens("key")
    assert tokens[:3] == HOSTILE[:3]
    assert max(map(len, tokens)) <= 61
    assert shown.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "</script>" in shown.tab.text_content("h1")
    for view in ("prose", "matrix", "heads"):
        shown.press("v")
        shown.tab.wait_for_selector({"prose": ".prose"}.get(view, ".grid"))
        assert shown.tab.locator("script").count() == 2 + 1 + 2  # the data and the code, thumbnails, two layers


def test_numbers_of_either_sign_have_two_colours_and_keep_their_sign(show: Show, animal: Attention) -> None:
    kept = {field.name: getattr(animal, field.name) for field in fields(HeadMatrix)}
    difference = HeadMatrix(**kept | {"weights": animal.weights - animal.weights[::-1], "measure": "difference"})
    shown = show(difference, "#view=matrix&layer=3&head=1&token=8")
    row = difference.head(3, 1)[8]
    assert shown.line.endswith(f"{row[np.abs(row).argmax()]:.2f}")
    numbers = shown.tab.locator("text.number").all_text_contents()
    assert any(text.startswith("−") for text in numbers) and any(text.startswith(".") for text in numbers)
    painted = shown.tab.eval_on_selector(".grid canvas", "c => [...c.getContext('2d').getImageData(0, 0, 13, 13).data]")
    reds, blues = np.array(painted[0::4]).reshape(13, 13), np.array(painted[2::4]).reshape(13, 13)
    weights = difference.head(3, 1)
    assert (reds > blues)[weights > 0.2].all() and (blues > reds)[weights < -0.2].all()


def test_a_difference_says_so_and_opens_at_the_largest(show: Show, animal: Attention) -> None:
    kept = {field.name: getattr(animal, field.name) for field in fields(HeadMatrix)}
    difference = HeadMatrix(**kept | {"weights": animal.weights[::-1] - animal.weights, "measure": "difference"})
    layer, head, query, key = np.unravel_index(np.abs(difference.weights).argmax(), difference.shape)
    number = difference.weights[layer, head, query, key]
    shown = show(difference)
    tokens = [token.text for token in animal.query_tokens]
    sign = "+" if number > 0 else "−"
    assert shown.line == (
        f"layer {layer} head {head}, difference: {tokens[query]} → {tokens[key]} {sign}{abs(number):.2f}"
    )
    assert shown.tab.text_content("h1") == "Difference: a text"
    assert shown.tab.locator(".rings .telling").count() == 1
    aside = shown.tab.text_content(".details")
    assert "A difference has no queries and keys, and no numbers of heads." in aside and "look" not in aside


def test_a_query_of_a_decoder_stands_with_what_it_predicts(show: Show, translation: list[Attention]) -> None:
    shown = show(translation, text="The red car is fast")
    link = attnviz.telling(translation[2])
    said = f"{link.query.text} (→ {link.query.predicts}) → {link.key.text}"
    assert said in shown.line
    assert shown.tab.text_content("h1") == "The red car is fast … la voiture rouge est rapide"


def test_what_is_copied_is_the_line_and_what_is_saved_is_svg(show: Show, animal: Attention) -> None:
    shown = show(animal)
    shown.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.press("y")
    assert shown.tab.evaluate("navigator.clipboard.readText()") == shown.line
    for view in ("links", "prose", "matrix", "heads"):
        with shown.tab.expect_download() as waiting:
            shown.tab.keyboard.press("x")
        drawing = ET.parse(waiting.value.path()).getroot()
        texts = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
        assert drawing.tag.endswith("}svg") and "animal" in texts, view
        assert (drawing.find(".//{http://www.w3.org/2000/svg}image") is not None) == (view in ("matrix", "heads"))
        shown.press("v")
        shown.tab.wait_for_timeout(100)


def test_the_help_lists_every_key(show: Show, animal: Attention) -> None:
    shown = show(animal)
    shown.press("?")
    assert shown.tab.locator("dialog[open]").count() == 1
    listed = " ".join(shown.tab.locator("dialog dt").all_text_contents()).split()
    assert {"h", "j", "k", "l", "/", "Enter", "Escape", "t", "g", "s", "w", "?"} <= set(listed)
    shown.press("Escape")
    assert shown.tab.locator("dialog[open]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_can_be_switched(show: Show, animal: Attention, scheme: str) -> None:
    shown = show(animal, color_scheme=scheme)
    theme = "document.documentElement.dataset.theme"
    assert shown.tab.evaluate(theme) == scheme
    other = {"light": "dark", "dark": "light"}[scheme]
    shown.tab.select_option("[aria-label=Colours]", other)
    shown.line  # noqa: B018
    assert (shown.tab.evaluate(theme), shown.hash["theme"]) == (other, other)


@pytest.mark.parametrize("width", [400, 640, 800, 1280])
@pytest.mark.parametrize("view", ["links", "prose", "matrix", "heads"])
def test_nothing_is_wider_than_a_screen(show: Show, animal: Attention, width: int, view: str) -> None:
    """640 pixels are what a page has at 200% on a screen of 1280."""
    shown = show(animal, f"#view={view}", width=width)
    assert shown.tab.evaluate("document.documentElement.scrollWidth") <= width


NAME = """
one => one === document.body ? null : (one.getAttribute("aria-label") ?? one.textContent).trim()
"""


def test_everything_is_reached_by_the_keyboard_and_has_a_name(show: Show, animal: Attention) -> None:
    shown = show(animal)
    seen = []
    for _ in range(40):
        shown.tab.keyboard.press("Tab")
        seen.append(shown.tab.evaluate_handle("document.activeElement").evaluate(NAME))
    assert {"Links", "Matrix", "Words", "Hide links below", "Find a word", "Colours", "Help", "layer 3 head 1"} <= set(
        seen
    )
    assert "" not in seen


@pytest.mark.parametrize(("wanted", "seconds", "way"), [("reduce", "0s", "auto"), ("no-preference", "0.12s", "smooth")])
def test_where_motion_is_to_be_reduced_nothing_moves(
    show: Show, animal: Attention, wanted: str, seconds: str, way: str
) -> None:
    shown = show(animal, reduced_motion=wanted)
    assert shown.tab.eval_on_selector(".token", "one => getComputedStyle(one).transitionDuration") == seconds
    assert shown.tab.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == way


def test_on_paper_there_are_no_tools(show: Show, animal: Attention) -> None:
    shown = show(animal, "#theme=dark")
    shown.tab.emulate_media(media="print")
    shown.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.tab.evaluate("document.documentElement.dataset.theme") == "light"
    assert not shown.tab.locator(".tools").is_visible()
    assert shown.tab.locator("#line").is_visible()
    assert shown.tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_an_opening_decides_how_a_page_begins(show: Show, animal: Attention) -> None:
    shown = show(animal, opening=PageStart(token="street", log=True, transpose=True, title="A title"))
    assert shown.line == strongest(animal, 3, 1, "street")
    pressed = {key: shown.tab.get_attribute(f"[aria-keyshortcuts={key}]", "aria-pressed") for key in "gtw"}
    assert pressed == {"g": "true", "t": "true", "w": "false"}
    assert (shown.tab.text_content("h1"), "locked" in shown.tab.text_content(".step")) == ("A title", True)


def test_a_page_in_a_sandboxed_frame_works_without_a_history(
    visit: Callable[..., Shown], animal: Attention, tmp_path: Path
) -> None:
    path = tmp_path / "notebook.html"
    path.write_text("<!doctype html><meta charset=utf-8>" + (animal._repr_html_() or "") * 2, encoding="utf-8")
    shown = visit(path)
    ids = shown.tab.eval_on_selector_all("iframe", "all => all.map(one => one.id)")
    assert len(set(ids)) == 1 and shown.tab.locator("img").count() == 2
    shown.tab.locator("iframe >> nth=1").scroll_into_view_if_needed()  # what is out of sight may rest
    frame = shown.tab.frame_locator("iframe >> nth=1")
    frame.locator(".token").first.wait_for()
    frame.locator(".tiles [role=gridcell]").press("ArrowRight")
    frame.locator("#line", has_text=strongest(animal, 3, 2, "it")).wait_for()


def test_in_a_frame_like_that_of_vs_code_the_page_works_under_its_policy(
    visit: Callable[..., Shown], animal: Attention, tmp_path: Path
) -> None:
    """VS Code puts HTML into its own frame as a whole; a policy there, which may be switched on, holds for ours too."""
    policy = (
        "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src https: http: data:; font-src https:; connect-src https:; child-src https: data:"
    )
    fragment = json.dumps((animal._repr_html_() or "") * 2).replace("<", "\\u003c")
    inner = f'<meta charset=utf-8><meta http-equiv=Content-Security-Policy content="{policy}"><div id=out></div>'
    inner += f"<script>out.innerHTML = {fragment}</script>"
    sandbox = "allow-same-origin allow-pointer-lock allow-scripts allow-downloads"
    path = tmp_path / "vscode.html"
    frame = f'<iframe sandbox="{sandbox}" width=1200 height=800 srcdoc="{html.escape(inner)}"></iframe>'
    path.write_text(f"<!doctype html><meta charset=utf-8>{frame}", encoding="utf-8")
    shown = visit(path)
    outer = shown.tab.frame_locator("iframe")
    assert outer.locator("img").count() == 2 and outer.locator("img").first.evaluate("one => one.naturalWidth") > 0
    page = outer.frame_locator("iframe >> nth=1")
    outer.locator("iframe >> nth=1").scroll_into_view_if_needed()
    page.locator(".token").first.wait_for()
    page.locator(".tiles [role=gridcell]").press("ArrowRight")
    page.locator("#line", has_text=strongest(animal, 3, 2, "it")).wait_for()
    shown.complaints = [text for text in shown.complaints if "allow-same-origin" not in text]  # of the frame around


def test_where_scripts_are_switched_off_the_picture_is_there(
    visit: Callable[..., Shown], animal: Attention, tmp_path: Path
) -> None:
    path = tmp_path / "stripped.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{animal._repr_html_()}", encoding="utf-8")
    shown = visit(path, java_script_enabled=False)
    box = shown.tab.locator("img").bounding_box()
    assert box["width"] > 300 and box["height"] > 200


def test_a_page_that_is_still_being_read_waits_for_the_layer_that_it_needs(window: Any, animal: Attention) -> None:
    page = make_page([animal], "a text", PageStart()).data.decode()
    cut = page.index('id="chunk-0-2"') + 60  # in the midst of a layer that is not shown first
    shown = Shown(window.new_page())
    shown.tab.evaluate("html => document.write(html)", page[:cut])
    shown.tab.wait_for_selector("html[data-ready]", state="attached", timeout=PATIENCE)
    assert shown.line == strongest(animal, 3, 1, "it")
    shown.tab.keyboard.press("ArrowUp")
    shown.tab.wait_for_timeout(100)
    assert shown.tab.text_content("#line") == strongest(animal, 3, 1, "it")
    shown.tab.evaluate("html => { document.write(html); document.close(); }", page[cut:])
    assert shown.line == strongest(animal, 2, 1, "it")
    shown.tab.close()


def test_a_long_text_is_there_and_walked_through(show: Show, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    weights = rng.random((3, 5, 307, 307), np.float32) ** 4000 + 1e-9
    record = Attention.from_array(weights / weights.sum(-1, keepdims=True), [f"w{i}" for i in range(307)])
    shown = show(record, "#layer=0&head=0&token=200")
    assert re.fullmatch(r"layer 0 head 0: w200 → w\d+ \d\.\d+", shown.line)
    key = record.head(2, 4)[200].argmax()
    assert shown.press(*["ArrowDown"] * 2, *["ArrowRight"] * 4).startswith(f"layer 2 head 4: w200 → w{key} ")
    assert shown.tab.locator(".links path").count() <= 50


def dimensions_of(shown: Shown) -> list[list[float]]:
    """Return the query, the key and the product of each dimension that is shown."""
    titles = shown.tab.eval_on_selector_all(".dimensions [title]", "all => all.map(one => one.title)")
    numbers = (re.findall(r"−?\d[\d.e-]*", title.partition(": ")[2]) for title in titles)
    return [[float(number.replace("−", "-")) for number in found] for found in numbers]


class TestProducts:
    """The dimensions of q·k of a locked pair."""

    @pytest.mark.parametrize(
        ("name", "text", "more", "place"),
        [
            ("builtin", "The animal didn't cross the street because it was too tired", {}, 0),
            ("builtin/decoder", "the unhappiest zebras ran", {}, 0),
            ("builtin/translator", "The red car is fast", {"target": "la voiture rouge est rapide"}, 2),
        ],
    )
    def test_their_sum_is_the_product_that_the_model_itself_traces(
        self,
        show: Show,
        told: Callable[..., list[ScoredRecord]],
        name: str,
        text: str,
        more: dict[str, str],
        place: int,
    ) -> None:
        kept = told(name, text, **more)
        records, terms = [one.record for one in kept], [one.terms for one in kept if one.terms]
        record, query = records[place], 4
        shown = show(records, f"#record={place}&layer=1&head=3&token={query}&locked=true", terms=terms)
        model = attnviz.load(name)
        trace = model.trace(model.read(Passage(text=text, **more)), record.kind, 1, query)
        own = trace.query if trace.turned_query is None else trace.turned_query
        keys = trace.keys if trace.turned_keys is None else trace.turned_keys
        row = record.head(1, 3)[query]
        strongest = int(row.argmax())
        turn, other = ("Left", strongest - 1) if strongest else ("Right", 1)
        for key in (strongest, other):
            products = own[3].astype(float) * keys[3, key]
            names, numbers = (shown.tab.locator(f".products {part}").all_text_contents() for part in ("dt", "dd"))
            steps = dict(zip(names, numbers, strict=True))
            assert float(steps["Σ q·k"]) == pytest.approx(products.sum(), abs=0.011)
            (score,) = (float(value) for step, value in steps.items() if step.startswith("score"))
            assert score == pytest.approx(products.sum() * trace.scale, abs=0.011)
            (weight,) = (float(value) for step, value in steps.items() if step.startswith("weight"))
            assert weight == pytest.approx(row[key], abs=0.006)
            for part, numbers in enumerate((own[3], keys[3, key], products)):
                exact = pytest.approx(numbers, abs=0.006 + 0.002 * float(np.abs(numbers).max()))
                assert [dimension[part] for dimension in dimensions_of(shown)] == exact
            shown.press(f"Shift+Arrow{turn}")

    def test_the_largest_come_first_if_asked(self, show: Show, told: Callable[..., list[ScoredRecord]]) -> None:
        (kept,) = told("builtin", "Mary lost her keys")
        shown = show(kept.record, "#layer=2&head=1&token=3&locked=true", terms=[kept.terms])
        shown.tab.click("text=largest first")
        assert shown.line and shown.hash["sorted"] == "true"
        sizes = [abs(product) for _, _, product in dimensions_of(shown)]
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) == 16

    def test_queries_keys_and_products_are_rows_of_cells_blue_below_zero_and_orange_above(
        self, show: Show, told: Callable[..., list[ScoredRecord]]
    ) -> None:
        (kept,) = told("builtin", "Mary lost her keys")
        shown = show(kept.record, "#layer=2&head=1&token=3&locked=true", terms=[kept.terms])
        colours = "all => all.map(one => [...one.children].map(cell => cell.style.backgroundColor.match(/\\d+/g)))"
        painted = shown.tab.eval_on_selector_all(".dimensions [role=listitem]", colours)
        numbers = np.array(dimensions_of(shown))  # [dimensions, 3]
        reds, blues = (np.array([[int(cell[part]) for cell in one] for one in painted]) for part in (0, 2))
        strong = np.abs(numbers) > 0.2 * np.abs(numbers).max(0)
        assert strong.any(0).all()
        assert ((reds > blues) == (numbers > 0))[strong].all()
        peaks = shown.tab.locator(".strip b").all_text_contents()
        assert [float(peak.removeprefix("±")) for peak in peaks] == pytest.approx(np.abs(numbers).max(0), abs=0.006)
        assert shown.tab.locator(".products .scale").count() == 1

    def test_the_numbers_of_a_dimension_are_told_to_the_pointer_and_to_screen_readers(
        self, show: Show, told: Callable[..., list[ScoredRecord]]
    ) -> None:
        (kept,) = told("builtin", "Mary lost her keys")
        shown = show(kept.record, "#layer=2&head=1&token=3&locked=true", terms=[kept.terms])
        items = shown.tab.get_by_role("list", name="q, k and q·k in each dimension").get_by_role("listitem")
        said = items.nth(5).get_attribute("title")
        assert re.fullmatch(r"dimension 5: (\S+) × (\S+) = (\S+)", said)
        assert shown.tab.get_by_role("listitem", name=said).count() == 1
        note = shown.tab.locator(".products .note")
        before = note.text_content()
        assert before.startswith("Largest: ")
        items.nth(5).hover()
        assert note.text_content() == said
        shown.tab.mouse.move(2, 2)
        assert note.text_content() == before

    def test_a_view_has_them_of_every_key_and_a_click_locks_one(
        self, show: Show, told: Callable[..., list[ScoredRecord]]
    ) -> None:
        (kept,) = told("builtin", "Mary lost her keys")
        assert kept.terms is not None
        shown = show(kept.record, "#view=products&layer=2&head=1&token=3", terms=[kept.terms])
        own = kept.terms.layers[2]
        products = own.queries[1, 3] * own.keys[1] * own.scale  # [keys, d]
        texts = shown.tab.locator(".grid text.number").all_text_contents()
        assert [text != "·" for text in texts] == [bool(abs(value) >= 0.005) for value in products.ravel()]
        box = shown.tab.locator(".grid canvas").bounding_box()
        shown.tab.mouse.click(box["x"] + 5, box["y"] + box["height"] * 1.5 / 6)
        assert shown.line == f"layer 2 head 1: her → Mary {kept.record.head(2, 1)[3, 1]:.2f}"
        assert (shown.hash["other"], shown.hash["locked"]) == ("1", "true")

    def test_where_there_are_none_the_page_says_why(
        self, show: Show, told: Callable[..., list[ScoredRecord]], animal: Attention
    ) -> None:
        (kept,) = told("builtin", "The unhappiest zebras ran away")
        for record, terms, word in (
            (animal, (), "saved weights"),
            (group_record(animal, By.WORD), (), "are words"),
            (animal.mean(), (), "mean over heads"),
            (kept.record, [kept.terms], "Lock a token"),
        ):
            notes = show(record, terms=terms).tab.locator(".details .note").all_text_contents()
            assert any(word in note for note in notes), (word, notes)
        shown = show(kept.record, "#locked=true&token=2&words=true", terms=[kept.terms])
        assert "several tokens" in shown.tab.text_content(".products")

    def test_a_pair_is_locked_by_a_click_in_the_list(self, show: Show, animal: Attention) -> None:
        shown = show(animal)
        row = animal.head(3, 1)[8]
        second = int(np.argsort(-row)[1])
        shown.tab.click(f".details ol >> nth=0 >> text={animal.key_tokens[second].text}")
        assert shown.line == f"layer 3 head 1: it → {animal.key_tokens[second].text} {row[second]:.2f}"
        assert shown.hash["locked"] == "true"


def test_queries_and_keys_that_there_is_no_room_for_are_left_out_and_it_is_said(
    told: Callable[..., list[ScoredRecord]],
) -> None:
    (kept,) = told("builtin", "The animal didn't cross the street because it was too tired")
    without = make_page([kept.record], "a text", PageStart())
    whole = make_page([kept.record], "a text", PageStart(), terms=[kept.terms])
    assert len(whole.data) > len(without.data) and not whole.notes
    page = make_page([kept.record], "a text", PageStart(), 20_000, terms=[kept.terms])
    (note,) = page.notes
    assert "Queries and keys would take" in note and "Choose layers or heads" in note
    assert note in page.data.decode() and b"chunk-0-0-queries" not in page.data


@pytest.fixture(scope="module")
def long() -> Attention:
    rng = np.random.default_rng(13)
    weights = rng.random((2, 3, 499, 499), np.float32) ** 900 + 1e-9
    return Attention.from_array(weights / weights.sum(-1, keepdims=True), [f"word{i}" for i in range(499)])


class TestOutOfSight:
    """A long text, of which a screen shows a part."""

    @staticmethod
    def is_seen(shown: Shown) -> bool:
        """Return whether the chosen token is on the screen, below the lines that stay on top."""
        assert shown.line
        top, bottom = shown.tab.eval_on_selector(
            ".token.active", "one => { const box = one.getBoundingClientRect(); return [box.top, box.bottom]; }"
        )
        box = shown.tab.locator(".lines").bounding_box()
        return bool(box["y"] + box["height"] <= top and bottom <= 900)

    @pytest.mark.parametrize("view", ["prose", "links"])
    def test_a_token_that_is_chosen_by_a_key_or_found_is_scrolled_to(
        self, show: Show, long: Attention, view: str
    ) -> None:
        shown = show(long, f"#view={view}&token=2", reduced_motion="reduce")
        shown.tab.fill("[type=search]", "word480")
        assert self.is_seen(shown) and shown.tab.evaluate("scrollY") > 300
        shown.tab.fill("[type=search]", "word7")
        assert self.is_seen(shown)
        shown.tab.locator("[type=search]").blur()
        shown.tab.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        shown.press("Shift+ArrowUp")
        assert self.is_seen(shown)

    def test_a_token_that_was_chosen_in_another_view_is_scrolled_to(self, show: Show, long: Attention) -> None:
        shown = show(long, "#view=matrix&token=2", reduced_motion="reduce")
        shown.tab.fill("[type=search]", "word480")
        assert shown.line
        shown.tab.get_by_role("radio", name="Text", exact=True).click()
        assert self.is_seen(shown)

    def test_a_page_that_opens_with_a_locked_token_shows_it_and_one_without_its_beginning(
        self, show: Show, long: Attention
    ) -> None:
        assert self.is_seen(show(long, "#view=prose&token=480&locked=true", reduced_motion="reduce"))
        shown = show(long, "#view=prose&token=480", reduced_motion="reduce")
        assert shown.line and shown.tab.evaluate("scrollY") == 0

    def test_a_token_that_is_seen_leaves_the_page_where_it_is(self, show: Show, long: Attention) -> None:
        shown = show(long, "#view=prose&token=90", reduced_motion="reduce")
        shown.tab.evaluate("scrollTo(0, 120)")
        for keys in (["Shift+ArrowDown"], ["Shift+ArrowUp"] * 3, ["ArrowRight"], ["Enter"]):
            shown.press(*keys)
            assert shown.tab.evaluate("scrollY") == 120
        shown.tab.evaluate("scrollTo(0, 0)")
        shown.press("ArrowLeft")  # another head of the same token: one may be reading elsewhere
        assert shown.tab.evaluate("scrollY") == 0

    @pytest.mark.parametrize("width", [400, 1280])
    def test_all_heads_have_rows_that_can_be_read_and_their_names(
        self, show: Show, long: Attention, width: int
    ) -> None:
        shown = show(long, "#view=heads&token=480", width=width, reduced_motion="reduce")
        shown.tab.wait_for_selector(".grid text.row")
        assert shown.tab.locator(".grid canvas").bounding_box()["height"] >= 6 * 12
        rows = shown.tab.locator(".grid text.row")
        assert rows.all_text_contents() == [f"{layer}.{head}" for layer in range(2) for head in range(3)]
        tops = [box["y"] for box in (row.bounding_box() for row in rows.all())]
        assert min(np.diff(tops)) >= 12
        shown.tab.locator(".grid").dispatch_event("click", {"clientX": 200, "clientY": tops[4] + 6})
        assert "layer 1 head 1" in shown.line


class TestPictures:
    """The small pictures of heads."""

    def test_they_are_drawn_as_links_by_a_key_or_the_switch_and_the_url_keeps_it(
        self, show: Show, animal: Attention
    ) -> None:
        shown = show(animal)
        switch = shown.tab.get_by_role("button", name="show as links")
        assert switch.get_attribute("aria-pressed") == "false"
        shown.press("o")
        assert (shown.hash["linked"], switch.get_attribute("aria-pressed")) == ("true", "true")
        switch.click()
        assert shown.line and "linked" not in shown.hash
        assert "small pictures as links" in shown.tab.locator(".help").text_content()

    def test_a_line_goes_from_each_query_to_what_it_looks_at(self, show: Show) -> None:
        weights = np.zeros((1, 2, 5, 5), np.float32)
        weights[0, 0, :, 3] = weights[0, 1, range(5), range(5)] = 1
        shown = show(Attention.from_array(weights, list("abcde")), "#linked=true&theme=light")
        shown.tab.wait_for_selector(".tiles canvas.linked")
        pixels = """c => { const all = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
            return [c.width, c.height, [...all].filter((_, at) => at % 4 === 0)]; }"""  # red, of which links have none
        width, height, reds = shown.tab.eval_on_selector(".tiles canvas", pixels)
        picture = np.array(reds).reshape(height, width)
        tile = height  # the only layer
        for head, target in ((0, lambda query: 3), (1, lambda query: query)):
            left = head * (width - tile)
            crossings = {
                round(0.5 * tile * (query + target(query) + 1) / 5) for query in range(5)
            }  # where lines are half way
            column = picture[:, left + tile // 2]
            drawn = {row for row in range(tile) if column[row] < 150}
            assert all(any(abs(row - middle) <= 2 for row in drawn) for middle in crossings)
            assert all(any(abs(row - middle) <= 2 for middle in crossings) for row in drawn)


class TestMissingNumbers:
    """Heads that have no numbers beside them, and why."""

    def test_a_mean_and_a_part_of_a_text_say_why_they_have_none(self, show: Show, animal: Attention) -> None:
        part = animal.rows([2, 8])
        for record, state, why in (
            (animal, "#layer=3&head=1&others=2.2&mean=true", "A mean of heads has no queries, keys or numbers"),
            (part, "", "this is a part of it"),
        ):
            aside = show(record, state).tab.text_content(".details")
            assert why in aside and "Numbers of this head" not in aside

    def test_a_head_with_numbers_says_no_such_thing(self, show: Show, animal: Attention) -> None:
        aside = show(animal).tab.text_content(".details")
        assert "Numbers of this head" in aside and "None of the numbers" not in aside and "part of it" not in aside


def test_the_caption_says_what_is_drawn_and_how(show: Show, translation: list[Attention], animal: Attention) -> None:
    caption = ".tokens .caption"
    assert show(animal).tab.text_content(caption) == "it looks at filled, is looked at by underlined"
    shown = show(translation, "#record=0&layer=1&head=0&token=1")
    assert "underlined" in shown.tab.text_content(caption)
    shown.tab.click("text=cross")
    assert shown.line and shown.tab.text_content(caption).endswith(" looks at filled")


class TestPair:
    """Two texts that are read as one: either may be what looks, and either what is looked at."""

    @pytest.fixture
    def paired(self) -> Attention:
        rng = np.random.default_rng(19)
        weights = rng.random((2, 3, 7, 7), np.float32) + 0.1
        found = Attention.from_array(
            weights / weights.sum(-1, keepdims=True), ["[CLS]", *"ab", "[SEP]", *"xy", "[SEP]"]
        )
        segments, special = [0, 0, 0, 0, 1, 1, 0], [1, 0, 0, 1, 0, 0, 1]  # as tokenizers' own tokens have it
        tokens = tuple(
            replace(token, segment=segment, special=bool(own))
            for token, segment, own in zip(found.query_tokens, segments, special, strict=True)
        )
        return replace(found, query_tokens=tokens, key_tokens=tokens)

    @pytest.mark.parametrize(("chosen", "queries", "keys"), [("ab", "a", "b"), ("ba", "b", "a"), ("bb", "b", "b")])
    def test_one_of_them_looks_at_one_of_them_and_weights_stay(
        self, show: Show, paired: Attention, chosen: str, queries: str, keys: str
    ) -> None:
        shown = show(paired, "#layer=1&head=2&view=matrix")
        shown.tab.select_option("[aria-label='Texts of the pair']", chosen)
        assert shown.line and shown.hash["segments"] == chosen
        places = {"a": [0, 1, 2, 3], "b": [4, 5, 6]}
        numbers = shown.tab.locator("text.number").all_text_contents()
        block = paired.head(1, 2)[np.ix_(places[queries], places[keys])]
        assert [float(text) for text in numbers] == pytest.approx(block.ravel(), abs=0.006)

    def test_without_special_tokens_rows_are_divided_by_what_is_left_of_both_texts(
        self, show: Show, paired: Attention
    ) -> None:
        shown = show(paired, "#layer=1&head=2&view=matrix&segments=ab&special=false")
        left = paired.head(1, 2)[:, [1, 2, 4, 5]]
        block = (left / left.sum(-1, keepdims=True))[1:3, 2:]
        numbers = shown.tab.locator("text.number").all_text_contents()
        assert [float(text) for text in numbers] == pytest.approx(block.ravel(), abs=0.006)

    def test_a_single_text_has_no_such_choice(self, show: Show, animal: Attention) -> None:
        assert not show(animal, "#segments=ab").tab.locator("[aria-label='Texts of the pair']").is_visible()


def test_all_heads_of_a_layer_are_shown_together_or_one_alone(show: Show, animal: Attention) -> None:
    shown = show(animal, "#layer=2&head=3&token=8")
    shown.press("A")
    assert sorted(shown.hash["others"].split(",")) == [f"2.{head}" for head in range(6)]
    assert shown.tab.locator(".legend .chip").count() == 6
    tiles = shown.tab.locator(".tiles").bounding_box()
    shown.tab.mouse.dblclick(tiles["x"] + tiles["width"] * 4.5 / 6, tiles["y"] + tiles["height"] * 1.5 / 4)
    assert shown.line == strongest(animal, 1, 4, "it")
    assert "others" not in shown.hash
    shown.press("A", "A")
    assert "others" not in shown.hash


def test_links_of_all_tokens_are_drawn_until_one_is_pointed_at(show: Show, animal: Attention) -> None:
    shown = show(animal, "#layer=2&head=0&token=8")
    shown.press("b")
    weights = animal.head(2, 0)
    assert shown.tab.locator(".links path").count() == (weights >= 0.02 * animal.weights.max()).sum()
    shown.hover("query", 8)
    assert shown.tab.locator(".links path").count() == (weights[8] >= 0.02 * animal.weights.max()).sum()


def test_a_click_with_shift_on_the_other_side_pairs_two_tokens(show: Show, animal: Attention) -> None:
    shown = show(animal, "#layer=2&head=0")
    shown.click("query", 8)
    shown.tab.click("[data-side=key][data-group='5']", modifiers=["Shift"])
    assert shown.line == f"layer 2 head 0: it → the {animal.head(2, 0)[8, 5]:.2f}"


def test_the_shades_have_a_legend_of_their_ends(show: Show, animal: Attention) -> None:
    kept = {field.name: getattr(animal, field.name) for field in fields(HeadMatrix)}
    difference = HeadMatrix(**kept | {"weights": animal.weights - animal.weights[::-1], "measure": "difference"})
    peak = np.abs(difference.weights).max()
    legend = "() => document.querySelector('.scale').getAttribute('aria-label')"
    assert show(animal).tab.evaluate(legend) == f"Shades from 0 to {animal.weights.max():.2f}"
    shown = show(difference)
    assert shown.tab.evaluate(legend) == f"Shades from −{peak:.2f} to {peak:.2f}"
    row = "c => [...c.getContext('2d').getImageData(0, 0, 256, 1).data]"
    ends = np.array(shown.tab.eval_on_selector(".scale canvas", row)).reshape(256, 4)[[0, 255]]
    assert ends[0, 2] > ends[0, 0] and ends[1, 0] > ends[1, 2]  # blue below 0, orange above
    assert show(animal, "#log=true").tab.evaluate(legend).endswith("logarithmic")
