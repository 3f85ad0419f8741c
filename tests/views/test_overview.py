import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from rich.color import Color, ColorSystem
from rich.console import Console

from attnviz.records import Attention, HeadMatrix
from attnviz.views.report import Glance, HeadWeights
from attnviz.views.terminal.sections import TerminalSection
from attnviz.views.terminal.thumbnails import SHADES, pool
from attnviz.vocabulary import Orientation, PictureProtocol
from tests import terminal
from tests.build import axes, looking_at, record
from tests.terminal import DENSITIES, thumbnails, widest, without_styles

WIDTHS = 20, 30, 60, 80, 200
Labels = Mapping[tuple[int, int], str]


def printed(attention: Attention, width: int, labels: Labels | None = None, marked: Any = None, **options: Any) -> str:
    section = TerminalSection(Glance(attention, labels or {}, marked))
    return terminal.printed(section, width, _environ={}, **options)


def one_head(weights: np.ndarray) -> Attention:
    return record(layers=(4,), heads=(2,), names=len(weights), weights=weights[None, None])


def thumbnail(weights: np.ndarray, width: int = 9) -> list[str]:
    """The lines of the thumbnail of one head, at most `width` - 4 columns wide."""
    _, *lines = printed(one_head(weights), max(width, 20)).partition("\n\n")[0].splitlines()
    return [line[2:].strip() for line in lines]


@pytest.mark.parametrize("width", [80, 200])
def test_144_heads_fit_in_one_block(width: int) -> None:
    out = printed(record(layers=range(12), heads=range(12), names=13), width, marked=(11, 10))
    assert widest(out) <= width
    headers = [line.split() for line in out.splitlines() if line.lstrip().startswith("H")]
    assert headers == [[f"H{head}" for head in range(12)]]
    assert sum(line.startswith("L") for line in out.splitlines()) == 12


