"""`attnviz export`: attention saved as pictures, as a page for a browser, or as data."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from msgspec import Struct
from msgspec.structs import asdict, replace

from attnviz.cli import figures, options
from attnviz.cli.completion import list_colour_maps, offer
from attnviz.cli.groups import group_options
from attnviz.cli.heads import OF_STAT, NumberChoice, sum_up
from attnviz.cli.outcomes import for_each
from attnviz.cli.output import Notes, say, write_pieces, write_standard_output
from attnviz.cli.progress import Tally
from attnviz.cli.request import Input, ModelChoice, Wanted, make_head_job, make_job, say_unless_nothing
from attnviz.errors import InputError, UsageError
from attnviz.formats.writing import FILES, Result
from attnviz.pipeline.artifacts import Artifact, Maker, draw_numbers
from attnviz.pipeline.batch import Batch
from attnviz.pipeline.files import find_format, write_file
from attnviz.pipeline.job import MEMORY
from attnviz.pipeline.outcomes import KeepWeights, Outcome, stream_outcomes
from attnviz.pipeline.sources import STANDARD_INPUT
from attnviz.pipeline.streams import Source
from attnviz.text import quote_argument
from attnviz.vocabulary import IMAGE_FORMATS, OF_NUMBERS, PAGE_FORMATS, Layout, Orientation

if TYPE_CHECKING:  # matplotlib, which data does without
    from attnviz.views.image.style import Style
    from attnviz.views.page.pages import PageStart

FORMATS = (*IMAGE_FORMATS, *FILES, *PAGE_FORMATS)
"""The formats in which a result can be saved, each the suffix of a file."""

_DEFAULT_FORMATS = ("png",)
_LAYOUTS = *(layout.value for layout in Layout), OF_NUMBERS
_STANDARD_OUTPUT = Path("-")
_LIKE_SUFFIX = re.compile(r"[a-z][a-z0-9]{0,7}")  # and not a number, as in the folder results.2


def _parse_path(text: str | Path) -> Path:
    """Parse a path; an empty one would be the current folder."""
    if not str(text):
        raise typer.BadParameter("a name is missing: give a file or a folder, or . for this one.")
    return Path(text)


_Output = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        parser=_parse_path,
        metavar="<PATH>",
        help="Save into this folder, or into one file if it ends in a format such as .png; - is standard output.",
    ),
]
_Formats = Annotated[
    list[str] | None,
    options.choice(
        FORMATS, "--format", line="Save in this format; give it again for another.  [default: png, or that of -o]"
    ),
]
_LayoutName = Annotated[
    str,
    options.choice(
        _LAYOUTS,
        line="Draw one picture for each head, for each layer, or for all; heads draws numbers over all texts.",
    ),
]
_ColourMap = Annotated[
    str | None,
    typer.Option(
        autocompletion=offer(list_colour_maps), help="Use this colour map of matplotlib.  [default: ink, our own]"
    ),
]
_NoColorbar = Annotated[bool, typer.Option("--no-colorbar", help="Leave out the colour bar.")]
_Largest = Annotated[
    str | None,
    typer.Option(
        metavar="<NUMBER|auto>",
        help="End the colours at this number; auto ends them at the largest of the picture.  [default: 1 for weights "
        "on a linear scale, else auto]",
    ),
]
_Log = Annotated[
    bool | None,
    typer.Option(
        "--log/--linear",
        help="Use a logarithmic colour scale, which makes small weights visible.  [default: only for bins]",
    ),
]
_Annotate = Annotated[bool, typer.Option("--annotate", help="Write the weights into the cells, where there is room.")]
_Force = Annotated[bool, typer.Option("--force", help="Save every text again, even those that are done already.")]


class Looks(Struct, frozen=True, kw_only=True):
    """The look of pictures, and the state in which a page opens."""

    HEADING: ClassVar = "Pictures and pages"

    layout: _LayoutName = Layout.GRID.value
    cmap: _ColourMap = None
    dpi: Annotated[int | None, figures.resolution(150)] = None
    figure_width: figures.FigureWidth = None
    font: figures.Font = None
    log: _Log = None
    vmax: _Largest = None
    title: figures.Title = None
    no_caption: figures.NoCaption = False
    no_colorbar: _NoColorbar = False
    annotate: _Annotate = False
    transpose: options.Transpose = False
    stat: Annotated[
        list[str] | None,
        options.choice(
            OF_STAT,
            "--stat",
            metavar="<NAME>",
            line="With --layout heads, draw only this number of attnviz heads. Give it again for another.",
        ),
    ] = None

    @property
    def of_numbers(self) -> bool:
        """Return whether numbers for each head are drawn, and no weights."""
        return self.layout == OF_NUMBERS

    def style(self) -> "Style":
        """Check the options and return the style; this imports matplotlib."""
        named = replace(self, cmap=self.cmap or None)  # an empty name is none
        return figures.make_style(named, orientation=Orientation(self.transpose), colorbar=not self.no_colorbar)

    def opening(self, token: str | None) -> "PageStart":
        """Return the state in which a page opens, with a token locked if one is named."""
        from attnviz.views.page.pages import PageStart

        return PageStart(token=token, log=self.log, transpose=self.transpose, title=self.title)

    def maker(self, formats: tuple[str, ...], token: str | None, memory: int = MEMORY) -> Maker:
        """Return the maker of files in these formats; pictures import matplotlib."""
        return Maker(
            formats,
            Layout.GRID if self.of_numbers else Layout(self.layout),  # which data and pages ignore
            token,
            self.style() if {*formats} & {*IMAGE_FORMATS} else None,
            self.opening(token) if {*formats} & {*PAGE_FORMATS} else None,
            memory,
        )


class Sharing(Struct, frozen=True, kw_only=True):
    """The way in which many texts are done."""

    HEADING: ClassVar = "Many texts, into a folder"

    jobs: options.Jobs = 1
    force: _Force = False


@group_options
def export(
    given: Input,
    model: ModelChoice,
    wanted: Wanted,
    looks: Looks,
    sharing: Sharing,
    output: _Output = Path("attention"),
    forms: _Formats = None,
) -> None:
    """Save attention as pictures, pages or data.

    Pictures are png, svg or pdf; data is npz, json, csv or tsv; html is a page to look into with a browser. A folder
    gets a manifest.jsonl that lists what is done, so that the next run can skip it.

    \b
    attnviz export "The animal didn't cross the street because it was too tired"
    attnviz export "The dog barked" --layer 2 --head 5 -o dog.pdf
    attnviz export --file lines.txt --format png --format npz -o figures/
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    formats, alone = _parse_output(output, tuple(dict.fromkeys(forms or ())))
    if looks.of_numbers and set(formats) & set(IMAGE_FORMATS):
        if code := _export_numbers(given, model, wanted, looks, formats, output, alone=alone, jobs=sharing.jobs):
            raise typer.Exit(code)
        return
    maker = looks.maker(formats, wanted.token, wanted.memory)
    job = make_job(given, model, wanted)
    if alone:
        task, sources = KeepWeights(job, maker.wants_terms), given.sources(wanted.memory, say_unless_nothing)
        found = stream_outcomes(task, sources)
        code = export_one(found, maker, output)
    else:
        changed = _find_changed(given, model, wanted, looks) | {"format": formats}
        file = None if given.file is None or str(given.file) == STANDARD_INPUT else str(given.file)
        batch = Batch(job, maker, changed, file, sharing.jobs, sharing.force)
        sources = given.sources(wanted.memory)  # raises before a progress bar is drawn if there is no text
        with Tally(given, output, anew=sharing.force) as tally:
            batch.export(sources, output, tally)
        code = tally.code
    if code:
        raise typer.Exit(code)


