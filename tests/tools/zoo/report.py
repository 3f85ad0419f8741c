"""Says what was found of each model type, as Markdown."""

import re
from collections import Counter
from collections.abc import Sequence

from tests.tools.zoo.checking import Finding, Verdict

_WORST_FIRST = (
    Verdict.WRONG,
    Verdict.CRASHED,
    Verdict.UNCHECKED,
    Verdict.REFUSED,
    Verdict.EXACT,
    Verdict.UNBUILDABLE,
)
_COLUMNS = ["type", "class", "engine", "tokens", "verdict", "largest difference", "contrast", "keys", "layers", "said"]
_COLUMNS += ["by transformers"]
_RAW = re.compile(r"\b\w*(Error|Exception)\b: ")
"""What the error of a library looks like in a sentence."""


def verdicts(findings: Sequence[Finding]) -> dict[str, Verdict]:
    """Return the worst verdict on each model type, over engines and lengths."""
    found: dict[str, Verdict] = {}
    for finding in findings:
        found[finding.name] = min(found.get(finding.name, finding.verdict), finding.verdict, key=_WORST_FIRST.index)
    return found


def summary(findings: Sequence[Finding]) -> str:
    """Return how many model types there are of each verdict."""
    counts = Counter(verdicts(findings).values())
    raw = {finding.name for finding in findings if finding.verdict is Verdict.REFUSED and _RAW.search(finding.said)}
    exact = [finding for finding in findings if finding.verdict is Verdict.EXACT]
    worst = max((finding.difference for finding in exact), default=0.0)
    flattest = min(exact, key=lambda finding: finding.contrast, default=None)
    lines = [
        f"{sum(counts.values())} model types: " + ", ".join(f"{counts[each]} {each.value}" for each in _WORST_FIRST)
    ]
    lines.append(f"Largest difference of exact ones: {worst:.1e}. Refused in a library's words: {len(raw)}.")
    if flattest:
        lines.append(f"Flattest rows among them: {flattest.contrast:.2f} from even weights ({flattest.name}).")
    return "\n".join(lines)


def table(findings: Sequence[Finding]) -> str:
    """Return a row for each model type, engine and length, the worst first."""
    found = verdicts(findings)
    rows = sorted(findings, key=lambda each: (_WORST_FIRST.index(found[each.name]), each.name, each.engine))
    return "\n".join([f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|", *map(_row, rows)])


def _row(finding: Finding) -> str:
    compared = (
        [f"{finding.difference:.1e}", f"{finding.contrast:.2f}", str(finding.keys)] if finding.layers else [""] * 3
    )
    cells = [
        finding.name,
        finding.model,
        finding.engine,
        str(finding.length or ""),
        finding.verdict.value,
        *compared,
        finding.layers,
        finding.said.replace("|", "\\|"),
        finding.alone.replace("|", "\\|"),
    ]
    return f"| {' | '.join(cells)} |"