@pytest.mark.parametrize("coloured", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_head_is_there_at_every_width_and_stands_under_its_number(width: int, coloured: bool) -> None:
    options = {"force_terminal": True, "color_system": "truecolor"} if coloured else {}
    out = without_styles(printed(record(layers=3, heads=range(7), names=13), width, **options))
    assert widest(out) <= width
    numbers: list[float] = []
    seen: list[str] = []
    for line in out.splitlines():
        if line.lstrip().startswith("H"):
            numbers = [(match.start() + match.end()) / 2 for match in re.finditer(r"H\d", line)]
            seen += line.split()
        elif line.startswith("L"):
            drawn = [*re.finditer(rf"[{DENSITIES}▀]+", line)]
            assert all(abs((m.start() + m.end()) / 2 - n) <= 1 for m, n in zip(drawn, numbers, strict=True))
    assert seen == [f"H{head}" for head in range(7)]


def test_a_thumbnail_is_the_matrix_where_there_is_room_queries_down_and_keys_across() -> None:
    assert thumbnail(np.array([[0.0, 0.05, 0.2, 0.75], [0.3, 0.7, 0, 0], [0, 0, 1, 0], [0.1, 0.25, 0.5, 0.15]])) == [
        "··" "··" "░░" "██",
        "▒▒" "▓▓" "··" "··",
        "··" "··" "██" "··",
        "░░" "▒▒" "▓▓" "░░",
    ]  # fmt: skip


@pytest.mark.parametrize("place", [(0, 0), (50, 7), (100, 100), (99, 31)])
def test_a_strong_link_among_many_tokens_shows(place: tuple[int, int]) -> None:
    weights = np.full((101, 101), 1 / 101)
    weights[place[0]] = 0.1 / 100
    weights[place] = 0.9
    lines = thumbnail(weights)
    assert "".join(lines).count("█") == 1
    row = next(index for index, line in enumerate(lines) if "█" in line)
    assert abs((row + 0.5) / len(lines) - place[0] / 101) <= 1 / len(lines)
    assert abs((lines[row].index("█") + 0.5) / len(lines[row]) - place[1] / 101) <= 1 / len(lines[row])


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (7, 4), (11, 13), (29, 31)])
def test_a_pooled_weight_is_the_largest_of_those_that_it_stands_for(rows: int, columns: int) -> None:
    weights = np.random.default_rng(1).random((29, 31))
    pooled = pool(weights, rows, columns)
    bands = [[(i * n // of, (i + 1) * n // of) for i in range(of)] for n, of in ((29, rows), (31, columns))]
    expected = [[weights[slice(*down), slice(*across)].max() for across in bands[1]] for down in bands[0]]
    np.testing.assert_array_equal(pooled, expected)


def test_the_marked_head_and_no_other_stands_between_brackets() -> None:
    attention = record(layers=(7, 2), heads=(5, 0, 3), names=5)
    lines = printed(attention, 80, marked=(2, 0)).splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("L2"))
    of_layer = [line for line in lines[first:] if set(DENSITIES) & set(line) and "weight" not in line]
    assert of_layer
    for line in of_layer:
        before, _, rest = line.partition("‹")
        between, _, after = rest.partition("›")
        assert [len(thumbnails(before)), len(between.split()), len(after.split())] == [1, 1, 1]
        assert line.count("‹") == line.count("›") == 1
    assert not {"‹", "›"} & set("".join(lines[:first]))
    assert "the most telling head" in printed(attention, 80, marked=(2, 0))
    assert "telling" not in printed(attention, 80)


def test_a_label_stands_below_its_head_and_is_cut_where_it_is_too_long() -> None:
    attention = record(layers=2, heads=range(7), names=13)
    for width, shown in ((200, "previous"), (60, "previo…")):
        lines = printed(attention, width, {(0, 3): "previous"}).splitlines()
        (header,) = (line for line in lines if "H3" in line)
        (labels,) = (line for line in lines if line.strip() == shown)
        assert abs(labels.index(shown) + len(shown) / 2 - header.index("H3") - 1) <= 1
    assert "labels" not in printed(attention, 80)


def test_the_legend_has_every_level_with_the_weight_from_which_it_stands() -> None:
    assert "·· 0  ░░ .10  ▒▒ .25  ▓▓ .50  ██ .75" in printed(one_head(looking_at([0, 1])), 80)


def test_where_there_is_only_ascii_it_is_made_of_that() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    attention = record(layers=2, heads=(0, 1), names=3, weights=np.tile(np.eye(3), (2, 2, 1, 1)))
    Console(file=file, width=30, _environ={}).print(TerminalSection(Glance(attention, {(0, 1): "same"}, (0, 1))))
    file.seek(0)
    out = file.read()
    assert out.isascii()
    assert out.count("####........") == 8


class TestPicturesInBlocks:
    HEAD = HeadWeights(one_head(np.eye(5)), None, 5, Orientation.QUERIES_DOWN)

    def drawn(self, section: HeadWeights) -> str:
        file = io.StringIO()
        Console(file=file, width=80, _environ={}).print(TerminalSection(section, PictureProtocol.BLOCKS))
        return file.getvalue()

    def test_weights_are_drawn_in_cells_of_equal_size_beside_the_names_of_rows_and_below_those_of_columns(self) -> None:
        header, *lines = self.drawn(self.HEAD).splitlines()[2:-2]
        names = [line[:6].split() for line in lines]
        cells = [line[6:] for line in lines]
        assert names == [[str(row), f"t{row}"] for row in range(5)]
        assert header[6:].split() == [f"t{row}" for row in range(5)]
        assert cells == ["···" * row + "███" + "···" * (4 - row) for row in range(5)]

    def test_names_that_do_not_fit_are_numbered_and_listed_unless_they_are_those_of_the_rows(self) -> None:
        itself, other = record(layers=1, heads=1, names=29), record(layers=1, heads=1, queries=7, keys=29)
        for one, listed in ((itself, []), (other, [f"{number} k{number}" for number in range(29)])):
            out = self.drawn(HeadWeights(one, None, 5, Orientation.QUERIES_DOWN))
            numbers = [int(number) for number in out.splitlines()[2].split()]
            assert numbers == sorted(numbers) and {0, 10, 28} <= {*numbers}
            assert re.findall(r"\d+ k\d+", out) == listed

    def test_of_more_rows_than_there_are_lines_several_share_one_which_has_the_name_of_the_first(self) -> None:
        out = self.drawn(HeadWeights(one_head(np.eye(61)), None, 5, Orientation.QUERIES_DOWN)).splitlines()
        named = [int(line.split()[0]) for line in out[3:-2]]
        assert len(named) == 30 and named[:3] == [0, 2, 4]

    def test_numbers_with_a_sign_stay_numbers(self) -> None:
        of_differences = replace(axes(layers=1, heads=1, queries=5, keys=5), measure="difference")
        signed = HeadMatrix.on(of_differences, -np.eye(5, dtype=np.float32)[None, None])
        out = self.drawn(HeadWeights(signed, None, 5, Orientation.QUERIES_DOWN))
        assert out.count("−1.0") == 5
        assert "█" not in out


class TestColours:
    @pytest.mark.parametrize("measure", ["weight", "difference"])
    def test_shades_of_numbers_have_a_legend_where_there_is_colour(self, measure: str) -> None:
        one = replace(axes(layers=1, heads=1, queries=5, keys=5), measure=measure)
        section = HeadWeights(HeadMatrix.on(one, np.eye(5, dtype=np.float32)[None, None]), None, 5, Orientation(False))
        for colour, shown in (("truecolor", 1), (None, 0)):
            file = io.StringIO()
            options: dict[str, Any] = {"force_terminal": True, "color_system": colour, "width": 80, "_environ": {}}
            Console(file=file, **options).print(TerminalSection(section))
            plain = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
            assert plain.count(f"{measure} from") == shown
            if shown:
                above = [".10", ".20", ".40", ".60", ".80"]
                signed = [f"−{each}" for each in reversed(above)] + ["0"] + [f"+{each}" for each in above]
                assert plain.partition(" from")[2].split() == (above if measure == "weight" else signed)

    def test_two_rows_of_weights_go_into_a_line_as_halves_in_two_shades(self) -> None:
        out = printed(one_head(np.eye(2)), 20, force_terminal=True, color_system="truecolor")
        dark, light = (
            "2;{};{};{}".format(*Color.parse(SHADES[least]).get_truecolor()) for least in (min(SHADES), max(SHADES))
        )
        drawn = re.findall(r"\x1b\[38;([\d;]+);48;([\d;]+)m(▀+)", out.partition("weight from")[0])
        assert [(upper, lower) for upper, lower, _ in drawn[:2]] == [(light, light), (dark, dark)]

    def test_each_shade_is_lighter_than_the_one_before_and_the_steps_are_seen(self) -> None:
        lightness = [lightness_of(*rgb_of(shade)) for shade in SHADES.values()]
        assert min(np.diff(lightness)) > 5

    def test_in_256_colours_no_two_levels_are_alike(self) -> None:
        downgraded = [Color.parse(shade).downgrade(ColorSystem.EIGHT_BIT).number for shade in SHADES.values()]
        assert len({*downgraded}) == len(SHADES)

    @pytest.mark.parametrize("options", [{"no_color": True}, {"color_system": "standard"}, {"color_system": None}])
    def test_where_there_are_no_shades_density_stands_for_them(self, options: dict[str, Any]) -> None:
        out = printed(one_head(np.eye(5)), 80, force_terminal=True, **{"color_system": "truecolor"} | options)
        assert "█" in out
        assert "▀" not in out


def rgb_of(shade: str) -> tuple[int, ...]:
    return tuple(Color.parse(shade).get_truecolor())


def lightness_of(*rgb: int) -> float:
    """CIELAB's L of an sRGB colour, 0 to 100 (CIE 15:2004; IEC 61966-2-1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in rgb)]
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


@pytest.mark.parametrize(
    ("coloured", "names", "pooled"),
    [(True, 5, False), (True, 14, False), (True, 17, True), (False, 5, False), (False, 7, False), (False, 11, True)],
)
def test_what_a_cell_stands_for_is_said_where_it_stands_for_several(coloured: bool, names: int, pooled: bool) -> None:
    options = {"force_terminal": True, "color_system": "truecolor"} if coloured else {}
    out = without_styles(printed(record(layers=2, heads=1, names=names), 80, marked=(0, 0), **options))
    lines = out.partition("\nL1")[0].count("›")
    assert (names > lines * (2 if coloured else 1)) == pooled
    assert ("\nqueries down, keys across, the largest weight of each cell" in out) == pooled
