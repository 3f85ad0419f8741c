"""`attnviz compare`: what differs between two texts, two models, or two saved records."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from msgspec.structs import replace

from attnviz.cli import options
from attnviz.cli.export import FORMATS, Looks, save_one
from attnviz.cli.groups import group_options
from attnviz.cli.output import Notes, write_standard_output
from attnviz.cli.progress import TextCount
from attnviz.cli.request import Input, ModelChoice, Wanted, make_job, say_unless_nothing
from attnviz.cli.sections import write_sections
from attnviz.cli.tables import FORMATS as TABLE_FORMATS
from attnviz.errors import InputError, UsageError
from attnviz.formats.tables import encode_tables
from attnviz.measures.comparison import check_word
from attnviz.pipeline.arguments import names_saved
from attnviz.pipeline.comparing import COPIES, JobPair, compare_many, compare_one, pair_files, pair_same, pair_two
from attnviz.pipeline.streams import Source
from attnviz.records import HeadTable
from attnviz.views.report import Report, Section
from attnviz.vocabulary import ROWS, Orientation

_TOP = 5
_MOST = 3  # texts that are read, one more than can be compared


_Form = Annotated[
    str, options.choice(TABLE_FORMATS, "--format", line="Print tables, or the divergence of each head as data.")
]
_Output = Annotated[
    Path | None, typer.Option("-o", "--output", help=f"Save the differences into this file, as {', '.join(FORMATS)}.")
]


class Models(ModelChoice, frozen=True, kw_only=True):
    """One model or two, and how they are loaded."""

    HEADING: ClassVar = "Model"

    model: options.ModelNames = (options.DEFAULT_MODEL,)  # type: ignore[assignment] # the same option, for two models

    def jobs(self, given: Input, wanted: Wanted) -> JobPair:
        """Return the jobs of the first and the second of each pair; one model is loaded once.

        Raises:
            UsageError: there are more models than two.
        """
        if len(self.model) > 2:
            raise UsageError(
                f"--model was given {len(self.model)} times, but only two models can be compared: give it twice, or "
                "once to compare two texts."
            )
        how = {name: getattr(self, name) for name in ModelChoice.__struct_fields__}
        models = {name: ModelChoice(**how | {"model": name}) for name in self.model}
        jobs = {name: replace(make_job(given, model, wanted), copies=COPIES) for name, model in models.items()}
        return jobs[self.model[0]], jobs[self.model[-1]]


@group_options
def compare(
    given: Input,
    model: Models,
    wanted: Wanted,
    looks: Looks,
    form: _Form = options.TABLE,
    every: Annotated[bool, typer.Option("--all", help="List every head, and show the difference of each.")] = False,
    top: Annotated[int, typer.Option(min=1, help="List this many heads, and links.")] = _TOP,
    output: _Output = None,
    all_rows: options.AllRows = False,
    jobs: options.Jobs = 1,
    color: options.Color = options.AUTO,
    width: options.Width = None,
) -> None:
    """Show what differs between two texts, two models, or two saved records.

    Compares the tokens that both have: lists the heads that differ most, and shows where the first of them does. Two
    models are compared over one text or many, as are two files of many records: by the mean over texts.

    \b
    attnviz compare "The street was too tired" "The street was too wide"
    attnviz compare "Mary lost her keys" --model builtin/encoder --model minilm
    attnviz compare --file lines.txt --model builtin --model minilm
    attnviz compare "The dog barked" "The dog slept" --layer 3 -o difference.pdf
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    both, pairs = model.jobs(given, wanted), _pair(given, len(model.model), wanted.memory)
    report = Report(wanted.token, every, top, Orientation(looks.transpose), None if all_rows else ROWS)
    ahead = list(islice(pairs, 2))
    if len(ahead) > 1:
        _refuse_one_only(wanted.token, output)
        tables, code = _compare_many(given, both, chain(ahead, pairs), jobs)
        _write(tables, report.compare_texts(tables), form, color, width)
        raise typer.Exit(code)
    found = compare_one(both, ahead, Notes())
    if wanted.token:
        check_word(found.comparisons, wanted.token)
    if output is not None:
        save_one(found.result, looks, wanted.token, output)
    else:
        _write(found.tables, report.compare(found.comparisons), form, color, width)


def _compare_many(given: Input, both: JobPair, pairs: Iterable[Source], jobs: int) -> tuple[list[HeadTable], int]:
    """Return the tables over all pairs, and the exit code of those that failed; raise InputError if all did."""
    with TextCount(given) as counter:
        tables = compare_many(both, pairs, jobs, counter)
    if not tables:
        raise InputError("Nothing was compared: every comparison failed.")
    return tables, counter.code


def _write(tables: Sequence[HeadTable], sections: Iterable[Section], form: str, color: str, width: int | None) -> None:
    """Write tables as data of this format, or else the sections of a report on the screen."""
    if form == options.TABLE:
        write_sections(sections, color, width)
    else:
        write_standard_output(encode_tables(tables, form))


def _refuse_one_only(token: str | None, output: Path | None) -> None:
    """Raise UsageError if something was asked for that only the comparison of two records has."""
    for option, wanted in (("-o saves", output is not None), ("--token shows", bool(token))):
        if wanted:
            raise UsageError(
                f"{option} what differs for one text, and there are several: give one of them, or leave it out."
            )


def _pair(given: Input, models: int, memory: int) -> Iterator[Source]:
    """Return the pairs of sources that the arguments mean; raise UsageError if they may mean more than one thing."""
    texts = given.texts or []
    if models > 1:
        if len(texts) == 2:
            raise UsageError(
                "Two texts and two models were given, which may mean either: to compare the texts, give one --model; "
                "to compare the models over both texts, put these into a file (--file), or pipe them in."
            )
        return pair_same(given.sources(memory, say_unless_nothing))
    if len(texts) == 2 and all(map(names_saved, texts)):
        return pair_files(texts, *(replace(given, texts=[text]).sources(memory) for text in texts))
    return pair_two(islice(given.sources(memory, note=lambda note: None), _MOST))  # several texts are what it takes
