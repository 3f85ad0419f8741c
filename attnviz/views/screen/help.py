"""The help: every key, and how to read the screen."""

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from attnviz.views.screen.keys import COMMANDS, name_key

_READING = (
    "Rows are queries, columns are keys; layers and heads count from 0. ● is the most telling head, · has one of the "
    "strongest links. Point at a token to see what it looks at, press it to lock it; press a head to choose it, with "
    "Shift or Ctrl to see several: each has a number and a colour, and a cell has those of the strongest."
)


class HelpScreen(ModalScreen[None]):
    """The help, over everything else; any key closes it, but those that scroll it."""

    def compose(self) -> ComposeResult:
        """Make the list of all keys in a box."""
        keys = Table.grid(padding=(0, 2))
        for command in COMMANDS:
            keys.add_row(Text(" ".join(map(name_key, command.keys)), style="bold"), command.words)
        with VerticalScroll() as box:
            yield Static(keys)
            yield Static(_READING)
        box.border_title = "Keys"
        box.border_subtitle = "Esc closes"

    def on_key(self, event: object) -> None:
        """Close the help."""
        key = getattr(event, "key", "")
        if key not in ("up", "down", "pageup", "pagedown"):
            event.stop()  # type: ignore[attr-defined]
            self.dismiss()

    def on_click(self) -> None:
        """Close the help."""
        self.dismiss()
