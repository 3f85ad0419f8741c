"""`attnviz heads`: numbers for each head, over one text or many."""

from collections.abc import Sequence
from typing import Annotated

import typer

from attnviz.cli import options
from attnviz.cli.groups import grouped
from attnviz.cli.outcomes import report
from attnviz.cli.output import Notes, write_standard_output
from attnviz.cli.request import HeadChoice, Input, ModelChoice
from attnviz.cli.terminal import terminal
from attnviz.errors import AttnvizError, InputError
from attnviz.formats.tables import TABLES
from attnviz.measures.statistics import STATISTICS
from attnviz.pipeline.counting import total
from attnviz.pipeline.job import Job
from attnviz.pipeline.outcomes import HeadNumbers
from attnviz.records import HeadTable
from attnviz.views.report import table_sections
from attnviz.views.terminal.sections import TerminalSection

_TABLE = "table"
_FORMATS = (_TABLE, *TABLES)

_Statistics = Annotated[
    list[str] | None,
    typer.Option(
        "--stat",
        parser=options.one_of(STATISTICS),
        metavar="<NAME>",
        help=f"Only this number: {', '.join(STATISTICS)}. Give it again for another.",
    ),
]


@grouped
def heads(
    given: Input,
    model: ModelChoice,
    wanted: HeadChoice,
    stat: _Statistics = None,
    jobs: options.Jobs = 1,
    form: Annotated[
        str,
        typer.Option(
            "--format", parser=options.one_of(_FORMATS), metavar=options.choices(_FORMATS), help="A table, or data."
        ),
    ] = _TABLE,
    color: options.Color = options.AUTO,
    width: options.Width = None,
    debug: options.Debug = False,
) -> None:
    """Give numbers for each head, over one text or many.

    A number over several texts is the mean of each text's number; data has its standard error too.

    \b
    attnviz heads "The animal didn't cross the street because it was too tired"
    attnviz heads "The dog barked" "A cat slept" --stat entropy --stat next
    attnviz heads --file lines.txt --jobs 2 --format json | jq '.heads[0].entropy'
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    job = Job(
        model=model.model,
        loading=model.loading,
        passage=given.passage(""),
        select=wanted.selection,
        option=options.flag,
    )
    failed = False

    def fail(place: str | None, error: AttnvizError) -> None:
        nonlocal failed
        report(place, error)
        failed = True

    task = HeadNumbers(job, stat or ())
    tables = list(total(task, given.sources(), jobs, Notes(), fail).tables())
    if not tables:
        raise InputError("There are no numbers: no text could be read.")
    _write(tables, form, color, width)
    if failed:
        raise typer.Exit(1)


def _write(tables: Sequence[HeadTable], form: str, color: str, width: int | None) -> None:
    if form in TABLES:
        write_standard_output(TABLES[form](tables))
    else:
        screen = terminal(color, width)
        for table in tables:
            for section in table_sections(table):
                screen.print(TerminalSection(section))
