"""`attnviz heads`: numbers for each head, over one text or many."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from attnviz.cli import options
from attnviz.cli.completion import offer
from attnviz.cli.groups import group_options
from attnviz.cli.outcomes import report
from attnviz.cli.output import Notes, write_standard_output
from attnviz.cli.request import HeadChoice, Input, ModelChoice
from attnviz.cli.terminal import open_terminal
from attnviz.errors import AttnvizError, InputError, UsageError
from attnviz.formats.tables import TABLES
from attnviz.measures.statistics import STATISTICS, Statistic, find_statistics
from attnviz.pipeline.counting import total
from attnviz.pipeline.job import MEMORY, Job
from attnviz.pipeline.outcomes import HeadNumbers
from attnviz.pipeline.streams import Source
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
        autocompletion=offer(lambda: STATISTICS),
        metavar="<NAME>",
        help=f"Compute only this number: {', '.join(STATISTICS)}. Give it again for another.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class TableShape:
    """The part of a table that is shown."""

    HEADING: ClassVar = "Table"

    every: Annotated[bool, typer.Option("--all", help="List all numbers of every head, not only the highest.")] = False
    sort: Annotated[
        str | None,
        typer.Option(
            parser=options.one_of(STATISTICS),
            autocompletion=offer(lambda: STATISTICS),
            metavar="<NAME>",
            help="Sort the heads by this number, highest first.",
        ),
    ] = None
    top: Annotated[int | None, typer.Option(min=1, help=f"List this many heads.  [default: {_TOP}]")] = None
    color: options.Color = options.AUTO
    width: options.Width = None

    def check(self, names: Sequence[str]) -> None:
        """Refuse to sort by a number that is not computed.

        Raises:
            UsageError: it is not.
        """
        if self.sort and names and self.sort not in names:
            raise UsageError(f"--sort {self.sort} needs a number that is not computed: add --stat {self.sort}.")

    def report(self, *, define: bool) -> TableReport:
        """Return the report; with `define` it also says what each number means."""
        return TableReport(every=self.every, top=self.top or _TOP, sort=self.sort, define=define)


@group_options
def heads(
    given: Input,
    model: ModelChoice,
    wanted: HeadChoice,
    shape: TableShape,
    stat: _Statistics = None,
    memory: options.Memory = MEMORY,
    jobs: options.Jobs = 1,
    form: Annotated[str, options.choice(_FORMATS, "--format", line="Print a table, or data.")] = _TABLE,
    listing: Annotated[
        bool,
        typer.Option("--list", help="List what the numbers mean; with names in place of texts, explain these in full."),
    ] = False,
    debug: options.Debug = False,
    quiet: options.Quiet = False,
) -> None:
    """Compute numbers for each head, over one text or many.

    A number over several texts is the mean of the numbers of the texts; data also has its standard error.

    \b
    attnviz heads "The animal didn't cross the street because it was too tired"
    attnviz heads "The dog barked" "A cat slept" --stat entropy --stat next --all
    attnviz heads --file lines.txt --jobs 2 --format json | jq '.heads[0].entropy'
    attnviz heads --list confidence
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    if listing:
        _list(find_statistics(given.texts or ()), shape, full=bool(given.texts))
        return
    shape.check(stat or ())
    job = Job(
        model=model.model,
        loading=model.loading,
        passage=given.passage(""),
        select=wanted.selection,
        memory=memory,
        option=options.flag,
    )
    tables, code = _count(HeadNumbers(job, stat or ()), given.sources(memory), jobs)
    _write(tables, form, shape, shape.report(define=bool(stat)))
    if code:
        raise typer.Exit(code)


def _count(task: HeadNumbers, sources: Iterable[Source], jobs: int) -> tuple[list[HeadTable], int]:
    """Return the tables of all texts, and the exit code; report texts that fail.

    Raises:
        InputError: all failed.
    """
    code = 0

    def fail(place: str | None, error: AttnvizError) -> None:
        nonlocal code
        code = max(code, report(place, error))

    tables = list(total(task, sources, jobs, Notes(), fail).tables())
    if not tables:
        raise InputError("Nothing was computed: no text could be read.")
    return tables, code


def _write(tables: Sequence[HeadTable], form: str, shape: TableShape, report: TableReport) -> None:
    if form in TABLES:
        write_standard_output(TABLES[form](tables))
    else:
        screen = open_terminal(shape.color, shape.width)
        for table in tables:
            for section in report.sections(table):
                screen.print(TerminalSection(section))


def _list(statistics: Mapping[str, Statistic], shape: TableShape, *, full: bool) -> None:
    """Print the definition of each number, and with `full` its formula, its source, its range and its meaning."""
    screen = open_terminal(shape.color, shape.width)
    for name, statistic in statistics.items():
        screen.print(statistic_lines(name, statistic, full=full))
