"""`attnviz find`: the heads that link one word to another, over one text or many."""

from collections.abc import Iterable, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from msgspec import Struct

from attnviz.cli import options
from attnviz.cli.groups import group_options
from attnviz.cli.output import open_standard_input, say
from attnviz.cli.progress import TextCount
from attnviz.cli.request import HeadChoice, Input, ModelChoice, make_head_job, say_unless_nothing
from attnviz.cli.tables import Form, write_tables
from attnviz.errors import Advice, AttnvizError, InputError, UsageError
from attnviz.formats.tables import Table
from attnviz.measures.word_links import DistantLinkError, MissingLinkError, WordLink
from attnviz.pipeline.finding import find_link, find_pairs, find_relations, open_pairs, open_treebank
from attnviz.pipeline.job import MEMORY, Job
from attnviz.pipeline.sources import STANDARD_INPUT
from attnviz.pipeline.streams import Source
from attnviz.records import ALL_RELATIONS, RelationTable
from attnviz.views.table_report import TableReport

_TOP = 10
_MOST_PLACES = 5

_Link = Annotated[
    str | None,
    typer.Argument(
        metavar='["WORD -> WORD"]',
        help="Find the heads in which the first word looks at the second. Leave it out with --pairs or --relations.",
    ),
]


class Questions(Struct, frozen=True, kw_only=True):
    """Files that ask of each text something else."""

    HEADING: ClassVar = "Many links"

    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="<FILE.tsv>",
            help="Read lines of a text, a word in it, and the word that it should look at, with tabs between; - is "
            "standard input.",
        ),
    ] = None
    relations: Annotated[
        Path | None,
        typer.Option(
            metavar="<FILE.conllu>",
            help="Find the best head for each dependency relation of this treebank in CoNLL-U; - is standard input.",
        ),
    ] = None

    def check(self, link: str | None, given: Input) -> None:
        """Raise UsageError if both a link, or texts, and a file that has its own were given, or neither."""
        if self.pairs and self.relations:
            raise UsageError("--pairs and --relations both say what to find: give one of them.")
        named = "--pairs" if self.pairs else "--relations"
        if (self.pairs or self.relations) and (link or given.texts or given.file):
            raise UsageError(
                f"{named} names a file that has its own texts and words: leave the link, texts and --file out."
            )
        if not (self.pairs or self.relations or link):
            raise UsageError('There is no link to find. Give one, as in: attnviz find "it -> animal" "The animal …"')


@group_options
def find(
    *,
    link: _Link = None,
    given: Input,
    questions: Questions,
    model: ModelChoice,
    wanted: HeadChoice,
    jobs: options.Jobs = 1,
    form: Form = options.TABLE,
    every: Annotated[bool, typer.Option("--all", help="List every head, or every relation.")] = False,
    top: Annotated[int | None, typer.Option(min=1, help=f"List this many.  [default: {_TOP}]")] = None,
    color: options.Color = options.AUTO,
    width: options.Width = None,
    memory: options.Memory = MEMORY,
) -> None:
    """Find the heads that link one word to another.

    Lists the best heads first: how much weight they give the link, and how often it is their strongest.

    \b
    attnviz find "it -> dog" "The dog barked because it was hungry"
    attnviz find "her -> Mary" "Mary lost her keys" --format json | jq '.heads[0]'
    attnviz find --pairs pairs.tsv --jobs 2
    attnviz find --relations treebank.conllu --model minilm
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    questions.check(link, given)
    job = make_head_job(given, model, wanted, memory)
    sources = given.sources(memory, say_unless_nothing) if link else iter(())
    with _LinkCount(given, named=questions.pairs is not None) as counter:
        tables = _search(job, link, sources, questions, jobs, counter)
    write_tables([tables], form, TableReport(every=every, top=top or _TOP, sort=None, define=True), color, width)
    if counter.code:
        raise typer.Exit(counter.code)


def _search(
    job: Job, link: str | None, sources: Iterable[Source], questions: Questions, jobs: int, counter: "_LinkCount"
) -> Sequence[Table]:
    """Return the tables of all texts that have what is asked of them; raise InputError if no text has it."""
    tables: Sequence[Table]
    if questions.relations:
        name, stream = _open(questions.relations)
        found = find_relations(job, name, open_treebank(questions.relations, stream), jobs, counter)
        _tell_left_out(found)
        tables = [table for table in found if table.relations]
    elif questions.pairs:
        name, stream = _open(questions.pairs)
        tables = find_pairs(job, name, open_pairs(questions.pairs, stream), jobs, counter)
        counter.tell("the link asked for", found=bool(tables))
    elif link:
        wanted = WordLink.parse(link)
        tables = find_link(job, wanted, sources, jobs, counter)
        counter.tell(f"the link {wanted}", found=bool(tables))
    if not tables:
        raise InputError(f"Nothing was found: {counter.explain_nothing()}.")
    return tables


def _tell_left_out(tables: Sequence[RelationTable]) -> None:
    """Say how many words of a treebank each model leaves out."""
    for table in tables:
        if table.left_out:
            judged = table[ALL_RELATIONS].whole.count if table.relations else 0
            words, are = table.left_out + judged, "is" if table.left_out == 1 else "are"
            say(
                f"Note: {table.left_out:,} of the {words:,} words that depend on another {are} left out for "
                f"{table.model}, where one of the two has no token of its own, or they are not read together."
            )


def _open(path: Path) -> tuple[str, BufferedReader | None]:
    """Return the name of a file of questions, and standard input if that is what `-` names."""
    if str(path) == STANDARD_INPUT:
        return "standard input", open_standard_input(asked_for=True)
    return str(path), None


class _LinkCount(TextCount):
    """A count of texts that keeps those apart that lack what is asked of them.

    They are `named` where each is asked something else, which the text may not have by mistake.
    """

    def __init__(self, given: Input, *, named: bool) -> None:
        super().__init__(given)
        self._named, self._missing = named, list[tuple[str, MissingLinkError]]()
        self._texts = 0

    def count(self, texts: int) -> None:
        """See `TextCount.count`."""
        super().count(texts)
        self._texts += texts

    def fail(self, place: str | None, error: AttnvizError) -> None:
        """Keep a text of several that lacks the link; report any other error."""
        if place is not None and isinstance(error, MissingLinkError):
            self._missing.append((place, error))
            self.count(1)
        else:
            super().fail(place, error)

    def tell(self, what: str, *, found: bool) -> None:
        """Say how many texts lack what was asked for, and whether that is for the windows that they are read in.

        Raises:
            InputError: no text has it.
        """
        if not self._missing:
            return
        if not found:
            place, why = self._missing[0]
            first = f" {place[0].upper()}{place[1:]}: " + why.advice if self._named else ""
            raise InputError(Advice(f"None of the texts that could be read has {what}.") + first + self._windows())
        if len(self._missing) == 1:
            told = f"1 of the texts lacks {what}, and is left out"
        else:
            told = f"{len(self._missing):,} of the texts lack {what}, and are left out"
        say(f"Note: {told}{self._places()}.{self._windows()}")

    def explain_nothing(self) -> str:
        """Return why nothing was found."""
        if not self._texts:
            return "there was no text"
        return "no text could be read" if self.code else "none of the texts has the words"

    def _places(self) -> str:
        if not self._named:
            return ""
        places = [place for place, _ in self._missing[:_MOST_PLACES]]
        return f": {', '.join([*places, '…'] if len(self._missing) > len(places) else places)}"

    def _windows(self) -> str:
        distant = sum(isinstance(error, DistantLinkError) for _, error in self._missing)
        return f" In {distant:,} of them no window holds both words." if distant else ""
