"""`attnviz compare`: what differs between two texts, two models, or two saved records."""

from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from attnviz.cli import options
from attnviz.cli.export import FORMATS, Looks, save_one
from attnviz.cli.groups import group_options
from attnviz.cli.output import Notes, write_standard_output
from attnviz.cli.request import Input, ModelChoice, Wanted, make_job
from attnviz.cli.tables import write_sections
from attnviz.formats.tables import TABLES
from attnviz.pipeline.comparing import compare_sources
from attnviz.views.report import Report
from attnviz.vocabulary import Orientation

_FORMATS = (options.TABLE, *TABLES)
_TOP = 5
_MOST = 3  # texts that are read, one more than can be compared


@dataclass(frozen=True, kw_only=True)
class Models(ModelChoice):
    """One model or two, and how they are loaded."""

    HEADING: ClassVar = "Model"

    model: options.ModelNames = (options.DEFAULT_MODEL,)  # type: ignore[assignment] # the same option, for two models

    @property
    def each(self) -> list[ModelChoice]:
        """Return each of the models with how it is loaded."""
        how = {field.name: getattr(self, field.name) for field in fields(ModelChoice)}
        return [ModelChoice(**how | {"model": name}) for name in self.model]


@group_options
def compare(
    given: Input,
    model: Models,
    wanted: Wanted,
    looks: Looks,
    form: Annotated[
        str, options.choice(_FORMATS, "--format", line="Print tables, or the divergence of each head as data.")
    ] = options.TABLE,
    every: Annotated[bool, typer.Option("--all", help="List every head, and show the difference of each.")] = False,
    top: Annotated[int, typer.Option(min=1, help="List this many heads, and links.")] = _TOP,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help=f"Save the differences into this file, as {', '.join(FORMATS)}."),
    ] = None,
    color: options.Color = options.AUTO,
    width: options.Width = None,
    debug: options.Debug = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what differs between two texts, two models, or two saved records.

    Compares the tokens that both have: lists the heads that differ most, and shows where the first of them does.

    \b
    attnviz compare "The street was too tired" "The street was too wide"
    attnviz compare "Mary lost her keys" --model builtin/encoder --model minilm
    attnviz compare "The dog barked" "The dog slept" --format csv
    attnviz compare "The dog barked" "The dog slept" --layer 3 -o difference.pdf
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    jobs = [make_job(given, one, wanted) for one in model.each]
    found = compare_sources(jobs, list(islice(given.sources(wanted.memory, note=_expect_several), _MOST)))
    say = Notes()
    for note in found.notes:
        say(note)
    if output is not None:
        save_one(found.differences, looks, wanted.token, output)
    elif form == options.TABLE:
        report = Report(wanted.token, every, top, Orientation(looks.transpose))
        write_sections(report.compare(found.tables, found.differences.attention), color, width)
    else:
        write_standard_output(TABLES[form](found.tables))


def _expect_several(note: str) -> None:
    """Pass over the note that several texts are read, which is what a comparison takes."""
