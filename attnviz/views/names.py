"""The spelling of weights, counts, layers and heads, for tables and pictures."""

from collections.abc import Sequence

from attnviz.records import Axes, HeadMatrix
from attnviz.text import Bins, By
from attnviz.vocabulary import AVERAGE, Orientation

NOTHING = 0.005
"""What is less is written as .00, or left out."""

_PREFIXES = "", "k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q"


def decimals(number: float, *, signed: bool = False) -> str:
    """Write a number in three characters, as far as it goes, and its sign: `.93`, `1.0`, what is no weight as `12`.

    A number from 0 on has a sign only if the others beside it are `signed`: `+.93`, `−.07`, and `.00`.
    """
    if signed:
        sign = "" if abs(number) < NOTHING else "−" if number < 0 else "+"
        return sign + decimals(abs(number))
    if number < 0.995:
        return f"{number:.2f}"[1:]
    return f"{number:.1f}" if number < 9.95 else f"{number:.0f}"


def in_cell(number: float, *, signed: bool) -> str:
    """Write a number into a cell: `.93`, with a sign `+.07`; `·` if it rounds to nothing, `1` if to 1."""
    if abs(number) < NOTHING:
        return "·"
    return decimals(number, signed=signed).replace("1.0", "1")


def scaled(number: float, unit: str = "") -> str:
    """Write a number in three digits, with an SI prefix before the unit: `1.57 M`, `4.19 MB`."""
    power = next((i for i in range(len(_PREFIXES)) if number < 999.5 * 1000**i), len(_PREFIXES) - 1)
    return f"{number / 1000**power:.3g} {_PREFIXES[power]}{unit}".rstrip()


def as_percent(share: float) -> str:
    """Write a share in percent: `83%`."""
    return f"{share:.0%}"


def counted(count: int, name: str) -> str:
    """Write a count: `1 layer`, `1,024 tokens`."""
    return f"{count:,} {plural(name, count)}"


def count_tokens(record: Axes) -> str:
    """Write how many tokens, or groups of them, a record has: `14 tokens`, `25 sentences and 2 special tokens`.

    Queries stand before keys where they are others: `7 × 9 tokens`.
    """
    queries, keys = record.query_tokens, record.key_tokens
    sides = [keys] if len(queries) == len(keys) else [queries, keys]
    if record.by is By.TOKEN or isinstance(record.by, Bins):
        return _count_sides([len(side) for side in sides], record.by.unit)
    special = [sum(token.special for token in side) for side in sides]
    named = [len(side) - apart for side, apart in zip(sides, special, strict=True)]
    parts = (named, record.by.unit), (special, "special token")
    return " and ".join(_count_sides(counts, name) for counts, name in parts if any(counts))


def _count_sides(counts: Sequence[int], name: str) -> str:
    """Write a count for each side: `1 token`, `7 × 9 tokens`."""
    return f"{' × '.join(f'{count:,}' for count in counts)} {name if [*counts] == [1] else f'{name}s'}"


def plural(name: str, count: int) -> str:
    """Write a noun in the singular or the plural: `layer`, `layers`."""
    return name if count == 1 else f"{name}s"


def index_name(index: int) -> str:
    """Write the index of a layer or head; `mean` stands for the average of several."""
    return "mean" if index == AVERAGE else str(index)


def head_name(layer: int, head: int) -> str:
    """Write a head in few characters: `L2 H5`; the average of all is `mean`."""
    if layer == head == AVERAGE:
        return "mean"
    return f"L{index_name(layer)} H{index_name(head)}"


def describe_axes(record: HeadMatrix, orientation: Orientation) -> str:
    """Say what goes down, what across, and what the numbers of a row come to."""
    if record.meaning.distributions:
        return orientation.in_words(sink=record.sink)
    down, across = orientation.axes("queries", "keys")
    return f"{down} down, {across} across; {name_numbers(record)}"


def name_numbers(record: HeadMatrix) -> str:
    """Name the measure of a record, and say what its signs mean if it has any."""
    return f"{record.measure}: + is more, − is less" if record.meaning.signed else record.measure


def caveats(attention: Axes) -> tuple[str, ...]:
    """Return the notes that must stand beside weights: what is left out of them, and what was done to them."""
    sunk = (
        ("the weights of a query may sum to less than 1, because weight on a sink is not shown",)
        if attention.sink
        else ()
    )
    return (*sunk, *attention.notes)
