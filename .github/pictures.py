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
    """What the command prints on standard output."""
    command = [sys.executable, "-m", "attnviz", *arguments]
    colourful = os.environ | {"COLORTERM": "truecolor"}
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=colourful).stdout


def main() -> None:
    """The terminal as an SVG, one head and the grid of all heads as PNGs."""
    console = Console(record=True, width=80, file=io.StringIO(), highlight=False)
    console.print(Text.from_ansi(attnviz("show", SENTENCE, "--color", "always", "--width", "80").rstrip()))
    console.save_svg(str(HERE / "terminal.svg"), title=f'attnviz show "{SENTENCE}"', theme=DIMMED_MONOKAI)
    attnviz("export", SENTENCE, "-o", str(HERE / "grid.png"), "--dpi", "110")
    attnviz("export", SENTENCE, "-o", str(HERE / "word.png"), "--token", "it", "--dpi", "110")


if __name__ == "__main__":
    main()
