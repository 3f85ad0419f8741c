"""`attnviz heads`: numbers for each head, over one text or many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from attnviz.cli import options
from attnviz.cli.groups import grouped
from attnviz.cli.outcomes import report
from attnviz.cli.output import Notes, write_standard_output
from attnviz.cli.request import HeadChoice, Input, ModelChoice
from attnviz.cli.terminal import terminal
from attnviz.errors import AttnvizError, InputError, UsageError
from attnviz.formats.tables import TABLES
from attnviz.measures.statistics import STATISTICS, Statistic, find_statistics
from attnviz.pipeline.counting import total
from attnviz.pipeline.job import Job
from attnviz.pipeline.outcomes import HeadNumbers
from attnviz.records import HeadTable
from attnviz.views.report import TableReport
from attnviz.views.terminal.heads import statistic_lines
from attnviz.views.terminal.sections import TerminalSection

_TABLE = "table"
_FORMATS = (_TABLE, *TABLES)
_TOP = 4

_Statistics = Annotated[
    list[str] | None,
    typer.Option(
        "--stat",
        parser=options.one_of(STATISTICS),
        metavar="<NAME>",
        help=f"Only this number: {', '.join(STATISTICS)}. Give it again for another.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class TableShape:
    """What of a table is shown."""

    HEADING: ClassVar = "Table"

    every: Annotated[bool, typer.Option("--all", help="All numbers of every head, not only the highest.")] = False
    sort: Annotated[
        str | None,
        typer.Option(parser=options.one_of(STATISTICS), metavar="<NAME>", help="Highest first, by this number."),
    ] = None
    top: Annotated[int | None, typer.Option(min=1, help=f"How many heads to list.  [default: {_TOP}]")] = None
    color: options.Color = options.AUTO
    width: options.Width = None

    def check(self, names: Sequence[str], form: str) -> None:
        """Refuse what has no effect.

        Raises:
            UsageError: it has none.
        """
        if form != _TABLE and (self.every or self.sort or self.top):
            raise UsageError(f"--all, --sort and --top are for tables: leave them out, or --format {form}.")
        if self.every and self.top:
            raise UsageError("All heads are listed (--all) or the highest (--top), not both.")
        if self.sort and names and self.sort not in names:
            raise UsageError(f"--sort {self.sort} is not among the numbers asked for: add --stat {self.sort}.")

    def report(self, *, define: bool) -> TableReport:
        """Return what is shown, the meaning of each number too if they are to be defined."""
        return TableReport(every=self.every, top=self.top or _TOP, sort=self.sort, define=define)


@grouped
def heads(
    given: Input,
    model: ModelChoice,
    wanted: HeadChoice,
    shape: TableShape,
    stat: _Statistics = None,
    jobs: options.Jobs = 1,
    form: Annotated[
        str,
        typer.Option(
            "--format", parser=options.one_of(_FORMATS), metavar=options.choices(_FORMATS), help="A table, or data."
        ),
    ] = _TABLE,
    listing: Annotated[
        bool, typer.Option("--list", help="Say what the numbers are; with names in place of texts, all about these.")
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Give numbers for each head, over one text or many.

    A number over several texts is the mean of each text's number; data has its standard error too.

    \b
    attnviz heads "The animal didn't cross the street because it was too tired"
    attnviz heads "The dog barked" "A cat slept" --stat entropy --stat next --all
    attnviz heads --file lines.txt --jobs 2 --format json | jq '.heads[0].entropy'
    attnviz heads --list confidence
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    if listing:
        if form != _TABLE:
            raise UsageError(f"--list is to be read: leave --format {form} out.")
        _list(find_statistics(given.texts or ()), shape, full=bool(given.texts))
        return
    shape.check(stat or (), form)
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
    _write(tables, form, shape, shape.report(define=bool(stat)))
    if failed:
        raise typer.Exit(1)


def _write(tables: Sequence[HeadTable], form: str, shape: TableShape, report: TableReport) -> None:
    if form in TABLES:
        write_standard_output(TABLES[form](tables))
    else:
        screen = terminal(shape.color, shape.width)
        for table in tables:
            for section in report.sections(table):
                screen.print(TerminalSection(section))


def _list(statistics: Mapping[str, Statistic], shape: TableShape, *, full: bool) -> None:
    """Print what numbers there are, and in `full` how each is computed, by whom, and what it says."""
    screen = terminal(shape.color, shape.width)
    for name, statistic in statistics.items():
        screen.print(statistic_lines(name, statistic, full=full))
