"""What files a result becomes: their names and their bytes."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from attnviz.cli.output import complain
from attnviz.cli.request import rows_of, words_of
from attnviz.views.data import FILES, Result
from attnviz.views.layouts import IMAGE_FORMATS, Layout

if TYPE_CHECKING:
    from attnviz.attention import Attention
    from attnviz.views.image import Picture
    from attnviz.views.image_style import Style

_SLUG_BYTES = 48


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file to be: its name without the suffix, its format, its bytes."""

    name: str
    format: str
    data: bytes

    @property
    def file_name(self) -> str:
        """The whole name."""
        return f"{self.name}.{self.format}"


@dataclass(frozen=True, slots=True)
class Maker:
    """Turns results into files of the wanted formats, of one word only if `token` names it."""

    formats: Sequence[str]
    layout: Layout
    token: str | None
    style: "Style | None"
    _said: set[str] = field(default_factory=set)

    def artifacts(self, result: Result) -> Iterator[Artifact]:
        """The files of a result, each made when it is asked for."""
        stem = f"{result.index:06}-{slug(result.text)}"
        yield from self._pictures(result, stem)
        for form in self.formats:
            if form in FILES:
                kept = replace(result, attention=rows_of(result.attention, self.token))
                yield Artifact(stem, form, FILES[form].header + FILES[form].encode(kept))

    def _pictures(self, result: Result, stem: str) -> Iterator[Artifact]:
        images = [form for form in self.formats if form in IMAGE_FORMATS]
        if not images or self.style is None:
            return
        from attnviz.views.image import render

        for attention, picture in self._drawn(result.attention, self.style):
            self._say_once(picture.notes)
            name = "-".join((stem, attention.kind.value, picture.name, *map(slug, attention.notes)))
            for form in images:
                yield Artifact(name, form, render(picture.figure, form))

    def _drawn(self, found: Sequence["Attention"], style: "Style") -> Iterator[tuple["Attention", "Picture"]]:
        from attnviz.views.image import LAYOUTS, token_picture

        if self.token is None:
            for attention in found:
                yield from ((attention, picture) for picture in LAYOUTS[self.layout](attention, style))
        else:
            for attention, words in words_of(found, self.token):
                yield from ((attention, token_picture(attention, word, style)) for word in words)

    def _say_once(self, notes: Sequence[str]) -> None:
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                complain(f"Note: {note}")


def slug(text: str) -> str:
    """The beginning of a text in letters and digits of its own script, short enough for every file system."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text[:_SLUG_BYTES].replace("'", "")).casefold())
    return "-".join(words).encode()[:_SLUG_BYTES].decode(errors="ignore").strip("-") or "text"
