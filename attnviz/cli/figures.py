"""The options on the look of a figure, whatever it shows."""

from typing import Annotated, Any

import typer

from attnviz.cli.completion import list_font_families, offer

FigureWidth = Annotated[
    str | None,
    typer.Option(
        metavar="<LENGTH>",
        help="Make the picture exactly this wide, such as 3.3in or 84mm: cells fill it, texts keep their size.",
    ),
]
Font = Annotated[
    str | None,
    typer.Option(
        autocompletion=offer(list_font_families),
        metavar="<FAMILY>",
        help="Write in this font, of those that are installed.  [default: DejaVu Sans]",
    ),
]
Title = Annotated[str | None, typer.Option(help="Write this title above the picture; '' leaves nothing there.")]
NoCaption = Annotated[bool, typer.Option("--no-caption", help="Leave out the small print above and below.")]


def resolution(usual: int) -> Any:
    """Return the option on pixels per inch, of which there are as many as is `usual` unless a width is given."""
    return typer.Option(
        min=20, max=1200, help=f"Draw this many pixels per inch.  [default: {usual}, or 300 with --figure-width]"
    )
