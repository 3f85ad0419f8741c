"""`attnviz show`: attention in the terminal, or as data on standard output."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer
from rich.text import Text

from attnviz.cli import options
from attnviz.cli.groups import grouped
from attnviz.cli.outcomes import for_each
from attnviz.cli.output import write_standard_output
from attnviz.cli.request import Input, ModelChoice, Wanted, job_of
from attnviz.cli.terminal import terminal
from attnviz.formats.writing import STREAMS, Result
from attnviz.measures.word_rows import select_rows
from attnviz.pipeline.outcomes import Weights, outcomes
from attnviz.pipeline.sources import chunks
from attnviz.text import visible
from attnviz.views.report import Report
from attnviz.views.terminal.cells import shortened
from attnviz.views.terminal.sections import TerminalSection
from attnviz.vocabulary import Orientation

_TABLE = "table"
_FORMATS = (_TABLE, *STREAMS)
_LONGEST_HEADING = 500  # columns that the text itself may take above its tables

_Writer = Callable[[Result], None]


@grouped
def show(
    given: Input,
    model: ModelChoice,
    wanted: Wanted,
    every: Annotated[bool, typer.Option("--all", help="The weights of every head, not only the most telling.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many of the strongest links, or tokens, to list.")] = 5,
    form: Annotated[
        str,
        typer.Option(
            "--format", parser=options.one_of(_FORMATS), metavar=options.choices(_FORMATS), help="Tables, or data."
        ),
    ] = _TABLE,
    transpose: options.Transpose = False,
    color: options.Color = options.AUTO,
    width: options.Width = None,
    debug: options.Debug = False,
) -> None:
    """Show what the heads of a model look at.

    All of them at a glance, and the most telling in numbers.

    \b
    attnviz show "The animal didn't cross the street because it was too tired"
    attnviz show "The big fluffy dog barked" --layer 0-1 --head 3
    attnviz show "Mary lost her keys" --token her
    attnviz show --file lines.txt --format json | jq '.attention[0].key_tokens'
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    if form == _TABLE:
        named = bool(wanted.layer and wanted.head)
        report = Report(wanted.token, every or named, top, Orientation(transpose))
        write = _to_terminal(report, color, width, headed=not given.single)
    else:
        write = _to_pipe(form, wanted.token)
    task = Weights(job_of(given, model, wanted))
    if not for_each(outcomes(task, chunks(given.sources())), write):
        raise typer.Exit(1)


def _to_pipe(form: str, token: str | None) -> _Writer:
    """Return what writes data, of the rows of one word if one was named."""
    chosen = STREAMS[form]
    header = iter([chosen.header])  # stands before the first result, so not where nothing came out

    def write(result: Result) -> None:
        kept = replace(result, attention=select_rows(result.attention, token))
        write_standard_output(next(header, b"") + chosen.encode(kept))

    return write


def _to_terminal(report: Report, colour: str, width: int | None, *, headed: bool) -> _Writer:
    """Return what prints tables, under the text itself where there may be several, and under what the model wrote."""
    screen = terminal(colour, width)

    def write(result: Result) -> None:
        sections = list(report.sections(result.attention))  # all of them before any is shown
        for heading in (*((result.text, result.pair) if headed else ()), _written(result)):
            if heading:  # of what is saved, the text may not be known
                screen.print(Text(shortened(visible(heading), _LONGEST_HEADING), style="italic"))
        for section in sections:
            screen.print(TerminalSection(section))

    return write


def _written(result: Result) -> str | None:
    """Return what the model wrote, if it did."""
    if not result.written:
        return None
    return f"… {result.target or '(no text)'}{'' if result.ended else ' … (cut here)'}"
