"""Makes the README's pictures again, from what the commands themselves print and save: `python .github/pictures.py`."""

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

HERE = Path(__file__).parent
SENTENCE = "The animal didn't cross the street because it was too tired"


def attnviz(*arguments: str) -> str:
    """Return what the command prints on standard output."""
    command = [sys.executable, "-m", "attnviz", *arguments]
    colourful = os.environ | {"COLORTERM": "truecolor"}
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=colourful).stdout


def terminal(name: str, printed: str, title: str) -> None:
    """Return what was printed as an SVG of a terminal."""
    console = Console(record=True, width=80, file=io.StringIO(), highlight=False)
    console.print(Text.from_ansi(printed.rstrip()))
    console.save_svg(str(HERE / name), title=title, theme=DIMMED_MONOKAI)


def main() -> None:
    """Two terminals as SVGs, one head and the grid of all heads as PNGs."""
    in_colour = "--color", "always", "--width", "80"
    terminal("terminal.svg", attnviz("show", SENTENCE, *in_colour), f'attnviz show "{SENTENCE}"')
    walk = attnviz("explain", SENTENCE, "--token", "it", *in_colour).split("\n")
    first, last = (next(i for i, line in enumerate(walk) if title in line) for title in ("The scores", "The scale"))
    terminal("explain.svg", "\n".join(walk[first:last]), "attnviz explain … --token it, the fifth of 13 steps")
    attnviz("export", SENTENCE, "-o", str(HERE / "grid.png"), "--dpi", "110")
    attnviz("export", SENTENCE, "-o", str(HERE / "word.png"), "--token", "it", "--dpi", "110")


if __name__ == "__main__":
    main()
