"""The search for heads that link words: what is asked of each text, and the tasks that answer it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from attnviz.errors import AttnvizError, InputError, TextError, UsageError
from attnviz.formats.treebanks import Entry, read_pairs, read_treebank
from attnviz.measures.relations import FollowedRelations, RelationCounter, RelationTotals
from attnviz.measures.totals import Totals
from attnviz.measures.word_links import LinkNumbers, WordLink, rank_heads
from attnviz.models.model import Model
from attnviz.pipeline.counting import Counter, total
from attnviz.pipeline.job import Job
from attnviz.pipeline.outcomes import Text
from attnviz.pipeline.sources import sources_of
from attnviz.pipeline.streams import Source
from attnviz.records import Axes, HeadTable, RelationTable, require_weights
from attnviz.text import By, Grouping, ParsedText

Fail = Callable[[str | None, AttnvizError], None]


@dataclass(frozen=True, slots=True)
class LinkTask:
    """The task of computing the numbers of a `link`, or of the one that each source asks for: a `HeadTable` a kind."""

    job: Job
    link: WordLink | None = None

    def start(self) -> Totals:
        """See `CountingTask.start`."""
        return Totals()

    def plan(self, text: Text, axes: Sequence[Axes], note: Callable[[str], None]) -> tuple[Grouping, int]:
        """See `Task.plan`; refuse a text that has no such link, and what is no weights."""
        for one in axes:
            require_weights(one)
        self._link(text[0]).check(axes)
        return By.TOKEN, 0

    def compute(self, model: Model, texts: Sequence[Text], by: Grouping) -> list[list[HeadTable]]:
        """See `Task.compute`; kinds of attention that have no such link are left out."""
        makes = [partial(LinkNumbers, link=self._link(source)) for source, _ in texts]
        found = model.reduce_each([reading for _, reading in texts], self.job.select, makes)
        return [[table for table in tables if table.columns] for tables in found]

    def _link(self, source: Source) -> WordLink:
        link = source.asked or self.link
        assert isinstance(link, WordLink)  # one of them says what to find
        return link


@dataclass(frozen=True, slots=True)
class RelationTask:
    """The task of counting how heads follow the relations that each source asks about: a `FollowedRelations` a kind."""

    job: Job

    def start(self) -> RelationTotals:
        """See `CountingTask.start`."""
        return RelationTotals()

    def plan(self, text: Text, axes: Sequence[Axes], note: Callable[[str], None]) -> tuple[Grouping, int]:
        """See `Task.plan`; no weights are kept."""
        return By.TOKEN, 0

    def compute(self, model: Model, texts: Sequence[Text], by: Grouping) -> list[list[FollowedRelations]]:
        """See `Task.compute`."""
        makes = [partial(RelationCounter, parsed=source.asked, odd=source.index % 2 > 0) for source, _ in texts]
        return model.reduce_each([reading for _, reading in texts], self.job.select, makes)


def find_link(job: Job, link: WordLink, sources: Iterable[Source], jobs: int, counter: Counter) -> list[HeadTable]:
    """Return the heads of each model and kind, ranked by the weight that they give a link over some texts.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    tables = total(LinkTask(job, link), sources, jobs, counter).tables()
    return [rank_heads(table, "weight", "accuracy") for table in tables]


def find_pairs(job: Job, sources: Iterable[Source], jobs: int, counter: Counter) -> list[HeadTable]:
    """Return the heads of each kind, ranked by how often they link the words that each source asks for.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    tables = total(LinkTask(job), sources, jobs, counter).tables()
    return [rank_heads(table, "accuracy", "weight") for table in tables]


def find_relations(job: Job, sources: Iterable[Source], jobs: int, counter: Counter) -> list[RelationTable]:
    """Return the best head for each relation of a treebank, for each kind of attention.

    Raises:
        ProcessError: a process has ended before its work was done.
    """
    return list(total(RelationTask(job), sources, jobs, counter).tables())


def find_named(
    job: Job,
    counter: Counter,
    link: str | None,
    texts: str | Iterable[str] | None,
    pairs: Iterable[tuple[str, str, str]] | str | PathLike[str] | None,
    relations: str | PathLike[str] | None,
) -> list[HeadTable] | list[RelationTable]:
    """Return the tables of the one thing that is named: a link in some texts, pairs of words, or a treebank.

    Raises:
        UsageError: nothing is named, or more than one thing.
    """
    if [link is None or texts is None, pairs is None, relations is None].count(False) != 1:
        raise UsageError("Name one thing to find: a link and texts, or `pairs`, or `relations`.")
    if relations is not None:
        return find_relations(job, open_treebank(Path(relations), counter.fail), 1, counter)
    if link is not None and texts is not None:
        return find_link(job, WordLink.parse(link), sources_of(texts), 1, counter)
    asked = open_pairs(Path(pairs), counter.fail) if isinstance(pairs, str | PathLike) else ask_pairs(pairs or ())
    return find_pairs(job, asked, 1, counter)


def open_pairs(path: Path, fail: Fail) -> Iterator[Source]:
    """Yield the texts of a TSV file with the link that is asked of each; `fail` is told of each malformed line.

    Raises:
        InputError: the file cannot be read.
    """
    for index, ((text, *words), place) in enumerate(_open(path, read_pairs, fail)):
        yield ask(text, WordLink(*words), index, place)


def ask_pairs(pairs: Iterable[tuple[str, str, str]]) -> Iterator[Source]:
    """Yield texts with the link that is asked of each, from tuples of a text and two words.

    Raises:
        UsageError: these are no such tuples.
    """
    for index, pair in enumerate(pairs):
        if not (isinstance(pair, tuple) and [type(part) for part in pair] == [str, str, str]):
            raise UsageError(f'A pair is written as ("Mary lost her keys", "her", "Mary"), not as {pair!r}.')
        text, *words = pair
        yield ask(text, WordLink(*words), index, f"text {index + 1}")


def open_treebank(path: Path, fail: Fail) -> Iterator[Source]:
    """Yield the sentences of a file in CoNLL-U, each with its relations; `fail` is told of each malformed line.

    Raises:
        InputError: the file cannot be read.
    """
    for index, (parsed, place) in enumerate(_open(path, read_treebank, fail)):
        yield ask(parsed.text, parsed, index, place)


def ask(text: str, asked: WordLink | ParsedText, index: int, place: str) -> Source:
    """Return a text with what is asked of it."""
    return Source(text.encode("utf-8", "surrogatepass"), place, index=index, asked=asked)


def _open(path: Path, read: Callable[[Iterable[str]], Iterator[Entry]], fail: Fail) -> Iterator[tuple[Any, str]]:
    """Yield what a file holds, with its place, but for malformed lines."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for entry in read(file):
                place = f"line {entry.line} of {path}"
                if isinstance(entry.found, AttnvizError):
                    fail(place, entry.found)
                else:
                    yield entry.found, place
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise TextError(f"{path} is not valid UTF-8: {error.reason}. Save it as UTF-8 and try again.") from error
