"""Measures the benchmarks and prints them as a table: `python -m tests.benchmarks --help`."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.benchmarks.comparison import Benchmark, Outcome, compare, outcome, rounds
from tests.benchmarks.registry import BENCHMARKS, Setting
from tests.benchmarks.report import table

_LINES, _QUICK_LINES = 100_000, 5_000


def main() -> int:
    """Measures what was asked for; 1 if a limit is not kept."""
    options = _options()
    names = options.names or list(BENCHMARKS)
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(Path(folder), options.lines)
        outcomes = _measured([BENCHMARKS[name](setting) for name in names], options.runs)
    print()
    Console().print(table(outcomes, _caption(options)))
    return 0 if all(each.passed for each in outcomes) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=_count, default=7, help="how many times each side is run (%(default)s)")
    lengths = parser.add_mutually_exclusive_group()
    lengths.add_argument("--lines", type=_count, default=_LINES, help="how many lines to stream (%(default)s)")
    lengths.add_argument(
        "--quick", dest="lines", action="store_const", const=_QUICK_LINES, help=f"stream {_QUICK_LINES} lines only"
    )
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no {', '.join(unknown)}: choose from {', '.join(BENCHMARKS)}")
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _measured(benchmarks: Sequence[Benchmark], runs: int) -> list[Outcome]:
    """All outcomes, with a progress bar on standard error."""
    outcomes = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for benchmark in benchmarks:
            pairs = progress.track(compare(benchmark, runs), rounds(benchmark, runs), description=benchmark.what)
            outcomes.append(outcome(benchmark, list(pairs)))
    return outcomes


def _caption(options: argparse.Namespace) -> str:
    """How it was measured."""
    how = f"Whole processes, in turn with what they are compared with: the median of {options.runs} pairs."
    quick = f" Quick: the stream has {options.lines:,} lines, not {_LINES:,}." if options.lines < _LINES else ""
    return f"{how} Streams are run once.{quick}"


if __name__ == "__main__":
    raise SystemExit(main())