def _export_numbers(
    given: Input, model: ModelChoice, wanted: Wanted, looks: Looks, formats: tuple[str, ...], output: Path, *,
    alone: bool, jobs: int,
) -> int:  # fmt: skip
    """Draw the numbers of all texts, into a folder or `alone` into one file, and return the exit code.

    Raises:
        UsageError: data is to be saved too, there are several pictures for one file, or numbers that read no text were
            asked for with one.
        InputError: no text could be read.
    """
    style, numbers = looks.style(), NumberChoice(stat=looks.stat)
    if not set(formats) <= set(IMAGE_FORMATS):
        raise UsageError("--layout heads draws pictures only: give data another attnviz export, or use attnviz heads.")
    job, note = make_head_job(given, model, wanted, wanted.memory), say_unless_nothing if alone else say
    tables, code = sum_up(given, job, numbers, jobs, "drawn", note)
    made = list(draw_numbers(tables, style, formats, lambda note: say(f"Note: {note}")))
    if alone:
        if len(made) > 1:
            raise UsageError(
                f"{output} is one file, but there are several to save: {made[0].file_name}, {made[1].file_name} … "
                "Choose one format, and one kind of attention with --kind, or give -o a folder."
            )
        _write_one(made, output)
    else:
        output.mkdir(parents=True, exist_ok=True)
        for artifact in made:
            write_file(output / artifact.file_name, artifact.pieces)
            write_standard_output(f"{output / artifact.file_name}\n".encode("utf-8", "surrogateescape"))
    return code


