import io
from itertools import combinations, cycle, islice

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import BboxImage
from matplotlib.text import Text
from msgspec.structs import replace
from PIL import Image

from attnviz.errors import UsageError
from attnviz.records import HeadMatrix
from attnviz.text import Bins
from attnviz.views.image.pictures import LAYOUTS, render, token_picture
from attnviz.views.image.style import Style, scale_of
from attnviz.vocabulary import IMAGE_FORMATS, Kind, Layout, Orientation
from tests.build import axes, record, tokens

LAYERS, HEADS, QUERIES, KEYS = 2, 3, 5, 7


def sentence(count):
    inner = islice(cycle(("the", "animal", "was", "tired")), max(count - 2, 0))
    return tokens(("[CLS]", *inner, "[SEP]")[:count])


def encoder(queries=QUERIES, keys=KEYS, *, kind=Kind.ENCODER, layers=LAYERS, heads=HEADS, **fields):
    """A record, of an encoder by default; a number of queries or keys stands for a sentence of as many tokens."""
    queries, keys = (sentence(axis) if isinstance(axis, int) else axis for axis in (queries, keys))
    return record(kind, layers=layers, heads=heads, queries=queries, keys=keys, **fields)


def square(count, **fields):
    return encoder(count, count, **fields)


def named(*names, **fields):
    return record(layers=LAYERS, heads=HEADS, names=names, **fields)


def first(layout, attention, **style):
    return next(LAYOUTS[Layout(layout)](attention, Style(**style)))


def transposed(layout, attention, **style):
    return first(layout, attention, orientation=Orientation.KEYS_DOWN, **style)


def images(picture):
    """The arrays of a picture's panels, the colour bar's left out."""
    arrays = [artist.get_array() for artist in picture.figure.artists if isinstance(artist, BboxImage)]
    return arrays[:-1]


def texts_of(picture):
    return picture.figure.findobj(Text)


def written(picture):
    return [text.get_text() for text in texts_of(picture)]


