"""One word in all heads: what it looks at, and who looks at it."""

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from attnviz.attention import Attention
from attnviz.text import Occurrence
from attnviz.views.terminal_cells import index_name, strongest_tokens

_HEAD_WIDTH = 9
_GAP = 3


@dataclass(frozen=True, slots=True, eq=False)
class WordInHeads:
    """A line a head: the `top` keys that one occurrence of a word looks at most, and the queries that do so at it."""

    attention: Attention
    occurrence: Occurrence
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Gives each half of the table as much as the width allows."""
        attention = self.attention
        room = (options.max_width - _HEAD_WIDTH) // 2 - _GAP
        looks_at = attention.looks_at(self.occurrence)  # [layers, heads, keys]
        looked_at_by = attention.looked_at_by(self.occurrence)  # [layers, heads, queries]
        table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
        for name in ("head", "  looks at", "  looked at by"):
            table.add_column(name, no_wrap=True)
        for row, layer in enumerate(attention.layers):
            for column, head in enumerate(attention.heads):
                table.add_row(
                    Text(f"{index_name(layer):>3}.{index_name(head)}", style="dim"),
                    strongest_tokens(looks_at[row, column], attention.key_tokens, self.top, room),
                    strongest_tokens(looked_at_by[row, column], attention.query_tokens, self.top, room),
                )
        yield table
