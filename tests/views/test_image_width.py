"""Figures of a given width: exactly that wide, with texts of the size that they have in any picture."""

import base64
import io
import re
from collections.abc import Callable
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.image import BboxImage
from matplotlib.text import Text
from msgspec.structs import replace
from PIL import Image

from attnviz.errors import UnfitTextError, UsageError
from attnviz.records import HeadMatrix
from attnviz.text import Bins
from attnviz.views.image.head_numbers import head_picture
from attnviz.views.image.pictures import Picture, render
from attnviz.views.image.style import Style
from attnviz.vocabulary import Orientation
from tests.build import axes, record, tokens
from tests.views.test_head_numbers import table
from tests.views.test_image import encoder, extents, first, named, square, token_of, written

SMALLEST = 6.0  # points
WIDTHS = {"3.3in": 3.3 * 72, "84mm": 84 / 25.4 * 72, "7 in": 504.0, "17.5cm": 17.5 / 2.54 * 72, "250.5pt": 250.5}


def difference(**style):
    numbers = np.linspace(-0.5, 0.25, 49, dtype=np.float32).reshape(1, 1, 7, 7)
    return first("head", HeadMatrix.on(axes(layers=1, heads=1, names=7, measure="difference"), numbers), **style)


def bins(count):
    shown = [
        replace(token, position=64 * token.position) for token in tokens([f"a word {i} … end" for i in range(count)])
    ]
    return record(layers=2, heads=3, names=shown, by=Bins(count))


PICTURES: dict[str, Callable[..., Picture]] = {
    **{f"head of {n}": lambda n=n, **style: first("head", square(n), **style) for n in (1, 2, 7, 15, 60, 300)},
    "head, keys down": lambda **style: first("head", encoder(), orientation=Orientation.KEYS_DOWN, **style),
    "head of 1 × 200": lambda **style: first("head", encoder(queries=1, keys=200), **style),
    "head with long tokens": lambda **style: first(
        "head", named("Donaudampfschifffahrtsgesellschaft", "W" * 30), **style
    ),
    "head with a long title": lambda **style: first("head", square(5), title="along" * 50, **style),
    "head of bins": lambda **style: first("head", bins(23), **style),
    "head, logarithmic": lambda **style: first("head", square(15), log=True, **style),
    "head with numbers": lambda **style: first("head", square(7), annotate=True, **style),
    **{f"layer of {n} heads": lambda n=n, **style: first("layer", square(15, heads=n), **style) for n in (1, 6, 12)},
    "layer of 2 tokens": lambda **style: first("layer", square(2, heads=13), **style),
    "grid of 4 × 6": lambda **style: first("grid", square(15, layers=4, heads=6), **style),
    "grid of 12 × 12": lambda **style: first("grid", square(15, layers=12, heads=12), **style),
    "grid of 3 × 32": lambda **style: first("grid", square(60, layers=3, heads=32), **style),
    "token in 4 × 6": lambda **style: token_of("[SEP]", square(15, layers=4, heads=6), **style),
    "difference": difference,
    "numbers of 4 × 6 heads": lambda **style: head_picture(table(4, 6), Style(**style)),
    "numbers of 48 × 32 heads": lambda **style: head_picture(table(48, 32), Style(**style)),
}


