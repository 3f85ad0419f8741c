"""Characters that our own font lacks, with fonts made here: what is installed does not matter."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import font_manager

from attnviz.errors import UsageError
from attnviz.views.image import fonts as image_fonts
from attnviz.views.image.fonts import FONT, Fonts, fonts_for, ink, text_width
from attnviz.views.image.pictures import LAYOUTS, Picture, render
from attnviz.views.image.style import Style
from attnviz.views.image.words import ellipsised
from attnviz.vocabulary import IMAGE_FORMATS, Layout
from tests.build import record

_UNITS = 1000  # of a font, to an em
Install = Callable[..., None]


def font_file(path: Path, family: str, widths: dict[str, int], *, blank: bool = False, cff: bool = False) -> Path:
    """A font whose characters are rectangles of these widths, as PostScript draws them if `cff`; or have no outline."""
    names = {ord(char): f"u{ord(char):04X}" for char in widths}
    builder = FontBuilder(_UNITS, isTTF=not cff)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    outlines = {".notdef": T2CharStringPen(500, None).getCharString() if cff else TTGlyphPen(None).glyph()}
    for char, width in widths.items():
        pen: Any = T2CharStringPen(width, None) if cff else TTGlyphPen(None)
        if not blank:
            pen.moveTo((0, 0))
            for corner in ((0, 700), (width, 700), (width, 0)):
                pen.lineTo(corner)
            pen.closePath()
        outlines[names[ord(char)]] = pen.getCharString() if cff else pen.glyph()
    if cff:
        builder.setupCFF(family.replace(" ", ""), {}, outlines, {})
    else:
        builder.setupGlyf(outlines)
    builder.setupHorizontalMetrics({".notdef": (500, 0), **{names[ord(c)]: (w, 0) for c, w in widths.items()}})
    builder.setupHorizontalHeader(ascent=900, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular", "psName": family.replace(" ", "")})
    builder.setupOS2(sTypoAscender=900, sTypoDescender=-200, usWinAscent=900, usWinDescent=200)
    builder.setupPost()
    if blank:  # as fonts of coloured emoji are: nothing without their colours
        builder.setupCOLR({names[ord(char)]: [(names[ord(char)], 0)] for char in widths})
        builder.setupCPAL([[(0.0, 0.0, 0.0, 1.0)]])
    builder.save(path)
    return path


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes fonts the only ones of the system beside those that come with matplotlib."""
    shipped = Path(font_manager.findfont(FONT)).parent
    entries = [entry for entry in font_manager.fontManager.ttflist if Path(entry.fname).parent == shipped]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", entries)

    def add(family: str, characters: str, width: int = 1000, *, blank: bool = False, cff: bool = False) -> None:
        path = font_file(tmp_path / f"{family}.ttf", family, dict.fromkeys(characters, width), blank=blank, cff=cff)
        font_manager.fontManager.addfont(path)

    with ExitStack() as after:
        for cached in (
            image_fonts._system, image_fonts._stand_ins, image_fonts._has_cff, image_fonts._files, ink, text_width,
            type(font_manager.fontManager)._findfont_cached,
        ):  # fmt: skip
            cached.cache_clear()
            after.callback(cached.cache_clear)
        yield add


def head(*names: str, layout: Layout = Layout.HEAD) -> Picture:
    return next(LAYOUTS[layout](record(layers=1, heads=1, names=names), Style()))


def texts(picture: Picture) -> str:
    """All that is written, as an SVG holds it."""
    return render(picture.figure, "svg").decode().replace("&lt;", "<").replace("&gt;", ">")


