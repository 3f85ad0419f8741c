"""The outcomes as one table."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from tests.benchmarks.comparison import Outcome


def table(outcomes: Iterable[Outcome], caption: str) -> Table:
    """Each figure beside its limit, with both sides of the comparison."""
    made = Table(caption=caption, caption_justify="left", box=None, pad_edge=False, header_style="bold")
    made.add_column("what")
    for name in ("attnviz", "beside it", "share", "limit"):
        made.add_column(name, justify="right")
    made.add_column()
    for outcome in outcomes:
        made.add_row(*_cells(outcome))
    return made


def _cells(outcome: Outcome) -> list[Text]:
    """The figure, and under it what it is compared with, its lowest and highest share, what else was seen."""
    benchmark, (mine, other) = outcome.benchmark, outcome.costs
    spread = "" if benchmark.once else f"{min(outcome.ratios):.3f}–{max(outcome.ratios):.3f}"
    return [
        _over_details(benchmark.what, f"  beside {benchmark.yardstick.name}", f"  {benchmark.remark(outcome.runs)}"),
        Text(mine),
        Text(other),
        _over_details(f"{outcome.ratio:.3f}", spread),
        Text(f"{benchmark.limit:.2f}"),
        Text("pass", "green") if outcome.passed else Text("over", "bold red"),
    ]


def _over_details(main: str, *details: str) -> Text:
    """A line, and under it what matters less."""
    return Text(main).append("".join(f"\n{detail}" for detail in details if detail.strip()), "dim")
