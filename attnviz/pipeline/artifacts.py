"""The files of a result: their names and their bytes."""

import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import TextError
from attnviz.formats.writing import FILES, Result
from attnviz.measures.word_rows import select_rows
from attnviz.pipeline.job import MEMORY
from attnviz.records import HeadTable
from attnviz.views.names import scaled
from attnviz.vocabulary import IMAGE_FORMATS, PAGE_FORMATS, Layout

if TYPE_CHECKING:
    from attnviz.views.image.style import Style
    from attnviz.views.page.pages import PageStart

_LEAST_MEMORY = 2**28  # bytes that a picture may take however little memory is allowed, as most do in every format
_SLUG_BYTES = 48
_NAME_BYTES = 180  # some file systems allow 255 for a name and its suffix, some encrypted ones 143 characters of ASCII
_DIGITS = {"token": 5, "layer": 3, "head": 3}
_WORD = r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*"
_LIST = rf"{_WORD}(?:,{_WORD})*"


class Artifact(Struct, frozen=True):
    """A file to be: its name without the suffix, its format, its bytes, which may be made piece by piece, once."""

    name: str
    format: str
    pieces: Iterable[bytes]

    @property
    def file_name(self) -> str:
        """The name with its suffix."""
        return f"{self.name}.{self.format}"


class Maker(Struct, frozen=True):
    """A maker of files from results, in the wanted formats; of one word only if `token` names it.

    `style` is the look of pictures, `opening` the state in which pages open, None where there are none of them.
    `memory` is how many bytes a picture may take together with the weights, if that is more than 268 MB.
    """

    formats: Sequence[str]
    layout: Layout
    token: str | None
    style: "Style | None" = None
    opening: "PageStart | None" = None
    memory: int = MEMORY

    @property
    def wants_terms(self) -> bool:
        """Return whether what scores are made of is shown, as on pages."""
        return self.opening is not None

    def artifacts(self, result: Result, note: Callable[[str], None]) -> Iterator[Artifact]:
        """Return the files of a result, each made when it is asked for; `note` is told what they do not show.

        Raises:
            TextError: there is no such word.
        """
        stem = f"{result.index:06}-{slug(result.text)}"
        yield from self._pictures(result, stem, note)
        yield from self._pages(result, stem, note)
        for form in self.formats:
            if form in FILES:
                kept = replace(result, attention=select_rows(result.attention, self.token))
                yield Artifact(stem, form, chain([FILES[form].header(kept)], FILES[form].pieces(kept)))

    def _pictures(self, result: Result, stem: str, note: Callable[[str], None]) -> Iterator[Artifact]:
        images = [form for form in self.formats if form in IMAGE_FORMATS]
        if not images or self.style is None:
            return
        from attnviz.views.image.pictures import count_bytes, pictures, release, render

        held = sum(record.weights.nbytes for record in result.attention)
        taken: set[str] = set()
        for attention, picture in pictures(result.attention, self.layout, self.token, self.style):
            for each in picture.notes:
                note("Note: " + each)
            name = unlike(taken, file_name(stem, attention.kind.value, picture.name, *map(slug, attention.notes)))
            for form in images:
                self._check_memory(held, count_bytes(picture.figure, form))
                yield Artifact(name, form, [render(picture.figure, form)])
            release(picture.figure)

    def _check_memory(self, held: int, drawn: int) -> None:
        """Raise TextError if a large picture takes more memory than there may be beside the weights that are held.

        It is built by then, but not drawn, which is what takes memory.
        """
        if drawn > max(self.memory - held, _LEAST_MEMORY):
            raise TextError(
                f"The picture would take {scaled(drawn, 'B')} beside the weights' {scaled(held, 'B')},",
                hint=f"and {{memory}} allows {scaled(self.memory, 'B')}: give a smaller {{dpi}}, choose fewer with "
                "{layer} or {head}, or allow more.",
            )

    def _pages(self, result: Result, stem: str, note: Callable[[str], None]) -> Iterator[Artifact]:
        pages = [form for form in self.formats if form in PAGE_FORMATS]
        if not pages or self.opening is None:
            return
        from attnviz.views.page.pages import make_page

        page = make_page(result.attention, result.text, self.opening, terms=result.terms)
        for each in page.notes:
            note(f"Note: {each}")
        for form in pages:
            yield Artifact(stem, form, [page.data])


def draw_numbers(
    tables: Sequence[HeadTable], style: "Style", formats: Sequence[str], note: Callable[[str], None]
) -> Iterator[Artifact]:
    """Return the pictures of tables in each format, named by their kind, and by their model if there are several."""
    from attnviz.views.image.head_numbers import head_picture
    from attnviz.views.image.pictures import render

    several, taken = len({table.model for table in tables}) > 1, set[str]()
    for table in tables:
        picture = head_picture(table, style)
        for each in picture.notes:
            note(each)
        name = unlike(taken, file_name(picture.name, *([slug(table.model)] if several else [])))
        yield from (Artifact(name, form, [render(picture.figure, form)]) for form in formats)


def slug(text: str) -> str:
    """Return a text in letters and digits of its own script, in lower case, short enough for every system.

    Of a long text it is the beginning; a checksum follows that tells it from others that begin like it.
    """
    whole = "-".join(_words(text[: 2 * _SLUG_BYTES].replace("'", "")))
    if whole and len(text) <= 2 * _SLUG_BYTES and len(whole.encode()) <= _SLUG_BYTES:
        return whole
    return f"{_cut(whole, _SLUG_BYTES) or 'text'}-{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def file_name(stem: str, *parts: str) -> str:
    """Return a name, without a suffix, that begins with a stem and says other things, as far as there is room.

    File systems differ in what they allow, and in whether they tell apart `É`, `é` and `e` with an accent after it. So
    names are in normalization form C (Unicode Standard Annex 15), in lower case, and have nothing but letters, digits,
    `-` and `,` in them; one that would be too long ends with a checksum of all of it.
    """
    whole = "-".join((stem, *(_sortable(word) for part in parts for word in _words(part, lists=True))))
    if len(whole.encode()) <= _NAME_BYTES:
        return whole
    return f"{_cut(whole, _NAME_BYTES)}-{zlib.crc32(whole.encode()):08x}"


def is_artifact(name: str, index: int) -> bool:
    """Return whether a file is called as those are that the text of this index becomes."""
    stem, _, form = name.rpartition(".")
    return stem.startswith(f"{index:06}-") and form in (*IMAGE_FORMATS, *PAGE_FORMATS, *FILES)


def unlike(taken: set[str], name: str) -> str:
    """Return the name itself, or with a number after it if it is taken; from now on it is."""
    numbered, number = name, 1
    while numbered in taken:
        number += 1
        numbered = f"{name}-{number}"
    taken.add(numbered)
    return numbered


def _sortable(word: str) -> str:
    """Return a word; of a token, layer or head with zeros before its number, so that names sort by it."""
    axis = word.rstrip("0123456789")
    return axis + word[len(axis) :].zfill(_DIGITS[axis]) if axis in _DIGITS and axis != word else word


def _words(text: str, *, lists: bool = False) -> list[str]:
    """Return what stands between blanks and marks, in lower case; `lists` such as `0,2` are words too."""
    import regex  # unlike re, it knows the marks that belong to letters

    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    known = "".join(char if char.isprintable() else " " for char in folded)  # regex may know a later Unicode
    found: list[str] = regex.findall(_LIST if lists else _WORD, known)
    return found


def _cut(name: str, size: int) -> str:
    """Return as much of a name as takes so many bytes, with whole characters and no dash in the end."""
    return name.encode()[:size].decode(errors="ignore").strip("-")
