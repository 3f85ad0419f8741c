"""The options on the look of a figure, whatever it shows."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct
from msgspec.structs import asdict

from attnviz.cli.completion import list_font_families, offer

if TYPE_CHECKING:  # matplotlib, which is imported to draw
    from attnviz.views.image.style import Style

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


def make_style(looks: Struct, **others: Any) -> "Style":
    """Return the style of a picture from a record of options and from `others`; options that were not given are None.

    This imports matplotlib.

    Raises:
        UsageError: the style is not possible.
    """
    from attnviz.views.image.style import Style

    given = {name: value for name, value in asdict(looks).items() if value is not None}
    own = {name: value for name, value in given.items() if name in Style.__struct_fields__}
    return Style(**own, caption=not given["no_caption"], **others)
