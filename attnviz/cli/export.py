"""`attnviz export`: attention saved as pictures or as data."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from attnviz.cli import options
from attnviz.cli.artifacts import Maker
from attnviz.cli.groups import grouped
from attnviz.cli.outcomes import for_each_result
from attnviz.cli.output import complain
from attnviz.cli.request import Input, ModelChoice, Request, Wanted
from attnviz.cli.sinks import Folder, OneFile, Sink, StandardOutput
from attnviz.cli.texts import chunks
from attnviz.errors import UsageError
from attnviz.views.data import FILES, Result
from attnviz.views.layouts import IMAGE_FORMATS, Layout, Orientation

if TYPE_CHECKING:
    from attnviz.views.image_style import Style

_FORMATS = (*IMAGE_FORMATS, *FILES)
_DEFAULT_FORMATS = ("png",)
_LAYOUTS = tuple(layout.value for layout in Layout)
_STANDARD_OUTPUT = Path("-")


_Output = Annotated[
    Path, typer.Option("-o", "--output", help="A folder; a file, if it ends like a format; - for standard output.")
]
_Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format", parser=options.one_of(_FORMATS), metavar=options.choices(_FORMATS), help="One or several."
    ),
]
_LayoutName = Annotated[
    str,
    typer.Option(
        parser=options.one_of(_LAYOUTS),
        metavar=options.choices(_LAYOUTS),
        help="A picture a head, a picture a layer, or all heads in one.",
    ),
]
_ColourMap = Annotated[str | None, typer.Option(help="A colour map of matplotlib's.  [default: ink, our own]")]
_Resolution = Annotated[int, typer.Option(min=20, max=1200, help="Pixels an inch.")]
_Log = Annotated[bool, typer.Option("--log", help="A logarithmic scale, for weight that pools on a token.")]
_Title = Annotated[str | None, typer.Option(help="A title of your own; '' for none.")]
_Annotate = Annotated[bool, typer.Option("--annotate", help="Numbers in the cells, where there is room.")]


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How weights are drawn."""

    HEADING: ClassVar = "Pictures"

    layout: _LayoutName = Layout.GRID.value
    cmap: _ColourMap = None
    dpi: _Resolution = 150
    log: _Log = False
    title: _Title = None
    annotate: _Annotate = False
    transpose: options.Transpose = False

    def style(self) -> "Style":
        """The same, checked; imports matplotlib."""
        from attnviz.text import visible
        from attnviz.views.image_style import DEFAULT_COLOURS, Style

        os.environ.pop("MPLBACKEND", None)  # no window is opened; a name that is unknown here would stop the import
        return Style(
            cmap=self.cmap or DEFAULT_COLOURS,
            dpi=self.dpi,
            log=self.log,
            title=self.title and "\n".join(visible(line) for line in self.title.splitlines()),
            annotate=self.annotate,
            orientation=Orientation(self.transpose),
        )


@grouped
def export(
    given: Input,
    model: ModelChoice,
    wanted: Wanted,
    looks: Looks,
    output: _Output = Path("attention"),
    forms: _Formats = None,
    debug: options.Debug = False,
) -> None:
    """Save attention as pictures or as data.

    Pictures are png, svg or pdf; data is npz, json or csv.

    \b
    attnviz export "The animal didn't cross the street because it was too tired"
    attnviz export "The dog barked" --layer 2 --head 5 --layout head -o dog.pdf
    attnviz export --file lines.txt --format png --format npz -o figures/
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    sink, formats = _destination(output, tuple(dict.fromkeys(forms or ())))
    request = Request(given, model, wanted)
    drawn = set(formats) & set(IMAGE_FORMATS)
    maker = Maker(formats, Layout(looks.layout), wanted.token, looks.style() if drawn else None)

    def save(result: Result) -> None:
        for artifact in maker.artifacts(result):
            sink.add(artifact)

    done = for_each_result(request, chunks(given.sources()), save)
    sink.finish()
    if not done:
        raise typer.Exit(1)


def _destination(output: Path, formats: tuple[str, ...]) -> tuple[Sink, tuple[str, ...]]:
    """Where files go, and in which formats: what a file's suffix says, else png unless told otherwise.

    Raises:
        UsageError: one file was named, but for other formats than its suffix says.
    """
    suffix = output.suffix.removeprefix(".").lower()
    if output == _STANDARD_OUTPUT:
        return StandardOutput(), formats or _DEFAULT_FORMATS
    if suffix not in _FORMATS:
        if suffix and not output.exists():
            complain(f"Note: {output} becomes a folder, because {suffix} is none of {', '.join(_FORMATS)}.")
        return Folder(output), formats or _DEFAULT_FORMATS
    if formats not in ((), (suffix,)):
        raise UsageError(f"{output} is no {' or '.join(formats)} file: let -o name a folder, or leave --format out.")
    return OneFile(output), (suffix,)