def extents(figure):
    """Where each text of a drawn figure lies: (text, left, bottom, right, top) in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return [(text.get_text(), *text.get_window_extent(canvas.get_renderer()).extents) for text in figure.findobj(Text)]


def token_of(wanted, attention, **style):
    return token_picture(attention, attention.words(wanted)[0], Style(**style))


PICTURES = {
    **{f"head of {n}": lambda n=n: first("head", square(n)) for n in (1, 2, 3, 7, 15, 60, 300)},
    "head of 5 × 7": lambda: first("head", encoder()),
    "head of 1 × 200": lambda: first("head", encoder(queries=1, keys=200)),
    "annotated head": lambda: first("head", square(15), annotate=True),
    "annotated head of 7 × 5, keys down": lambda: transposed("head", encoder(), annotate=True),
    "logarithmic head": lambda: first("head", square(15), log=True),
    "head with a long title": lambda: first("head", square(3), title="a long title " * 12),
    "head with long tokens": lambda: first(
        "head", named("Donaudampfschifffahrtsgesellschaft", "$x", "a_b^c\\d$", "Wg|ÅÇ")
    ),
    **{f"layer of {n} heads": lambda n=n: first("layer", square(15, heads=n)) for n in (1, 6, 12, 13)},
    "layer of 60": lambda: first("layer", square(60, heads=5)),
    "layer of 2": lambda: first("layer", square(2, heads=13)),
    "grid of 1 × 1": lambda: first("grid", square(7, layers=1, heads=1)),
    "grid of 12 × 12": lambda: first("grid", square(15, layers=12, heads=12)),
    "grid of 3 × 32": lambda: first("grid", square(60, layers=3, heads=32)),
    "grid of 2 × 3": lambda: first("grid", encoder()),
    "grid of 2 × 3, keys down": lambda: transposed("grid", encoder()),
    "layer of 13 heads of 60 × 2, keys down": lambda: transposed("layer", encoder(queries=2, keys=60, heads=13)),
    "grid of 40 × 2, strips": lambda: first("grid", encoder(layers=40, heads=2, queries=1, keys=30)),
    "token in 4 × 6": lambda: token_of("[SEP]", square(15, layers=4, heads=6)),
    "token in 32 × 8": lambda: token_of("[SEP]", square(15, layers=32, heads=8)),
    "token of 3": lambda: token_of("the", square(3), annotate=True),
}


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_is_cut_or_overlaps_another(name):
    picture = PICTURES[name]()
    placed = extents(picture.figure)
    width, height = picture.figure.bbox.size
    for text, left, bottom, right, top in placed:
        assert left >= 0, text
        assert bottom >= 0, text
        assert right <= width, text
        assert top <= height, text
    for (text, left, bottom, right, top), (other, *box) in combinations(placed, 2):
        apart = right <= box[0] + 1 or box[2] <= left + 1 or top <= box[1] + 1 or box[3] <= bottom + 1
        assert apart, f"{text!r} overlaps {other!r}"


@pytest.mark.parametrize("count", [1, 2, 7, 15, 60, 300])
def test_no_text_lies_on_the_cells(count):
    figure = first("head", square(count)).figure
    cells = next(artist for artist in figure.artists if isinstance(artist, BboxImage))
    for text, left, bottom, right, top in extents(figure):
        x0, y0, x1, y1 = cells.get_window_extent().extents
        assert right <= x0 or left >= x1 or top <= y0 or bottom >= y1, text


def test_there_is_one_picture_a_head_named_after_it():
    attention = encoder(layers=LAYERS, heads=HEADS)
    made = list(LAYOUTS[Layout.HEAD](attention, Style()))
    assert [picture.name for picture in made] == [
        f"layer{layer}-head{head}" for layer in range(LAYERS) for head in range(HEADS)
    ]
    for picture, weights in zip(made, attention.weights.reshape(-1, QUERIES, KEYS), strict=True):
        np.testing.assert_array_equal(images(picture), [weights])


def test_there_is_one_picture_a_layer_with_all_its_heads():
    attention = encoder()
    made = list(LAYOUTS[Layout.LAYER](attention, Style()))
    assert [picture.name for picture in made] == ["layer0-heads0-2", "layer1-heads0-2"]
    for picture, weights in zip(made, attention.weights, strict=True):
        np.testing.assert_array_equal(images(picture), weights)
        assert [text for text in written(picture) if text.startswith("head")] == ["head 0", "head 1", "head 2"]


def test_pictures_are_drawn_only_when_they_are_asked_for():
    thousands = square(3, layers=100, heads=100)
    assert next(LAYOUTS[Layout.HEAD](thousands, Style())).name == "layer0-head0"


def test_the_grid_shows_every_weight_of_every_head_in_its_place():
    attention = encoder()
    (mosaic,) = images(first("grid", attention))
    filled = mosaic.compressed().reshape(LAYERS, QUERIES, HEADS, KEYS)
    np.testing.assert_array_equal(filled.transpose(0, 2, 1, 3), attention.weights)


def test_a_selection_keeps_the_numbers_of_its_layers_and_heads():
    attention = encoder(layers=5, heads=4).select([4], [3, 1])
    assert [picture.name for picture in LAYOUTS[Layout.HEAD](attention, Style())] == ["layer4-head3", "layer4-head1"]
    assert {"4", "3", "1"} <= set(written(first("grid", attention)))


@pytest.mark.parametrize(("count", "dpi"), [(5, 150), (15, 97), (60, 150), (33, 200)])
def test_the_pixels_of_each_cell_have_the_colour_of_its_weight(count, dpi):
    attention = square(count)
    picture = first("head", attention, dpi=dpi, cmap="viridis")
    pixels = np.asarray(Image.open(io.BytesIO(render(picture.figure, "png"))).convert("RGB")).astype(int)
    panel, _ = (artist for artist in picture.figure.artists if isinstance(artist, BboxImage))
    left, bottom, right, top = panel.get_window_extent().extents
    side = (right - left) / count
    assert side == pytest.approx((top - bottom) / count)
    assert side == pytest.approx(round(side))
    rows = (pixels.shape[0] - top + np.arange(count * round(side))).round().astype(int)
    columns = (left + np.arange(count * round(side))).round().astype(int)
    import matplotlib

    expected = matplotlib.colormaps["viridis"](attention.weights[0, 0])[..., :3] * 255
    expected = expected.repeat(round(side), 0).repeat(round(side), 1)
    assert np.abs(pixels[np.ix_(rows, columns)] - expected).max() <= 1


def test_more_weights_than_pixels_are_pooled_to_their_largest_and_the_picture_says_so():
    weights = np.full((1, 1, 900, 900), 1e-4, np.float32)
    weights[0, 0, :, 0] = 1 - 899e-4
    weights[0, 0, 450, :] = 0
    weights[0, 0, 450, 777] = 1
    attention = square(900, layers=1, heads=1, weights=weights)
    picture = first("head", attention, dpi=20)
    (cells,) = images(picture)
    assert cells.shape == (225, 225)
    assert cells[450 // 4, 777 // 4] == 1
    assert "each cell shows the largest of 4 × 4 weights" in written(picture)


def test_a_picture_too_large_for_its_resolution_gets_a_lower_one_and_a_note():
    picture = first("head", square(60), dpi=1200)
    assert max(picture.figure.get_size_inches()) * picture.figure.dpi <= 12_000
    assert any("1200 dpi" in note for note in picture.notes)


def test_labels_are_thinned_when_there_is_no_room_for_each():
    labels = [text for text in written(first("head", square(300))) if text in {"the", "animal", "was", "tired"}]
    assert 100 < len(labels) < 300  # of 2 × 298


def test_special_tokens_are_muted():
    tones = {text.get_text(): text.get_color() for text in texts_of(first("head", square(5)))}
    assert tones["[CLS]"] == tones["[SEP]"] == tones["queries"] != tones["animal"]


def test_very_long_tokens_are_ellipsised():
    texts = written(first("head", named("x" * 24, "y" * 25)))
    assert "x" * 24 in texts
    assert "y" * 23 + "…" in texts


@pytest.mark.parametrize("text", ["$x$", "$\\frac{", "a_b^c", "\\alpha", "100%"])
def test_tokens_are_never_read_as_mathematics(text):
    picture = first("head", named(text, "b"))
    assert f">{text}<".encode() in render(picture.figure, "svg")


def test_the_default_title_says_model_layer_and_head():
    assert "some/model · layer 1 · head 2" in written(first("head", encoder().select([1], [2])))
    assert "some/model · cross · layer 0 · head 0" in written(first("head", encoder(kind=Kind.CROSS)))


def test_a_title_of_ones_own_leaves_layer_and_head_below_it():
    assert {"Mine", "layer 0 · head 0"} <= set(written(first("head", encoder(), title="Mine")))
    assert "some/model · layer 0 · head 0" not in written(first("head", encoder(), title="Mine"))


def test_an_average_is_called_mean_and_says_of_what():
    picture = first("head", encoder().mean())
    assert picture.name == "mean"
    assert {"some/model · mean", "mean over layers 0-1, heads 0-2"} <= set(written(picture))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_linear_scale_goes_from_zero_to_one_in_all_of_a_picture_or_as_far_as_it_is_told(layout):
    def scales(**style):
        drawn = first(layout, attention, **style).figure.artists
        *panels, _bar = (artist for artist in drawn if isinstance(artist, BboxImage))
        return {(float(panel.norm.vmin), float(panel.norm.vmax)) for panel in panels}

    attention = encoder(layers=1, heads=1 if layout is Layout.HEAD else HEADS)
    assert scales() == {(0, 1)}
    assert scales(vmax=0.25) == scales(vmax="0.25") == {(0, 0.25)}
    assert scales(vmax="auto") == {(0, float(attention.weights.max()))}
    assert {end for _, end in scales(vmax=0.5, log=True)} == {0.5}


def test_a_scale_that_ends_below_the_largest_weight_says_so_at_its_end():
    weights = np.array([[[[0.125, 0.875], [1.0, 0.0]]]], np.float32)
    attention = square(2, layers=1, heads=1, weights=weights)
    for log in (False, True):
        assert "≥ 0.5" in written(first("head", attention, vmax=0.5, log=log))
        assert not any("≥" in text for text in written(first("head", attention, vmax=1, log=log)))


def test_a_difference_has_a_scale_to_its_largest_number_or_as_far_as_it_is_told():
    numbers = np.linspace(-0.5, 0.25, QUERIES * KEYS, dtype=np.float32).reshape(1, 1, QUERIES, KEYS)
    difference = HeadMatrix.on(axes(layers=1, heads=1, measure="difference"), numbers)
    assert {"−0.5", "+0.5"} <= set(written(first("head", difference)))
    assert {"≤ −0.3", "≥ +0.3"} <= set(written(first("head", difference, vmax=0.3)))


@pytest.mark.parametrize("vmax", [0, -1, "nan", "inf", "much", ""])
def test_what_is_no_end_of_a_scale_is_refused(vmax):
    with pytest.raises(UsageError, match=r"above 0, such as 0\.5, or auto"):
        Style(vmax=vmax)


def test_a_logarithmic_scale_shows_zero_like_its_smallest_weight():
    weights = np.array([[[[0.9, 0.1, 0.0], [0.99, 0.01, 0.0], [1.0, 0.0, 0.0]]]], np.float32)
    attention = square(3, layers=1, heads=1, weights=weights)
    picture = first("head", attention, log=True)
    (panel, _) = (a for a in picture.figure.artists if isinstance(a, BboxImage))
    shades = np.asarray(panel.norm(panel.get_array()))
    np.testing.assert_allclose(shades[0, 0], 1, atol=0.05)
    np.testing.assert_allclose(shades[:, 2], 0, atol=1e-6)
    assert shades[2, 2] <= shades[1, 1] + 1e-6 < shades[0, 1] < shades[0, 0]
    np.testing.assert_array_equal(panel.get_array(), weights[0, 0])
    assert {"≤ 0.01", "weight, log"} <= set(written(picture))


def bins(count, long=64, **fields):
    """A record between bins of so many tokens."""
    shown = [
        replace(token, position=long * token.position) for token in tokens([f"word{i} … end{i}" for i in range(count)])
    ]
    return record(layers=LAYERS, heads=HEADS, names=shown, by=Bins(count), **fields)


def test_the_label_of_a_bin_says_where_it_begins_and_what_stands_there():
    texts = written(first("head", bins(23)))
    assert {"0 word0 … end0", "1,408 word22 … end22"} <= set(texts)
    assert "between bins of about 64 tokens, with the position of the first token of each" in texts


def test_labels_of_many_bins_are_thinned_to_what_can_be_read():
    picture = first("head", bins(256))
    labels = [text for text in written(picture) if "…" in text]
    assert 60 <= len(labels) <= 140  # of 2 × 256
    assert "0 word0 … end0" in labels
    assert max(picture.figure.get_size_inches()) < 13


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_between_bins_have_a_logarithmic_scale_unless_told_otherwise(layout):
    assert "weight, log" in written(first(layout, bins(KEYS)))
    assert "weight" in written(first(layout, bins(KEYS), log=False))
    assert "weight" in written(first(layout, square(KEYS)))


@pytest.mark.parametrize(
    ("largest", "named"),
    [
        (0.4, ["≤ 0.001", "0.01", "0.1", "0.4"]),
        (0.97, ["≤ 0.001", "0.01", "0.1", "0.97"]),
        (0.11, ["≤ 0.001", "0.01", "0.11"]),
    ],
)
def test_a_logarithmic_scale_names_its_largest_weight_and_no_power_of_ten_that_is_too_near(largest, named):
    ticks = scale_of([np.array([[1e-6, largest]])], Style(log=True), "weight").ticks
    assert [name for _, name in ticks] == named
    assert ticks[-1][0] == largest


def test_a_logarithmic_scale_shows_three_powers_of_ten():
    weights = np.array([[[[1 - 1.1e-5, 1e-5, 1e-6], [1, 0, 0], [0, 1, 0]]]], np.float32)
    picture = first("head", square(3, layers=1, heads=1, weights=weights), log=True)
    assert [text for text in written(picture) if "0." in text or text == "1"] == ["≤ 0.001", "0.01", "0.1", "1"]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_without_any_weight_are_drawn(layout, log):
    nothing = encoder(weights=np.zeros((LAYERS, HEADS, QUERIES, KEYS), np.float32), sink=True)
    assert render(first(layout, nothing, log=log).figure, "png")


def test_numbers_stand_in_the_cells_when_there_is_room():
    weights = np.array([[[[0.125, 0.875], [1.0, 0.0]]]], np.float32)
    picture = first("head", square(2, layers=1, heads=1, weights=weights), annotate=True)
    assert {".12", ".88", "1", "·"} <= set(written(picture))
    assert not picture.notes
    assert ".12" not in written(first("head", square(2, layers=1, heads=1, weights=weights)))


def test_numbers_are_left_out_with_a_note_when_they_would_not_be_legible():
    picture = first("head", square(100), annotate=True)
    assert not any(text.startswith(".") for text in written(picture))
    assert any("no room for numbers" in note for note in picture.notes)


def test_numbers_contrast_with_their_cells():
    weights = np.array([[[[0.0, 1.0], [1.0, 0.0]]]], np.float32)
    picture = first("head", square(2, layers=1, heads=1, weights=weights), annotate=True)
    tones = {(text.get_text(), text.get_color()) for text in texts_of(picture)}
    assert ("1", "white") in tones
    assert ("·", "white") not in tones and "·" in written(picture)


def test_an_unknown_colour_map_names_those_that_are_spelled_like_it():
    with pytest.raises(UsageError, match="viridis"):
        Style(cmap="virdis")
    with pytest.raises(UsageError, match="ink"):
        Style(cmap="@")


@pytest.mark.parametrize("dpi", [0, -5, 100_000])
def test_an_impossible_resolution_is_refused(dpi):
    with pytest.raises(UsageError, match="resolution"):
        Style(dpi=dpi)


@pytest.mark.parametrize("file_format", IMAGE_FORMATS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_record_gives_the_same_bytes(layout, file_format, monkeypatch):
    made = render(first(layout, encoder()).figure, file_format)
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert render(first(layout, encoder()).figure, file_format) == made
    assert made.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[file_format])
    assert b"CreationDate" not in made
    assert b"<dc:date>" not in made


@pytest.mark.parametrize("way", Orientation)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_in_pixels_is_as_matplotlib_draws_it(layout, way, monkeypatch):
    picture = first(layout, square(KEYS), orientation=way)
    ours = np.asarray(Image.open(io.BytesIO(render(picture.figure, "png")))).astype(float)
    monkeypatch.setattr("attnviz.views.image.page.RendererAgg", type("NoRenderer", (), {}))
    theirs = np.asarray(Image.open(io.BytesIO(render(picture.figure, "png")))).astype(float)
    assert ours.shape == theirs.shape
    blurred = [image[: h // 4 * 4, : w // 4 * 4].reshape(h // 4, 4, w // 4, 4, 3).mean((1, 3))
               for image in (ours, theirs) for h, w, _ in [image.shape]]  # fmt: skip
    assert np.abs(blurred[0] - blurred[1]).max() < 110  # words are moved to whole pixels
    assert np.abs(blurred[0] - blurred[1]).mean() < 1


def test_labels_beside_each_other_stand_on_one_line_whatever_their_letters():
    picture = first("head", named("TEX", "ace"), dpi=300)
    pixels = np.asarray(Image.open(io.BytesIO(render(picture.figure, "png")))).mean(-1)
    cells = next(artist for artist in picture.figure.artists if isinstance(artist, BboxImage))
    left, bottom, right, _ = (round(edge) for edge in cells.get_window_extent().extents)
    labels = pixels[len(pixels) - bottom + 1 :][: 14 * 300 // 72, left:right]  # a line below the cells
    dark = [np.flatnonzero((half < 128).any(1)) for half in np.array_split(labels, 2, axis=1)]
    assert dark[0][0] < dark[1][0]  # capitals are higher
    assert abs(dark[0][-1] - dark[1][-1]) <= 1


def test_a_token_picture_shows_what_each_head_does_with_all_pieces_of_a_word():
    attention = named(*tokens(["a", "un", "tie", "it"], words=[0, 1, 1, 2]))
    picture = token_picture(attention, attention.words("untie")[0], Style())
    away, back = images(picture)
    for row in range(LAYERS * HEADS):
        weights = attention.weights[row // HEADS, row % HEADS]
        np.testing.assert_allclose(away[row], (weights[1] + weights[2]) / 2, rtol=1e-6)
        np.testing.assert_allclose(back[row], weights[:, 1] + weights[:, 2], rtol=1e-6)
    assert picture.name == "token1-untie-layers0-1-heads0-2"
    assert {"what “untie” looks at", "what looks at “untie”", "L1 H2"} <= set(written(picture))


def test_a_token_picture_of_selected_rows_finds_the_token_among_the_keys():
    keys = sentence(KEYS)
    attention = encoder(keys[3:5], keys)
    away, back = images(token_picture(attention, attention.words("4")[0], Style()))
    np.testing.assert_allclose(away, attention.weights[:, :, 1].reshape(-1, KEYS))
    np.testing.assert_allclose(back, attention.weights[..., 4].reshape(-1, 2))


def test_a_token_that_is_no_key_has_only_the_side_that_it_looks_at():
    attention = encoder(kind=Kind.CROSS)
    picture = token_picture(attention, attention.words("animal")[0], Style())
    assert len(images(picture)) == 1
    assert not any("who looks" in text for text in written(picture))


def test_each_label_stands_at_the_middle_of_its_row_or_column():
    rows, columns = [f"q{i}" for i in range(QUERIES)], [f"key number {i}" for i in range(KEYS)]
    figure = first("head", encoder(rows, columns)).figure
    left, bottom, right, top = next(a for a in figure.artists if isinstance(a, BboxImage)).get_window_extent().extents
    middles = {text: ((x0 + x1) / 2, (y0 + y1) / 2) for text, x0, y0, x1, y1 in extents(figure)}
    for i, text in enumerate(rows):
        assert middles[text][1] == pytest.approx(top - (i + 0.5) * (top - bottom) / QUERIES, abs=2)
    for i, text in enumerate(columns):
        assert middles[text][0] == pytest.approx(left + (i + 0.5) * (right - left) / KEYS, abs=2)


def test_each_label_of_a_grid_stands_at_the_middle_of_its_layer_or_head():
    figure = first("grid", encoder(layers=2, heads=3).select([1, 0], [0, 1, 2])).figure
    panel = next(a for a in figure.artists if isinstance(a, BboxImage))
    blank = np.isnan(np.asarray(panel.get_array().filled(np.nan)))
    left, _, right, top = panel.get_window_extent().extents
    middles = [(text, (x0 + x1) / 2, (y0 + y1) / 2) for text, x0, y0, x1, y1 in extents(figure)]
    across = sorted(x for text, x, y in middles if text in {"0", "1", "2"} and y > top and x < right)
    down = [(y, text) for text, x, y in middles if text in {"0", "1"} and x < left]
    starts = np.flatnonzero(~blank[0] & np.r_[True, blank[0, :-1]])  # the first column of each head
    expected = left + (starts + KEYS / 2) * (right - left) / blank.shape[1]
    np.testing.assert_allclose(across, expected, atol=2)
    assert [text for _, text in sorted(down, reverse=True)] == ["1", "0"]


def test_a_picture_says_which_way_it_is_drawn():
    for layout in (Layout.HEAD, Layout.LAYER):
        assert "Queries down, keys across; rows sum to 1." in written(first(layout, encoder()))
        assert "Keys down, queries across; columns sum to 1." in written(transposed(layout, encoder()))
    assert "Keys down, queries across; columns sum to at most 1." in written(transposed("head", encoder(sink=True)))


def test_a_grid_says_it_of_each_head_and_lists_the_tokens_if_they_are_few():
    keys = sentence(KEYS)
    listed = "[CLS] the animal was tired the [SEP]"
    drawn = {way: " ".join(written(first("grid", square(KEYS), orientation=way))) for way in Orientation}
    said = "Within each head: queries down, keys across; rows sum to 1."
    assert f"{said} Tokens: {listed}" in drawn[Orientation.QUERIES_DOWN]
    said = "Within each head: keys down, queries across; columns sum to 1."
    assert f"{said} Tokens: {listed}" in drawn[Orientation.KEYS_DOWN]
    some = encoder(keys[1:3], keys)
    assert f"{said} Queries: the animal. Keys: {listed}" in " ".join(written(transposed("grid", some)))
    assert said in written(transposed("grid", square(60)))


def test_keys_down_a_head_is_drawn_as_its_transpose_with_and_without_log_and_numbers():
    attention = encoder()
    for style in ({}, {"log": True}, {"annotate": True}):
        (cells,) = images(transposed("head", attention, **style))
        np.testing.assert_array_equal(cells, attention.weights[0, 0].T)


def test_keys_down_a_layer_is_drawn_as_the_transpose_of_each_of_its_heads():
    attention = encoder()
    np.testing.assert_array_equal(images(transposed("layer", attention)), attention.weights[0].transpose(0, 2, 1))


def test_keys_down_a_grid_keeps_layers_down_and_heads_across_and_turns_each_head():
    attention = encoder()
    picture = transposed("grid", attention)
    (mosaic,) = images(picture)
    filled = mosaic.compressed().reshape(LAYERS, KEYS, HEADS, QUERIES)
    for layer, head, query, key in np.ndindex(LAYERS, HEADS, QUERIES, KEYS):
        assert filled[layer, key, head, query] == attention.weights[layer, head, query, key]
    assert {"layer", "head"} <= set(written(picture))


@pytest.mark.parametrize(
    ("orientation", "down", "across"),
    [(Orientation.QUERIES_DOWN, "queries", "keys"), (Orientation.KEYS_DOWN, "keys", "queries")],
)
@pytest.mark.parametrize("layout", ["head", "layer"])
def test_the_axes_are_named_beside_their_tokens(layout, orientation, down, across):
    texts = {"queries": [f"q{i}" for i in range(QUERIES)], "keys": [f"k{i}" for i in range(KEYS)]}
    figure = first(layout, encoder(**texts, layers=1, heads=1), orientation=orientation).figure
    left, bottom, right, top = next(a for a in figure.artists if isinstance(a, BboxImage)).get_window_extent().extents
    middles = {text: ((x0 + x1) / 2, (y0 + y1) / 2) for text, x0, y0, x1, y1 in extents(figure)}
    assert middles[down] == (pytest.approx(middles[down][0]), pytest.approx((bottom + top) / 2, abs=2))
    assert middles[across] == (pytest.approx((left + right) / 2, abs=2), pytest.approx(middles[across][1]))
    assert middles[down][0] < min(middles[text][0] for text in texts[down])
    assert middles[across][1] < min(middles[text][1] for text in texts[across])
    for i, text in enumerate(texts[down]):
        assert middles[text][1] == pytest.approx(top - (i + 0.5) * (top - bottom) / len(texts[down]), abs=2)
    for i, text in enumerate(texts[across]):
        assert middles[text][0] == pytest.approx(left + (i + 0.5) * (right - left) / len(texts[across]), abs=2)


def test_keys_down_the_number_of_a_weight_stands_in_its_cell():
    weights = np.array([[[[0.125, 0.875, 0.0], [0.5, 0.0625, 0.4375]]]], np.float32)
    attention = encoder(layers=1, heads=1, queries=2, keys=3, weights=weights)
    figure = transposed("head", attention, annotate=True).figure
    left, bottom, right, top = next(a for a in figure.artists if isinstance(a, BboxImage)).get_window_extent().extents
    middles = {text: ((x0 + x1) / 2, (y0 + y1) / 2) for text, x0, y0, x1, y1 in extents(figure)}
    for (query, key), number in {(0, 0): ".12", (0, 1): ".88", (1, 0): ".50", (1, 1): ".06", (1, 2): ".44"}.items():
        assert middles[number] == (
            pytest.approx(left + (query + 0.5) * (right - left) / 2, abs=2),
            pytest.approx(top - (key + 0.5) * (top - bottom) / 3, abs=2),
        )


def test_keys_down_more_weights_than_pixels_are_pooled_along_their_own_axis():
    weights = np.zeros((1, 1, 5, 900), np.float32)
    weights[0, 0, :, 777] = 1
    picture = transposed("head", encoder(queries=5, keys=900, layers=1, heads=1, weights=weights), dpi=20)
    (cells,) = images(picture)
    assert cells.shape == (225, 5)
    assert np.argwhere(cells).tolist() == [[777 // 4, query] for query in range(5)]
    assert "each cell shows the largest of 4 × 1 weights" in written(picture)


def test_a_token_picture_has_heads_down_in_either_orientation():
    attention = encoder()
    drawn = [token_of("animal", attention, orientation=orientation) for orientation in Orientation]
    for ours, theirs in zip(*(images(picture) for picture in drawn), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert written(drawn[0]) == written(drawn[1])
    assert not any(" down, " in text for text in written(drawn[0]))


def test_no_global_state_of_matplotlib_is_touched():
    import matplotlib

    before = dict(matplotlib.rcParams)
    render(first("layer", encoder()).figure, "svg")
    assert dict(matplotlib.rcParams) == before


def test_a_row_that_predicts_a_token_has_its_name_on_the_axis():
    la, voiture = tokens(["la", "voiture"])
    read = (replace(la, predicts="voiture"), voiture)
    crossing = encoder(read, ["the", "car", "is"], kind=Kind.CROSS)
    for layout in ("head", "layer"):
        assert {"la → voiture", "voiture", "queries → predicted", "keys"} <= set(written(first(layout, crossing)))
        assert {"la → voiture", "queries → predicted", "keys"} <= set(written(transposed(layout, crossing)))
    assert "what “la” (→ voiture) looks at" in written(token_of("la", crossing))
    itself = written(first("head", encoder(read, read, kind=Kind.DECODER)))
    assert [itself.count(label) for label in ("la → voiture", "la", "queries → predicted", "keys")] == [1, 1, 1, 1]
    assert "queries" in written(first("head", encoder()))


def test_without_a_title_nothing_stands_above_and_the_caption_says_what_was_done():
    averaged = encoder().mean()
    picture = first("head", averaged, title="")
    assert "Mean over layers 0-1, heads 0-2. Queries down, keys across; rows sum to 1." in " ".join(written(picture))
    assert "mean" not in written(picture)
    cells = next(a for a in picture.figure.artists if isinstance(a, BboxImage)).get_window_extent()
    assert {text for text, _, bottom, *_ in extents(picture.figure) if bottom >= cells.y1} == {"weight"}
    bare = first("head", encoder().select([0], [1]), title="", caption=False, colorbar=False)
    shown = {token.text for token in sentence(QUERIES) + sentence(KEYS)}
    assert set(written(bare)) == shown | {"queries", "keys"}


def test_without_a_caption_what_it_would_have_said_of_the_weights_is_a_note():
    picture = first("head", encoder().mean(), caption=False)
    assert written(picture)[-1:] == ["some/model · mean"]
    (note,) = picture.notes
    assert note.startswith("Without the small print, the picture does not say: Mean over layers 0-1, heads 0-2. ")
    assert "down" in note and "across" in note


@pytest.mark.parametrize(
    "attention", [square(7, layers=1, heads=1), square(7, layers=2, heads=3).mean()], ids=["1", "mean"]
)
def test_the_grid_of_one_head_is_the_picture_of_that_head(attention):
    grid, head = (first(layout, attention) for layout in ("grid", "head"))
    assert (grid.name, render(grid.figure, "png")) == (head.name, render(head.figure, "png"))


def test_without_a_colour_bar_a_picture_is_as_much_narrower():
    with_it, without = (first("grid", encoder(), colorbar=shown) for shown in (True, False))
    assert "weight" in written(with_it) and "weight" not in written(without)
    assert without.figure.get_figwidth() < with_it.figure.get_figwidth() - 0.3
