"""One head, one query: from the token to what is added to the residual stream."""

from collections import Counter
from collections.abc import Iterator, Sequence

from attnviz.reference.lesson import reading
from attnviz.reference.lesson.numbers import Numbers
from attnviz.reference.lesson.steps import Step
from attnviz.reference.lesson.taking import taking
from attnviz.reference.lesson.weighing import weighing
from attnviz.reference.lesson.wording import wording
from attnviz.reference.trace import Trace


def head_steps(trace: Trace, layer: int, head: int, names: Sequence[str]) -> Iterator[Step]:
    """The steps of one head, whose layer is the one of the trace; `names` are those of the keys."""
    words = wording(trace, head)
    yield from reading.embedding(trace)
    yield from reading.input_of_layer(trace, layer, words)
    yield from from_query(trace, head, names)


def from_query(trace: Trace, head: int, names: Sequence[str]) -> Iterator[Step]:
    """The same, beginning with the query."""
    numbers, words, names = Numbers.of(trace, head), wording(trace, head), _told_apart(names)
    yield reading.query(trace, head, numbers, words)
    yield reading.keys(trace, head, numbers, words)
    yield from weighing(trace, head, numbers, words, names)
    yield from taking(trace, head, numbers, words, names)


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names, with their positions where several are the same."""
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{position} {name}" for position, name in enumerate(names)]