class TestFontsThatStandIn:
    def test_what_our_own_font_has_is_drawn_with_it_alone(self, install: Install) -> None:
        install("Other Sans", "aéЖא")
        assert fonts_for(["a", "é", "Ж", "אב", "مرحبا"]) == Fonts()

    def test_the_fonts_are_as_few_as_have_all_that_is_lacking(self, install: Install) -> None:
        install("A Sans", "狗")
        install("B Sans", "没")
        install("C Sans", "狗没ท")
        assert fonts_for(["狗没", "ท cat"]).families == (FONT, "C Sans")

    def test_of_equal_fonts_a_plain_sans_serif_is_taken_then_the_first_by_name(self, install: Install) -> None:
        for family in ("A Serif", "A Mono Sans", "C Sans", "B Sans", "A Looped"):
            install(family, "ท")
        assert fonts_for(["ท"]).families == (FONT, "B Sans")

    @pytest.mark.parametrize(("text", "region"), [("狗", "SC"), ("犬は", "JP"), ("犬カ", "JP"), ("개犬", "KR")])
    def test_chinese_characters_are_drawn_as_where_what_stands_beside_them_is_used(
        self, install: Install, text: str, region: str
    ) -> None:
        for other in ("HK", "JP", "KR", "SC", "TC"):
            install(f"Some Sans {other}", "狗犬はカ개")
        assert fonts_for([text]).families == (FONT, f"Some Sans {region}")

    def test_a_font_of_colours_without_outlines_is_no_help(self, install: Install) -> None:
        install("A Sans Emoji", "🦊", blank=True)
        assert fonts_for(["🦊"]).lacking == {"🦊"}
        install("B Sans Emoji", "🦊")
        image_fonts._system.cache_clear()
        image_fonts._stand_ins.cache_clear()
        assert fonts_for(["🦊"]) == Fonts((FONT, "B Sans Emoji"))

    def test_a_font_that_has_been_removed_is_no_help(self, install: Install, tmp_path: Path) -> None:
        install("A Sans", "狗")
        (tmp_path / "A Sans.ttf").unlink()
        assert fonts_for(["狗"]).lacking == {"狗"}

    def test_widths_are_those_of_the_font_that_draws(self, install: Install) -> None:
        install("Wide Sans", "狗", width=3000)
        families = fonts_for(["狗"]).families
        assert text_width("狗", 8, 150, families) == pytest.approx(3 * 8, rel=0.05)
        assert text_width("狗狗", 8, 150, families) == pytest.approx(6 * 8, rel=0.05)

    def test_a_picture_shows_the_glyphs_of_the_font_that_has_them(self, install: Install) -> None:
        install("Block Sans", "狗", width=1000)
        families = fonts_for(["狗"]).families
        shades = ink("狗", 72, 72, families).shades  # a rectangle of 72 pixels by 70% of that
        assert (shades == 255).sum() == pytest.approx(72 * 0.7 * 72, rel=0.05)

    def test_an_svg_names_all_of_its_fonts_and_a_pdf_holds_them(self, install: Install) -> None:
        install("Block Sans", "狗")
        picture = head("狗", "cat")
        assert picture.notes == ()
        assert "font-family: 'DejaVu Sans', 'Block Sans', sans-serif" in texts(picture)
        assert ">狗<" in texts(picture)
        assert b"BlockSans" in render(picture.figure, "pdf")


