"""How a weight, a count, a layer or a head is written, in tables and pictures alike."""

from attnviz.records import Attention
from attnviz.vocabulary import AVERAGE

_PREFIXES = "", "k", "M", "G", "T", "P", "E", "Z", "Y", "R", "Q"


def decimals(weight: float) -> str:
    """Return a weight in two decimals without the zero before them: `.93`, and `1.0`."""
    return "1.0" if weight >= 0.995 else f"{weight:.2f}"[1:]


def scaled(number: float, unit: str = "") -> str:
    """Return a count in three digits, with a prefix of the SI before the unit: `1.57 M`, `4.19 MB`."""
    power = next((i for i in range(len(_PREFIXES)) if number < 999.5 * 1000**i), len(_PREFIXES) - 1)
    return f"{number / 1000**power:.3g} {_PREFIXES[power]}{unit}".rstrip()


def counted(count: int, name: str) -> str:
    """Return how many there are of what has this name: `1 layer`, `1,024 tokens`."""
    return f"{count:,} {plural(name, count)}"


def plural(name: str, count: int) -> str:
    """Return the name of one or of several: `layer`, `layers`."""
    return name if count == 1 else f"{name}s"


def index_name(index: int) -> str:
    """Return a layer's or head's number, or what stands for the average of several."""
    return "mean" if index == AVERAGE else str(index)


def head_name(layer: int, head: int) -> str:
    """Return a head in few characters: `L2 H5`."""
    return f"L{index_name(layer)} H{index_name(head)}"


def caveats(attention: Attention) -> tuple[str, ...]:
    """Return what must be said wherever weights are shown, lest they be misread: what is left out, what was done."""
    sunk = ("what a query looks at may sum to less than 1: weight on a sink is not shown",) if attention.sink else ()
    return (*sunk, *attention.notes)
