"""The comparison of texts, of models, or of saved records, from their sources to what differs.

Each source is paired with the one that it is compared with, which stands in its `asked`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest

from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import AttnvizError, InputError, ModelError, RecordError, UsageError
from attnviz.formats.writing import Result
from attnviz.measures.comparison import Comparison, compare
from attnviz.measures.totals import Summand
from attnviz.pipeline.counting import Counter, total_portions
from attnviz.pipeline.job import Job
from attnviz.pipeline.outcomes import KeepWeights, Note, Outcome, ReadText, make_of, outcomes
from attnviz.pipeline.sources import FAILURES
from attnviz.pipeline.streams import Source
from attnviz.records import Axes, HeadTable, require_record, require_weights
from attnviz.text import Grouping
from attnviz.vocabulary import Kind

JobPair = tuple[Job, Job]
"""The jobs of the first and the second of each pair, one and the same if one model reads both."""

COPIES = 8
"""How many times the memory of one record it takes to compare two: four times for each."""


class ComparedWeights(KeepWeights, frozen=True):
    """The task of keeping the weights of one side, between groups only if that was asked for: both must be alike."""

    def plan(self, text: ReadText, axes: Sequence[Axes], note: Callable[[str], None]) -> tuple[Grouping, int]:
        """See `Task.plan`."""
        return KeepWeights(replace(self.job, by=self.job.by or axes[0].by)).plan(text, axes, note)


class Differences(Struct, frozen=True, eq=False):
    """The differences of two results: the first, and a comparison for each kind of attention that both have."""

    first: Result
    comparisons: Sequence[Comparison]

    @property
    def tables(self) -> list[HeadTable]:
        """Return the divergence of each head."""
        return [each.table for each in self.comparisons]

    @property
    def result(self) -> Result:
        """Return the first result with differences in place of its weights."""
        return replace(self.first, attention=[each.difference for each in self.comparisons])


def pair_two(sources: Iterable[Source]) -> Iterator[Source]:
    """Yield the one pair of two sources.

    Raises:
        UsageError: there are fewer, or more.
    """
    found = list(sources)
    if len(found) != 2:
        given = {0: "No text was", 1: "1 text was"}.get(len(found), "More than 2 texts were")
        raise UsageError(f"{given} given: give 2, or 2 files of saved records, or a second", hint="{model}.")
    first, second = found
    yield _pair(first, second, 0)


def pair_same(sources: Iterable[Source]) -> Iterator[Source]:
    """Yield each text with itself, for two models to read.

    Raises:
        UsageError: one is no text, but saved.
    """
    for source in sources:
        if source.saved:
            raise UsageError(
                f"{source.place} holds saved weights, which no model reads:",
                hint="give a text, or leave {model} out and compare two files.",
            )
        yield replace(source, asked=source)


def pair_files(files: Sequence[str], *sources: Iterable[Source]) -> Iterator[Source]:
    """Yield each record of a file with that of the other that stands at the same place.

    Raises:
        UsageError: one has more of them.
    """
    for index, (first, second) in enumerate(zip_longest(*sources)):
        if first is None or second is None:
            shorter, longer = files if first is None else reversed(files)
            raise UsageError(
                f"Two files are compared record by record, but {shorter} holds {index:,}, and {longer} more: save as "
                "many in both, in the same order."
            )
        yield _pair(first, second, index)


def _pair(first: Source, second: Source, index: int) -> Source:
    return replace(first, index=index, asked=replace(second, index=index))


def compare_one(jobs: JobPair, pair: Sequence[Source], say: Callable[[str], None]) -> Differences:
    """Return what differs between a single source and its partner; `say` is told of what is to be known of either.

    Raises:
        InputError: there is none.
        AttnvizError: one of them cannot be read, or they cannot be compared.
    """
    for source, found in compare_pairs(jobs, pair):
        if isinstance(found, Note):
            say(found)
        elif isinstance(found, AttnvizError):
            where = f"In {source.place}: " if source.place else ""
            raise type(found)(where + found.advice)
        else:
            return found
    raise InputError("There is no text that could be compared: give one that is not empty.")


def compare_many(jobs: JobPair, pairs: Iterable[Source], processes: int, counter: Counter) -> list[HeadTable]:
    """Return the divergence of each head over many pairs, for each two models and kind of attention."""
    return list(total_portions(partial(_diverge_pairs, jobs), pairs, processes, counter).tables())


def _diverge_pairs(jobs: JobPair, portion: Sequence[Source]) -> Iterator[Outcome[list[Summand]]]:
    """Yield the divergences of each pair, or its error and the notes on it; in whichever process."""
    for outcome in compare_pairs(jobs, portion):
        yield make_of(outcome, lambda found: [each.summand for each in found.comparisons])


def compare_pairs(jobs: JobPair, portion: Sequence[Source]) -> Iterator[Outcome[Differences]]:
    """Yield what differs between each source and its partner, in order, after the notes on either."""
    partners = [source.asked for source in portion]
    sides = [*map(outcomes, map(ComparedWeights, jobs), (portion, partners))]
    for source in portion:
        both: list[Outcome[Result]] = []
        for side in sides:
            outcome = next(side)
            while isinstance(outcome[1], Note):
                yield outcome[0], outcome[1]
                outcome = next(side)
            both.append(outcome)
        yield from _compare(source, *both)


def _compare(source: Source, first: Outcome[Result], second: Outcome[Result]) -> Iterator[Outcome[Differences]]:
    """Yield what differs between two results, after a note on what only one of them has; or why that is not known."""
    for side, found in (first, second):
        if isinstance(found, AttnvizError):
            yield side, found
            return
    results = [found for _, found in (first, second) if isinstance(found, Result)]
    places = dict.fromkeys(place for place in (source.place, source.asked.place) if place)
    both = replace(source, place=" and ".join(places) or None)
    try:
        comparisons = _compare_kinds(*results, saved=bool(source.saved or source.asked.saved))
    except FAILURES as error:
        yield both, error
        return
    common = [each.first.kind for each in comparisons]
    if alone := [kind for result in results for kind in _list_kinds(result) if kind not in common]:
        left_out = f"{_name_kinds(alone)} attention is left out, since not both have it"
        yield both, Note(f"Note: {_name_kinds(common)} attention is compared; {left_out}.")
    yield both, Differences(results[0], comparisons)


def _compare_kinds(first: Result, second: Result, *, saved: bool) -> list[Comparison]:
    """Return the comparison of each kind of attention that both have.

    Raises:
        ModelError: they have none in common, which no other text would change unless one of them is `saved`.
        RecordError: they have none in common, other groups of layers, or what is no weights.
        TextError: they have not two tokens in common.
    """
    for record in (*first.attention, *second.attention):
        require_weights(record)
    found = []
    for kind in _list_kinds(first):
        own, others = ([require_record(one) for one in side.attention if one.kind is kind] for side in (first, second))
        if others and len(own) != len(others):
            raise RecordError(
                f"The layers of one of the two differ in their heads, so that its {kind.value} attention is "
                f"{max(len(own), len(others))} records:",
                hint="choose layers that have the same heads with {layer}.",
            )
        found += [compare(one, other) for one, other in zip(own, others, strict=False)]
    if not found:
        sides = [f"{one.attention[0].model} has {_name_kinds(_list_kinds(one))} attention" for one in (first, second)]
        advice = "save weights with their kind (Attention.from_array)" if saved else "take two models of one kind"
        raise (RecordError if saved else ModelError)(
            f"{sides[0]}, but {sides[1]}, and only the same kind can be compared: {advice}."
        )
    return found


def _list_kinds(result: Result) -> list[Kind]:
    return list(dict.fromkeys(record.kind for record in result.attention))


def _name_kinds(kinds: Iterable[Kind]) -> str:
    return " and ".join(dict.fromkeys(kind.value for kind in kinds))
