"""Published figures beside what was measured of them: a title for each check, and a line for each figure."""

import math
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from attnviz.records import Claim, Figure, Verified
from attnviz.text import visible
from attnviz.views.names import counted
from attnviz.views.terminal.cells import fact_table, plain_table
from attnviz.vocabulary import Verdict

_STYLES = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.SKIPPED: "dim"}
_MOST_DECIMALS = 6
_NUMBERS = "published", "measured", "difference"


def figure_rows(found: Verified) -> Iterator[Table | Text]:
    """Yield the title of a check, and either who says so and its figures, or why there are none."""
    yield Text(found.claim.name, style="bold").append(f" · {visible(found.model)}", "not bold")
    if found.reason:
        yield Text(f"{found.verdict.value}: ", style=_STYLES[found.verdict]).append(visible(found.reason), "default")
        return
    yield Text(found.claim.how, style="dim")
    yield Text(f"{_write_tolerance(found.claim)}; source: {found.claim.source}", style="dim")
    grid, decimals = plain_table("dim"), _count_decimals(found.claim)
    grid.add_column("figure", overflow="fold")
    for name in _NUMBERS:
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("verdict", no_wrap=True)
    for figure in found.figures:
        numbers = _write_numbers(figure, decimals)
        grid.add_row(Text(figure.name.strip()), *numbers, Text(figure.verdict.value, _STYLES[figure.verdict]))
    yield grid


def verdict_line(found: Sequence[Verified]) -> Text:
    """Return one line with how many figures there are of each verdict, and how many checks were skipped or not run."""
    figures = [figure for one in found for figure in one.figures]
    passed = sum(figure.verdict is Verdict.PASSED for figure in figures)
    parts = [f"{counted(len(figures), 'figure')}: {passed:,} passed", f"{len(figures) - passed:,} failed"]
    unable = [one for one in found if one.reason]
    skipped = sum(one.skipped for one in unable)
    if failed := len(unable) - skipped:
        parts.append(f"{counted(failed, 'check')} could not be run")
    return Text(", ".join(parts), style="bold").append(f"; {counted(skipped, 'check')} skipped")


def claim_lines(claim: Claim) -> Table:
    """Return what a check is, for a list of checks: its model, its figures, how they are computed, who says so."""
    facts = {
        "model": claim.model,
        "figures": f"{len(claim.published):,}",
        "what": claim.how,
        "tolerance": _write_tolerance(claim),
        "source": claim.source,
    }
    return fact_table(((Text(what, "dim"), fact) for what, fact in facts.items()), len("tolerance"))


def _write_tolerance(claim: Claim) -> str:
    return f"within {claim.tolerance:g}" if claim.tolerance else "exact"


def _count_decimals(claim: Claim) -> int:
    """Return how many decimals show a difference of a tenth of the tolerance; none where nothing is tolerated."""
    return min(1 - math.floor(math.log10(claim.tolerance)), _MOST_DECIMALS) if claim.tolerance else 0


def _write_numbers(figure: Figure, decimals: int) -> list[str]:
    published, measured = (f"{number:,.{decimals}f}" for number in (figure.published, figure.measured))
    if math.isnan(figure.measured):
        return [published.replace("-", "−"), "–", "–"]
    difference = f"{figure.difference:+,.{decimals}f}"
    if not float(difference.replace(",", "")):
        difference = difference[1:]
    return [number.replace("-", "−") for number in (published, measured, difference)]