@pytest.mark.parametrize("width", ["3.3in", "7 in"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_as_wide_as_asked_filled_and_legible(name: str, width: str) -> None:
    figure = PICTURES[name](figure_width=width).figure
    placed = extents(figure)
    assert figure.get_figwidth() * 72 == pytest.approx(WIDTHS[width], abs=1e-5)
    assert min(text.get_fontsize() for text in figure.findobj(Text)) >= SMALLEST
    wide, high = figure.bbox.size
    for text, left, bottom, right, top in placed:
        assert left >= 0 and bottom >= 0 and right <= wide and top <= high, text
    for (text, left, bottom, right, top), (other, *box) in combinations(placed, 2):
        apart = right <= box[0] + 1 or box[2] <= left + 1 or top <= box[1] + 1 or box[3] <= bottom + 1
        assert apart, f"{text!r} overlaps {other!r}"
    drawn = [each.get_window_extent().x1 for each in figure.artists if isinstance(each, BboxImage)]
    margin = 5 * figure.dpi / 72
    assert max([*(right for _, _, _, right, _ in placed), *drawn]) >= wide - margin
    assert min(left for _, left, *_ in placed) <= margin


@pytest.mark.parametrize(("width", "points"), WIDTHS.items())
def test_every_format_has_the_width(width: str, points: float) -> None:
    picture = first("head", square(7), figure_width=width)
    (in_svg,) = re.findall(rb'<svg [^>]*width="([\d.]+)pt"', render(picture.figure, "svg"))
    (in_pdf,) = re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+) ", render(picture.figure, "pdf"))
    png = render(picture.figure, "png")
    pixels, metre = int.from_bytes(png[16:20], "big"), int.from_bytes(png[png.index(b"pHYs") + 4 :][:4], "big")
    assert float(in_svg) == pytest.approx(points, abs=1e-4)
    assert float(in_pdf) == pytest.approx(points, abs=1e-4)
    assert pixels == int(points * 300 / 72 + 1e-4)
    assert metre == round(300 / 0.0254)


def test_no_text_of_an_svg_is_smaller_than_6_points() -> None:
    svg = render(first("head", square(7), annotate=True, figure_width="3.3in").figure, "svg").decode()
    assert (
        min(map(float, re.findall(r"font(?:-size)?: (?:\w+ )?([\d.]+)px", svg))) == SMALLEST
    )  # of the numbers in cells


def test_where_there_is_less_room_there_are_fewer_labels_and_no_numbers() -> None:
    narrow, wide = (
        first("head", square(60), annotate=True, figure_width=width, vmax="auto") for width in ("3in", "20in")
    )
    assert len(written(narrow)) < 60 < 120 < len(written(wide))
    assert narrow.notes == ("There is no room for numbers in the cells, so they are left out.",)
    assert wide.notes == ()


@pytest.mark.parametrize(("count", "size", "shown"), [(13, 8, 13), (17, 7, 17), (19, 6, 19), (29, 8, 15)])
def test_labels_are_smaller_only_where_all_of_them_then_have_room(count: int, size: float, shown: int) -> None:
    attention = square(count)
    names = {token.text for token in attention.query_tokens}
    texts = first("head", attention, figure_width="3.3in").figure.findobj(Text)
    sizes = [text.get_fontsize() for text in texts if text.get_text() in names]
    assert sizes == [size] * 2 * shown


def test_a_picture_for_print_has_300_pixels_an_inch_unless_told_otherwise() -> None:
    assert first("head", square(7)).figure.dpi == 150
    assert first("head", square(7), figure_width="3in").figure.dpi == 300
    assert first("head", square(7), figure_width="3in", dpi=600).figure.dpi == 600


@pytest.mark.parametrize("width", ["", "3.3", "in", "-3in", "3 feet", "3.3in\x1b", "0.5in", "100in", "99999in"])
def test_what_is_no_width_is_refused(width: str) -> None:
    with pytest.raises(UsageError, match=r"write 3\.3in or 84mm|give 1in to 50in"):
        Style(figure_width=width)


def test_where_cells_have_no_room_it_is_said_what_to_do() -> None:
    with pytest.raises(UnfitTextError, match=r"no room for 15 cells .* give a larger `figure_width`"):
        first("head", square(15), figure_width="1in")


def test_in_an_svg_all_cells_are_of_one_size_whatever_the_width_and_fill_their_box() -> None:
    attention = square(15, layers=1, heads=1)
    picture = first("head", attention, figure_width="3.3in", dpi=97, cmap="viridis")
    box = next(each for each in picture.figure.artists if isinstance(each, BboxImage)).get_window_extent()
    tag, *_ = re.findall(r"<image [^>]*>", render(picture.figure, "svg").decode())
    (encoded,) = re.findall(r'href="data:image/png;base64,\s*([^"]*)"', tag)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    side = len(pixels) // 15
    assert pixels.shape == (15 * side, 15 * side, 4) and (pixels[..., 3] == 255).all()
    expected = matplotlib.colormaps["viridis"](attention.weights[0, 0], bytes=True)
    np.testing.assert_array_equal(pixels[::-1], expected.repeat(side, 0).repeat(side, 1))
    wide, _, _, high, left, _ = map(float, re.findall(r"matrix\(([^)]*)\)", tag)[0].split())
    inches = 72 / picture.figure.dpi
    assert (wide * 15 * side, abs(high) * 15 * side) == pytest.approx(
        (box.width * inches, box.height * inches), rel=1e-4
    )
    assert left == pytest.approx(box.x0 * inches, abs=1e-3)
