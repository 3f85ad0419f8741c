"""One word in all heads: what it looks at, and who looks at it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from attnviz.records import Attention, Weights, Word
from attnviz.text import Token
from attnviz.views.names import head_name
from attnviz.views.terminal.cells import strongest_tokens

_HEAD_WIDTH = 9
_GAP = 3
_LEAST_ROOM = 12  # for a half of the table; below it, the halves stand under each other

_Side = tuple[str, Weights, tuple[Token, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class WordInHeads:
    """A line a head: the `top` keys that a word looks at most, and the queries that do so at it."""

    attention: Attention
    word: Word
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Gives each half of the table as much as the width allows."""
        attention, sides = self.attention, list[_Side]()
        if self.word.queries:
            sides.append(("looks at", attention.looks_at(self.word), attention.key_tokens))
        if self.word.keys:
            sides.append(("looked at by", attention.looked_at_by(self.word), attention.query_tokens))
        room = (options.max_width - _HEAD_WIDTH) // len(sides) - _GAP
        if room >= _LEAST_ROOM:
            yield self._table(sides, room)
        else:
            yield from (self._table([side], options.max_width - _HEAD_WIDTH) for side in sides)

    def _table(self, sides: Sequence[_Side], room: int) -> Table:
        table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
        for name in ("head", *(f"  {name}" for name, _, _ in sides)):
            table.add_column(name, no_wrap=True)
        for row, layer in enumerate(self.attention.layers):
            for column, head in enumerate(self.attention.heads):
                label = Text(head_name(layer, head), style="dim")
                ends = (strongest_tokens(w[row, column], tokens, self.top, room) for _, w, tokens in sides)
                table.add_row(label, *ends)
        return table
