"""`attnviz heads`: numbers for each head, over one text or many, of generated texts, or of the weights alone."""

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, ClassVar

import typer
from msgspec import Struct

from attnviz.cli import options
from attnviz.cli.groups import group_options
from attnviz.cli.output import say
from attnviz.cli.progress import TextCount
from attnviz.cli.request import HeadChoice, Input, ModelChoice, make_head_job
from attnviz.cli.tables import Form, write_tables
from attnviz.cli.terminal import open_terminal
from attnviz.errors import InputError, UsageError
from attnviz.formats.tables import DELIMITERS
from attnviz.measures.circuits import CIRCUITS
from attnviz.measures.probes import PROBES, SEEDS, TOKENS
from attnviz.measures.statistics import STATISTICS
from attnviz.pipeline.arguments import names_saved
from attnviz.pipeline.counting import tables_in_order, total
from attnviz.pipeline.generating import Generated, add_tables
from attnviz.pipeline.job import MEMORY, Job
from attnviz.pipeline.outcomes import HeadNumbers
from attnviz.records import Described, HeadTable, find_named
from attnviz.views.table_report import TableReport
from attnviz.views.terminal.heads import number_lines

_TOP = 4

OF_STAT: ChainMap[str, Described] = ChainMap(CIRCUITS, STATISTICS)  # type: ignore[arg-type]
"""What --stat knows: of statistics first, as a chain goes backwards through its maps."""

_GROUPS: Mapping[str, Mapping[str, Described]] = {
    "Numbers of the weights of texts (--stat)": STATISTICS,
    "Numbers from the model's parameters alone, without a text (--stat)": CIRCUITS,
    "Numbers of probes, which run on generated tokens (--probe)": PROBES,
}

_OF_ALL: ChainMap[str, Described] = ChainMap(PROBES, CIRCUITS, STATISTICS)  # type: ignore[arg-type]


class NumberChoice(Struct, frozen=True, kw_only=True):
    """The numbers that are computed."""

    HEADING: ClassVar = "Which numbers"

    stat: Annotated[
        list[str] | None,
        options.choice(
            OF_STAT,
            "--stat",
            other=("--probe", PROBES),
            metavar="<NAME>",
            line=f"Compute only this number: {', '.join(OF_STAT)}. Give it again for another. Those of the weights "
            f"alone ({', '.join(CIRCUITS)}) read no text.",
        ),
    ] = None
    probe: Annotated[
        list[str] | None,
        options.choice(
            PROBES,
            "--probe",
            other=("--stat", OF_STAT),
            metavar="<NAME>",
            line=f"Run the model on random tokens that come again, and compute: {', '.join(PROBES)}. Give it again for "
            "another.",
        ),
    ] = None
    tokens: Annotated[int, typer.Option(min=2, max=2**15, help="Let a probe say this many different tokens.")] = TOKENS
    seed: Annotated[
        int, typer.Option(min=0, help=f"Draw the {SEEDS} texts of a probe by {SEEDS} seeds, from this one on.")
    ] = 0

    @property
    def statistics(self) -> list[str]:
        """Return the statistics that are named."""
        return [name for name in self.stat or () if name in STATISTICS]

    @property
    def generated(self) -> Generated:
        """Return what is computed without a text."""
        circuits = tuple(name for name in self.stat or () if name in CIRCUITS)
        return Generated(probes=tuple(self.probe or ()), circuits=circuits, tokens=self.tokens, seed=self.seed)

    @property
    def names(self) -> list[str]:
        """Return all that are named."""
        return [*(self.stat or ()), *(self.probe or ())]

    def takes_text(self, given: Input) -> bool:
        """Return whether a text is read.

        Raises:
            UsageError: one was given, and no number of it was asked for.
        """
        told = bool(given.texts or given.file)
        if told and self.stat and not self.statistics:
            raise UsageError(f"--stat {self.stat[0]} reads no text: leave the text out, or name a number of it too.")
        return told or bool(self.statistics) or not self.generated