_WITHOUT_EFFECT = "texts", "file", "offline"  # on the files of a text


def _find_changed(*groups: Any) -> dict[str, Any]:
    """Return the options in these records that differ from their defaults, by name."""
    return {
        name: value
        for group in groups
        for name, value in asdict(group).items()
        if name not in _WITHOUT_EFFECT and value != getattr(type(group)(), name)
    }


def export_one(found: Iterable[Outcome[Result]], maker: Maker, output: Path) -> int:
    """Make the one file that was asked for, and return the exit code.

    Raises:
        UsageError: there is more than one to write.
        InputError: there is nothing to write.
    """
    name, made, note = _name(output), list[Artifact](), Notes()

    def save(result: Result) -> None:
        for artifact in maker.artifacts(result, note):
            if made:
                raise UsageError(
                    f"{name} is one file, but there are several to save: {made[0].file_name}, {artifact.file_name} … "
                    "Choose one text, one format and one picture (--layout grid, --kind for one kind, and layers "
                    "that have the same heads), or give -o a folder."
                )
            made.append(artifact)

    code = for_each(found, save)
    _write_one(made, output)
    return code


def _write_one(made: Sequence[Artifact], output: Path) -> None:
    """Write the one file that was made; raise InputError if there is none."""
    if not made:
        raise InputError(f"{_name(output)} was not written: no text could be read.")
    write_pieces(made[0].pieces, output)


def _name(output: Path) -> str:
    return "Standard output" if output == _STANDARD_OUTPUT else str(output)


def save_one(result: Result, looks: Looks, token: str | None, output: Path) -> None:
    """Save a result as one file, in the format that its name ends in.

    Raises:
        UsageError: the name ends in none, or there are several files to save.
    """
    formats, alone = _parse_output(output, ())
    if not alone:
        raise UsageError(f"{output} is not a file that could be saved: let it end in .{', .'.join(FORMATS)}.")
    export_one([(Source(b""), result)], looks.maker(formats, token), output)


def _parse_output(output: Path, formats: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """Return the formats, and whether the output is one file; raise UsageError if its suffix says another, or none."""
    suffix = find_format(output)
    if output == _STANDARD_OUTPUT:
        return formats or _DEFAULT_FORMATS, True
    if suffix not in FORMATS:
        if _LIKE_SUFFIX.fullmatch(suffix) and not output.is_dir():
            raise UsageError(
                f"{output} does not end in a format: choose {', '.join(FORMATS)}. For a folder of that name, make it "
                f"first: mkdir {quote_argument(str(output))}."
            )
        return formats or _DEFAULT_FORMATS, False
    if formats not in ((), (suffix,)):
        raise UsageError(
            f"{output} has room for {suffix} alone, not for {' and '.join(formats)}: give -o a folder, or leave "
            "--format out."
        )
    return (suffix,), True
