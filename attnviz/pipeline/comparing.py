"""The comparison of two texts, of two models, or of two saved records, from their sources to what differs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attnviz.errors import AttnvizError, UsageError
from attnviz.formats.writing import Result
from attnviz.measures.comparison import compare
from attnviz.pipeline.job import Job
from attnviz.pipeline.outcomes import Note, Weights, outcomes
from attnviz.pipeline.streams import Source
from attnviz.records import Attention, HeadTable, require_record, require_weights
from attnviz.views.names import counted
from attnviz.vocabulary import Kind


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """What differs: a table for each kind of attention that both have, and the differences of their weights."""

    tables: Sequence[HeadTable]
    differences: Result
    notes: Sequence[str]


def compare_sources(jobs: Sequence[Job], sources: Sequence[Source]) -> Differences:
    """Compare two sources under one job, or one source under two.

    Raises:
        UsageError: there are others to compare, or they share no kind of attention.
        AttnvizError: one of them cannot be read.
    """
    if len(jobs) * len(sources) != 2:
        raise UsageError(
            f"This compares two texts, or one text under two models, not {counted(len(sources), 'text')} under "
            f"{counted(len(jobs), 'model')}."
        )
    notes: list[str] = []
    first, second = (_run(job, source, notes) for job in jobs for source in sources)
    for record in (*first.attention, *second.attention):
        require_weights(record)
    both = [
        pair
        for kind in dict.fromkeys(record.kind for record in first.attention)
        for pair in zip(_of_kind(first, kind), _of_kind(second, kind), strict=False)
    ]
    if not both:
        raise UsageError("The two have no kind of attention in common, so nothing can be compared.")
    found = [compare(one, other) for one, other in both]
    differences = replace(first, attention=[each.difference for each in found])
    return Differences([each.table for each in found], differences, notes)


def _of_kind(result: Result, kind: Kind) -> list[Attention]:
    """Return the records of one kind, of which there are several where layers have other numbers of heads."""
    return [require_record(record) for record in result.attention if record.kind is kind]


def _run(job: Job, source: Source, notes: list[str]) -> Result:
    """Return the weights of one source; what is said of them is added to the notes.

    Raises:
        AttnvizError: it cannot be read.
    """
    for _, found in outcomes(Weights(job), [[source]]):
        if isinstance(found, Note):
            notes.append(found)
        elif isinstance(found, AttnvizError):
            where = f"In {source.place}: " if source.place else ""
            raise type(found)(where + found.advice)
        else:
            return found
    raise AssertionError("a source has an outcome")
