"""The search for heads that link words: what is asked of each text, and the tasks that answer it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import BufferedReader
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from attnviz.errors import InputError, RecordError, UsageError
from attnviz.formats.treebanks import Entry, FormError, read_pairs, read_treebank
from attnviz.measures.relations import RelationCounter
from attnviz.measures.totals import Summand
from attnviz.measures.word_links import LinkNumbers, WordLink, rank_heads
from attnviz.models.model import Model
from attnviz.pipeline.counting import Counter, total
from attnviz.pipeline.job import Job
from attnviz.pipeline.outcomes import NumbersTask, ReadText
from attnviz.pipeline.sources import open_lines, sources_of
from attnviz.pipeline.streams import Source
from attnviz.records import Axes, HeadTable, RelationTable
from attnviz.text import Grouping, ParsedText


class LinkTask(NumbersTask, frozen=True):
    """The task of computing the numbers of a `link`, or of the one that each source asks for: a `HeadTable` a kind."""

    link: WordLink | None = None

    def plan(self, text: ReadText, axes: Sequence[Axes], note: Callable[[str], None]) -> tuple[Grouping, int]:
        """See `Task.plan`; refuse a text that has no such link, and what is no weights."""
        planned = super().plan(text, axes, note)
        source, reading = text
        self._link(source).check(axes, reading.sees, translated=reading.target is not None)
        return planned

    def compute(self, model: Model, texts: Sequence[ReadText], by: Grouping) -> list[list[HeadTable]]:
        """See `Task.compute`; kinds of attention that have no such link are left out."""
        makes = [partial(LinkNumbers, link=self._link(source), sees=reading.sees) for source, reading in texts]
        found = model.reduce_each([reading for _, reading in texts], self.job.select, makes)
        return [[table for table in tables if table.columns] for tables in found]

    def _link(self, source: Source) -> WordLink:
        link = source.asked or self.link
        assert isinstance(link, WordLink)  # one of them says what to find
        return link


class RelationTask(NumbersTask, frozen=True):
    """The task of counting how heads follow the relations that each source asks about: a `Summand` a kind."""

    def compute(self, model: Model, texts: Sequence[ReadText], by: Grouping) -> list[list[Summand]]:
        """See `Task.compute`."""
        makes = [
            partial(RelationCounter, parsed=source.asked, sees=reading.sees, odd=source.index % 2 > 0)
            for source, reading in texts
        ]
        return model.reduce_each([reading for _, reading in texts], self.job.select, makes)


def find_link(job: Job, link: WordLink, sources: Iterable[Source], jobs: int, counter: Counter) -> list[HeadTable]:
    """Return the heads of each model and kind, ranked by the weight that they give a link over some texts."""
    tables = total(LinkTask(job, link), sources, jobs, counter).tables()
    return [replace(rank_heads(table, "weight", "accuracy"), asked=str(link)) for table in tables]


def find_pairs(job: Job, name: str, sources: Iterable[Source], jobs: int, counter: Counter) -> list[HeadTable]:
    """Return the heads of each kind, ranked by how often they link the words that each source asks for.

    The tables are of pairs of this `name`, such as that of their file.
    """
    tables = total(LinkTask(job), sources, jobs, counter).tables()
    return [replace(rank_heads(table, "accuracy", "weight"), asked=f"pairs of {name}") for table in tables]


def find_relations(job: Job, name: str, sources: Iterable[Source], jobs: int, counter: Counter) -> list[RelationTable]:
    """Return the best head for each relation of a treebank of this name, for each kind of attention that has any.

    Where none has, because all words are left out, the tables that say so have no relations.
    """
    found = total(RelationTask(job), sources, jobs, counter).tables()
    tables = [replace(table, asked=f"relations of {name}") for table in found]
    return [table for table in tables if table.relations] or tables


def find_asked(
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
        return find_relations(job, str(relations), open_treebank(Path(relations)), 1, counter)
    if link is not None and texts is not None:
        return find_link(job, WordLink.parse(link), sources_of(texts), 1, counter)
    if isinstance(pairs, str | PathLike):
        return find_pairs(job, str(pairs), open_pairs(Path(pairs)), 1, counter)
    return find_pairs(job, "words", ask_pairs(pairs or ()), 1, counter)


def open_pairs(path: Path, stream: BufferedReader | None = None) -> Iterator[Source]:
    """Yield the texts of a TSV file with the link that is asked of each (see `open_lines`).

    Raises:
        InputError: the file cannot be read, or is of another kind.
    """
    return _open(path, read_pairs, lambda found: ask(found[0], WordLink(*found[1:])), stream)


def ask_pairs(pairs: Iterable[tuple[str, str, str]]) -> Iterator[Source]:
    """Yield texts with the link that is asked of each, from tuples of a text and two words.

    Raises:
        UsageError: these are no such tuples.
    """
    for index, pair in enumerate(pairs):
        if not (isinstance(pair, tuple) and [type(part) for part in pair] == [str, str, str]):
            raise UsageError(f'A pair is written as ("Mary lost her keys", "her", "Mary"), not as {pair!r}.')
        text, *words = pair
        yield replace(ask(text, WordLink(*words)), place=f"text {index + 1}", index=index)


def open_treebank(path: Path, stream: BufferedReader | None = None) -> Iterator[Source]:
    """Yield the sentences of a file in CoNLL-U, each with its relations (see `open_lines`).

    Raises:
        InputError: the file cannot be read, or is of another kind.
    """
    return _open(path, read_treebank, lambda found: ask(found.text, found), stream)


def ask(text: str, asked: WordLink | ParsedText) -> Source:
    """Return a text with what is asked of it."""
    return Source(text.encode("utf-8", "surrogatepass"), asked=asked)


def _open(
    path: Path,
    read: Callable[[Iterable[str]], Iterator[Entry]],
    make: Callable[[Any], Source],
    stream: BufferedReader | None,
) -> Iterator[Source]:
    """Yield what is made of the entries of a file, in their places; of a malformed one, what is wrong with it.

    Raises:
        InputError: the file cannot be read, or none of its first entries has the form of one.
    """
    of = "" if stream else f" of {path}"
    with open_lines(path, stream) as lines:
        entries = _check_kind(read(lines), "Standard input" if stream else str(path))
        for index, entry in enumerate(entries):
            malformed = isinstance(entry.found, RecordError)
            source = Source(b"", wrong=entry.found) if malformed else make(entry.found)
            yield replace(source, place=f"line {entry.line}{of}", index=index)


_FIRST = 20  # entries of a file that are held back while none of them is one


def _check_kind(entries: Iterator[Entry], name: str) -> Iterator[Entry]:
    """Yield the entries of a file, the first of them as soon as one has the form of an entry.

    Raises:
        InputError: see `_open`.
    """
    held = list[Entry]()
    for entry in islice(entries, _FIRST):
        held.append(entry)
        if not isinstance(entry.found, FormError):
            break
    else:
        if held:
            raise InputError(f"{name} looks like another kind of file. Line {held[0].line}: {held[0].found}")
    yield from chain(held, entries)
