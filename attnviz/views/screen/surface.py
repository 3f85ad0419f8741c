"""The surface that textual draws on: the style sheet, the colours, and the characters that the terminal has."""

from typing import Any

from rich.segment import Segment
from textual.filter import LineFilter
from textual.theme import Theme

from attnviz.views.screen.look import spell

STYLE_SHEET = """
Screen { layout: vertical; padding: 0 1; }
#title, #keys { height: 1; }
#keys { text-style: dim; }
Prose { height: 2; margin-top: 1; }
#heads { height: 1fr; margin-top: 1; }
Overview { width: 30; margin-right: 2; }
Matrix, Links, AllHeads { width: 1fr; }
Links, AllHeads { display: none; }
Detail { height: 3; margin-top: 1; }
#message { height: auto; max-height: 4; display: none; }
Prompt { display: none; border: round $primary; height: 3; padding: 0 1; }
#small { display: none; height: 1fr; }
Screen.small > * { display: none; }
Screen.small #small { display: block; }
HelpScreen { align: center middle; }
HelpScreen VerticalScroll { width: 64; max-width: 100%; height: auto; max-height: 100%; }
HelpScreen VerticalScroll { border: round $primary; padding: 0 1; background: $background; }
HelpScreen Static { margin-bottom: 1; height: auto; }
"""
"""The places of the panes, and which of them are hidden at first, in textual's CSS."""

THEMES = (
    Theme("dark", primary="#64a7e6", foreground="#d6dde4", background="#12161c", surface="#1b2129", panel="#1b2129"),
    Theme(
        "light", primary="#3569b3", foreground="#20242b", background="#fbfcfc", surface="#edf2f4", panel="#edf2f4",
        dark=False,
    ),
)  # fmt: skip
"""The colours of textual's own parts, by the names that `Look.theme` has."""


class Spelled(LineFilter):
    """A filter that lets nothing through that the terminal's encoding lacks."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    def apply(self, segments: list[Segment], background: Any) -> list[Segment]:
        """Replace characters by stand-ins of the same width."""
        return [each if each.control else each._replace(text=spell(each.text, self._encoding)) for each in segments]