class TableShape(Struct, frozen=True, kw_only=True):
    """The part of a table that is shown."""

    HEADING: ClassVar = "Table"

    every: Annotated[bool, typer.Option("--all", help="List all numbers of every head, not only the highest.")] = False
    sort: Annotated[
        str | None,
        options.choice(_OF_ALL, metavar="<NAME>", line="Sort the heads by this number, highest first."),
    ] = None
    top: Annotated[int | None, typer.Option(min=1, help=f"List this many heads.  [default: {_TOP}]")] = None
    color: options.Color = options.AUTO
    width: options.Width = None

    def check(self, numbers: NumberChoice) -> None:
        """Raise UsageError if the numbers are to be sorted by one that is not computed."""
        default = STATISTICS if not numbers.names or (numbers.probe and not numbers.stat) else {}
        if self.sort and self.sort not in (*numbers.names, *default):
            option = "probe" if self.sort in PROBES else "stat"
            raise UsageError(f"--sort {self.sort} needs a number that is not computed: add --{option} {self.sort}.")

    def write(self, portions: Iterable[Sequence[HeadTable]], form: str, *, define: bool) -> None:
        """Write tables, some at a time as they come; with `define` a report says what each number means."""
        report = TableReport(every=self.every, top=self.top or _TOP, sort=self.sort, define=define)
        write_tables(portions, form, report, self.color, self.width)


_Listing = Annotated[
    bool,
    typer.Option("--list", help="List what the numbers mean; with names in place of texts, explain these in full."),
]


@group_options
def heads(
    given: Input,
    model: ModelChoice,
    wanted: HeadChoice,
    numbers: NumberChoice,
    shape: TableShape,
    each: Annotated[bool, typer.Option("--each", help="Give the numbers of each text, not those over all.")] = False,
    memory: options.Memory = MEMORY,
    jobs: options.Jobs = 1,
    form: Form = options.TABLE,
    listing: _Listing = False,
) -> None:
    """Compute numbers for each head, over one text or many, or without any.

    A number over several texts is the mean of the numbers of the texts; data also has its standard error.

    \b
    attnviz heads "The animal didn't cross the street because it was too tired"
    attnviz heads "The dog barked" "A cat slept" --stat entropy --stat next --all
    attnviz heads --model builtin/decoder --probe induction
    attnviz heads --file lines.txt --jobs 2 --format json | jq '.heads[0].entropy'
    attnviz heads --list confidence
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    if listing:
        _list(find_named(_OF_ALL, given.texts or (), "number"), shape, full=bool(given.texts))
        return
    shape.check(numbers)
    job = make_head_job(given, model, wanted, memory)
    write = partial(shape.write, form=form, define=bool(numbers.names))
    if each:
        sources = given.sources(memory)  # raises before a progress bar is drawn if there is no text
        with TextCount(given) as counter:
            _refuse_saved_after_text(given.texts or (), form)
            write(tables_in_order(HeadNumbers(job, numbers.statistics), sources, jobs, counter))
        code = counter.code
    else:
        tables, code = sum_up(given, job, numbers, jobs)
        write([tables])
    if code:
        raise typer.Exit(code)


def _refuse_saved_after_text(texts: Sequence[str], form: str) -> None:
    """Raise UsageError if saved records follow a text, since their rows would have to name the model."""
    saved = [names_saved(text) for text in texts]
    if form in DELIMITERS and any(saved) and not saved[0]:
        raise UsageError(
            f"The rows of texts have no model column with --format {form}, and {texts[saved.index(True)]} may be of "
            "another model: choose --format json, or give saved records first."
        )


def sum_up(
    given: Input,
    job: Job,
    numbers: NumberChoice,
    jobs: int,
    done: str = "computed",
    note: Callable[[str], None] = say,
) -> tuple[list[HeadTable], int]:
    """Return the tables over all texts, with the numbers that need none, and the exit code of the texts that failed.

    `note` is told what is to be known of the texts.

    Raises:
        UsageError: a text was given, and no number of it was asked for.
        InputError: all texts failed, so that nothing was `done`.
    """
    reads = numbers.takes_text(given)
    generated = numbers.generated.tables(job.loaded, job.select) if numbers.generated else []
    if not reads:
        return generated, 0
    sources = given.sources(job.memory, note)  # raises before a progress bar is drawn if there is no text
    with TextCount(given) as counter:
        tables = list(total(HeadNumbers(job, numbers.statistics), sources, jobs, counter).tables())
    if counter.code and not tables:
        raise InputError(f"Nothing was {done}: no text could be read.")
    return add_tables(tables, generated) if generated else tables, counter.code


def _list(numbers: Mapping[str, Described], shape: TableShape, *, full: bool) -> None:
    """Print the definition of each number, and with `full` its formula, its source, its range and its meaning."""
    screen = open_terminal(shape.color, shape.width)
    for title, known in _GROUPS.items():
        listed = [name for name in numbers if name in known]
        if listed:
            screen.print(title, style="bold underline")
            screen.print(*(number_lines(name, numbers[name], full=full) for name in listed), "", sep="\n")
