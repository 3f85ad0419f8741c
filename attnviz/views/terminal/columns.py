"""Columns that stay in place, however wide a terminal draws the text before them.

Terminals disagree on the width of vowel signs that take room, of emoji that are joined, coloured or presented as such,
and of letters that combine. So whatever follows such a word is sent to its column.
"""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct
from rich.cells import get_character_cell_size
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.control import Control
from rich.segment import Segment

from attnviz.text.graphemes import split_graphemes
from attnviz.views.terminal.cells import GAP

_WORDS = re.compile(r"\s*\S+\s*|\s+")


class KeptColumns(RenderHook):
    """A hook that keeps everything that is printed in its column."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Anchor each renderable."""
        return [_Anchored(renderable) for renderable in renderables]


class _Anchored(Struct, frozen=True):
    """A renderable that sends text after a gap to its column if the width before it is not certain."""

    renderable: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in Segment.split_lines(console.render(self.renderable, options)):
            yield from _anchored(line)
            yield Segment.line()


def _anchored(line: Iterable[Segment]) -> Iterator[Segment]:
    column = gap = 0
    astray = False
    for segment in line:
        for piece in _pieces(segment):
            words = piece.text.strip()
            gap += len(piece.text) - len(piece.text.lstrip())
            if words and astray and gap >= GAP:  # so many blanks part columns, and one words
                yield Control.move_to_column(column).segment
                astray = False
            yield piece
            column += piece.cell_length
            if words:
                gap = len(piece.text) - len(piece.text.rstrip())
                astray = astray or not _certain(words)


def _pieces(segment: Segment) -> Iterator[Segment]:
    """Return the whole segment if all of its width is certain, else its words."""
    texts = [segment.text] if segment.control or _certain(segment.text) else _WORDS.findall(segment.text)
    return (segment._replace(text=text) for text in texts)


def _certain(text: str) -> bool:
    return text.isascii() or all(len(each) == 1 == get_character_cell_size(each) for each in split_graphemes(text))
