"""The memory that the weights of one text may take, and the groups that stand for them if they would take more."""

from collections.abc import Callable, Sequence
from math import isqrt, prod

from attnviz.errors import Advice, TextError
from attnviz.pipeline.job import Job
from attnviz.pipeline.streams import Source
from attnviz.records import Axes
from attnviz.text import Bins, By, Grouping, group_tokens
from attnviz.views.names import scaled

_BYTES = 4  # of a weight
_MOST_BINS = 256  # a picture of so many still has a pixel or more for each, in a grid of heads


def plan(source: Source, wanted: Sequence[Axes], job: Job, note: Callable[[str], None]) -> tuple[Grouping, int]:
    """Return what is kept of a text's weights on these axes, all of them unless they are to be grouped; and how many.

    If nothing was asked for, and they would take more bytes than the job's `memory`, those between stretches of the
    text are kept, unless they are groups already, or single rows; `note` is told so.

    Raises:
        TextError: what was asked for would take more.
    """
    held = wanted[0].by if wanted else By.TOKEN
    by, groupable = job.by or held, job.select.rows is None and held is By.TOKEN
    copies = job.copies + job.no_special + source.in_memory  # of the weights that are there at the same time
    memory = job.memory // copies
    size = _size(wanted, by, memory)
    if size * _BYTES <= memory:
        return by, size
    too_much = (
        f"The weights of {_counted(wanted)} would take {scaled(size * copies * _BYTES, 'B')}, "
        f"and {{memory}} allows {scaled(job.memory, 'B')}"
    )
    bins = _bins_for(wanted, memory)  # what was given is not advised
    fewer = _size(wanted, bins, memory) if groupable and job.by != bins else 0
    fits = 0 < fewer * _BYTES <= memory
    if fits and job.by is None:
        single = " and ".join(_unchosen(job, "layer", "head"))
        instead = (
            f"{too_much}: shown between stretches of the text ({{by:{bins.value}}}). For single tokens choose {{rows}}"
        )
        note(Advice("", hint=instead + (f", or {single}." if single else ".")))
        return bins, fewer
    among = ("layer", "head", "rows") if job.by in (None, By.TOKEN) else ("layer", "head")
    chosen = [f"choose fewer with {_join(left)}"] if (left := _unchosen(job, *among)) else []
    grouped = [f"group tokens ({{by:{bins.value}}})"] if fits else []
    raise TextError("", hint=f"{too_much}: {_join([*chosen, *grouped, 'allow more'])}.")


def find_room(wanted: Sequence[Axes], job: Job) -> int:
    """Return how many bytes there are beside the weights on these axes for each of them."""
    copies = job.copies + job.no_special
    return (job.memory - copies * _BYTES * sum(prod(axes.shape) for axes in wanted)) // len(wanted)


def _unchosen(job: Job, *options: str) -> list[str]:
    """Return those of these options, as hints, that have not been given."""
    chosen = {"layer": job.select.layers, "head": job.select.heads, "rows": job.select.rows}
    return [f"{{{option}}}" for option in options if chosen[option] is None]


def _join(ways: Sequence[str]) -> str:
    """Join ways to mend something: `a`, `a or b`, `a, b or c`."""
    *first, last = ways
    return f"{', '.join(first)} or {last}" if first else last


def _bins_for(wanted: Sequence[Axes], memory: int) -> Bins:
    """Return as many bins as fit, if one does; no more than a grid of heads has pixels for."""
    each = sum(prod(axes.shape[:2]) for axes in wanted) * _BYTES
    return Bins(min(max(isqrt(memory // each), 1), _MOST_BINS))


def _size(wanted: Sequence[Axes], by: Grouping, memory: int) -> int:
    """Return how many weights there are between tokens, or groups; the groups are counted only where that matters."""
    size = sum(prod(axes.shape) for axes in wanted)
    if size * _BYTES <= memory or all(axes.by == by for axes in wanted):
        return size
    return sum(
        prod(axes.shape[:2])
        * len(group_tokens(axes.query_tokens, by).tokens)
        * len(group_tokens(axes.key_tokens, by).tokens)
        for axes in wanted
    )


def _counted(wanted: Sequence[Axes]) -> str:
    heads = sum(prod(axes.shape[:2]) for axes in wanted)
    queries, keys = (max(axes.shape[side] for axes in wanted) for side in (2, 3))
    return f"{heads:,} {'head' if heads == 1 else 'heads'} for {queries:,} queries and {keys:,} keys"
