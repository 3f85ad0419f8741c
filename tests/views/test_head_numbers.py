import numpy as np
import pytest
from msgspec.structs import replace

from attnviz.errors import UsageError
from attnviz.records import Column, HeadTable
from attnviz.views.image.head_numbers import head_picture
from attnviz.views.image.page import Cells, Words
from attnviz.views.image.pictures import render
from attnviz.views.image.style import Style
from attnviz.vocabulary import Kind


def table(layers: int = 5, heads: int = 3) -> HeadTable:
    values = np.arange(layers * heads, dtype=float).reshape(layers, heads)
    numbers = {"next": values / 20, "previous": np.full((layers, heads), np.nan), "ov_copying": values / 7 - 1}
    return HeadTable(
        model="some/model",
        kind=Kind.DECODER,
        layers=tuple(range(layers)),
        heads=tuple(range(heads)),
        texts=7,
        columns={name: Column.of_one_text(each, "a definition") for name, each in numbers.items()},
    )


def words(figure) -> list[str]:
    return [artist.get_text() for artist in figure.get_children() if isinstance(artist, Words)]


def test_every_number_has_a_map_with_a_cell_and_a_scatter_with_a_dot_for_each_head() -> None:
    figure = head_picture(table(), Style()).figure
    maps = [artist for artist in figure.get_children() if isinstance(artist, Cells)]
    shown = [np.asarray(each.get_array()) for each in maps if each.get_array().shape == (5, 3)]
    np.testing.assert_allclose(shown[0], table()["next"], atol=1e-6)
    np.testing.assert_allclose(shown[1], table()["ov_copying"], atol=1e-6)
    dots = [artist for artist in figure.get_children() if hasattr(artist, "get_offsets")]
    assert [len(each.get_offsets()) for each in dots] == [15, 15]


def test_colours_of_numbers_on_both_sides_of_0_are_centred_there() -> None:
    figure = head_picture(table(), Style()).figure
    maps = [
        artist for artist in figure.get_children() if isinstance(artist, Cells) and artist.get_array().shape == (5, 3)
    ]
    assert [(each.norm.vmin, each.norm.vmax) for each in maps] == [(0, 0.7), (-1, 1)]


def test_what_is_undefined_is_named_and_not_drawn() -> None:
    said = words(head_picture(table(), Style()).figure)
    assert "Undefined: previous." in said and "some/model · decoder · 7 texts" in said
    assert {"next", "ov_copying", "layer", "head"} <= set(said) and "previous" not in said
    nothing = replace(table(), columns={"previous": table().columns["previous"]})
    with pytest.raises(UsageError, match="nothing to draw: previous"):
        head_picture(nothing, Style())


def test_without_a_title_or_a_caption_nothing_is_written_but_the_numbers_and_what_is_undefined_is_a_note() -> None:
    untitled = words(head_picture(table(), Style(title="")).figure)
    assert any(line.startswith("Undefined: previous. Each cell") for line in untitled)
    bare = head_picture(table(), Style(title="", caption=False))
    said = {line for line in words(bare.figure) if any(char.isalpha() for char in line)}
    assert said == {"next", "ov_copying", "layer", "head"}
    (note,) = bare.notes
    assert note.startswith(
        "Without the small print, the picture does not say: Undefined: previous. Each cell is a head."
    )


@pytest.mark.parametrize(("layers", "heads"), [(4, 6), (12, 12), (48, 32)])
def test_a_table_of_any_shape_has_a_picture_with_numbered_layers_that_is_the_same_every_time(
    layers: int, heads: int
) -> None:
    figure = head_picture(table(layers, heads), Style(dpi=60)).figure
    rows = [each for each in words(figure) if each.isdecimal()]
    assert rows
    assert render(figure, "png") == render(head_picture(table(layers, heads), Style(dpi=60)).figure, "png")