class TestAChosenFont:
    @pytest.mark.parametrize(("cff", "kind"), [(False, b"/CIDFontType2"), (True, b"/Type3")])
    def test_a_pdf_has_outlines_of_truetype_as_they_are_and_those_of_postscript_as_drawings(
        self, install: Install, cff: bool, kind: bytes
    ) -> None:
        install("Block Sans", "catdogqueriskyw-0123456789.", width=500, cff=cff)
        drawn = next(LAYOUTS[Layout.HEAD](record(layers=1, heads=1, names=["cat", "dog"]), Style(font="Block Sans")))
        pdf = render(drawn.figure, "pdf")
        assert re.findall(rb"/Subtype (/CIDFontType2|/Type3)", pdf)[0] == kind
        assert (b"/FontFile2" in pdf) is not cff
        assert "font-family: 'Block Sans'" in texts(drawn)

    def test_all_texts_are_written_in_it_and_ours_stands_in_for_what_it_lacks(self, install: Install) -> None:
        install("Block Sans", "catdogqueris", width=500)
        picture = next(LAYOUTS[Layout.HEAD](record(layers=1, heads=1, names=("cat", "狗")), Style(font="block sans")))
        assert "font-family: 'Block Sans', 'DejaVu Sans', sans-serif" in texts(picture)
        assert "font-family: 'DejaVu Sans'," not in texts(picture)
        assert "<U+72D7>" in texts(picture)
        assert {b"BlockSans" in render(picture.figure, "pdf"), b"DejaVuSans" in render(picture.figure, "pdf")} == {True}
        assert text_width("cat", 8, 150, fonts_for(["cat"], "Block Sans").families) == pytest.approx(1.5 * 8, rel=0.05)

    def test_what_neither_has_is_written_in_another(self, install: Install) -> None:
        install("Block Sans", "cat")
        install("Other Sans", "狗")
        assert fonts_for(["cat", "é", "狗"], "Block Sans").families == ("Block Sans", FONT, "Other Sans")

    def test_one_that_is_not_installed_is_a_sentence_with_names_like_it(self, install: Install) -> None:
        install("Block Sans", "cat")
        with pytest.raises(UsageError, match=r"No font family 'Blok Sans' is installed: try Block Sans"):
            Style(font="Blok Sans")
        with pytest.raises(UsageError, match=r"'␛' is installed: try DejaVu Sans, DejaVu Serif\."):
            Style(font="\x1b")

    def test_one_that_was_installed_after_matplotlib_made_its_list_is_found(
        self, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        new = font_file(tmp_path / "new.ttf", "New Sans", {"a": 500})
        monkeypatch.setattr(image_fonts, "findSystemFonts", lambda: [str(new), str(tmp_path / "broken.ttf")])
        monkeypatch.setattr(image_fonts, "get_cachedir", lambda: str(tmp_path))
        assert Style(font="new sans").font == "New Sans"
        assert "new.ttf" in next(tmp_path.glob("fontlist-*.json")).read_text(encoding="utf-8")


class TestCodes:
    """What no font has; 狗 and 没 are in none that comes with matplotlib."""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("狗", "<U+72D7>"),
            ("狗没", "<U+72D7 6CA1>"),
            ("a狗b", "a<U+72D7>b"),
            ("🦊!", "<U+1F98A>!"),
            ("👩\u200d🌾", "<U+1F469 1F33E>"),
            ("1\ufe0f\u20e3", "1<U+20E3>"),
        ],
    )
    def test_a_code_stands_for_a_character_without_what_joins_it(self, install: Install, text: str, shown: str) -> None:
        assert fonts_for([text]).spelled(text) == shown

    @pytest.mark.parametrize("layout", Layout)
    @pytest.mark.parametrize("file_format", IMAGE_FORMATS)
    def test_no_picture_has_boxes_in_it(self, install: Install, layout: Layout, file_format: str) -> None:
        picture = head("狗", "cat", layout=layout)
        assert "<U+72D7>" in texts(picture)
        assert "狗" not in texts(picture)
        assert render(picture.figure, file_format)  # matplotlib warns of boxes, and warnings are errors

    def test_it_is_noted_once_for_each_script(self, install: Install) -> None:
        picture = head("狗", "没", "ที่", "🦊", "1\ufe0f\u20e3", "cat")
        assert picture.notes == (
            "No installed font has CJK letters, so they are drawn as codes: install a font that has them, such as "
            "Noto.",
            "No installed font has Thai letters, so they are drawn as codes: install a font that has them, such as "
            "Noto.",
            "No installed font has some signs, so they are drawn as codes: install a font that has them, such as Noto.",
        )

    def test_a_label_is_cut_between_codes(self, install: Install) -> None:
        long = "狗没有过马路因为它太累了"
        fonts = fonts_for([long])
        assert ellipsised(long, fonts) == "<U+72D7 6CA1 6709 8FC7>…"
        assert ellipsised("क्योंकि", fonts_for(["क्योंकि"])) == "<U+0915 094D 092F 094B>…"

    def test_what_is_not_seen_needs_no_font(self, install: Install) -> None:
        assert fonts_for(["a\u200db\u200c", "☺\ufe0f", "é\nb"]) == Fonts()


class TestCutting:
    FAMILY, MARKED, JAMO = "👩\u200d👩\u200d👧", "e\u0301\u0323", "\u1112\u1161\u11ab"

    @pytest.mark.parametrize("grapheme", [FAMILY, MARKED, JAMO, "🇳🇴", "คื่", "x"])
    def test_an_ellipsis_comes_between_what_a_reader_takes_for_characters(self, grapheme: str) -> None:
        assert ellipsised(grapheme * 24) == grapheme * 24
        assert ellipsised(grapheme * 25) == grapheme * 23 + "…"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=12))
def test_whatever_can_be_shown_is_drawn_without_a_warning(text: str) -> None:
    fonts = fonts_for([text])
    shown = fonts.spelled(text)
    assert not fonts_for([shown]).lacking
    ink(shown, 8, 150, fonts.families)
