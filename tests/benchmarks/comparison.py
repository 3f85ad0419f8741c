"""A command beside a yardstick: both measured in turn, so that whatever else the machine does falls on both."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.processes import Command, Run


@dataclass(frozen=True, slots=True)
class Measure:
    """A property of runs: its value, and how the value reads."""

    of: Callable[[Run], float]
    text: Callable[[float], str]


SECONDS = Measure(lambda run: run.seconds, lambda seconds: f"{seconds:.3f} s")
PEAK_MEMORY = Measure(lambda run: run.peak, lambda size: f"{size / 2**20:.1f} MiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What `command` costs as a share of what `yardstick` costs, and the `limit` of that share.

    `remark` says what else the runs of the command tell. `once` stands for one run of each without warming up: for what
    takes minutes and hardly varies.
    """

    what: str
    command: Command
    yardstick: Command
    limit: float
    measure: Measure = SECONDS
    remark: Callable[[Sequence[Run]], str] = lambda runs: ""
    once: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The runs of a benchmark's command and of its yardstick, pair by pair."""

    benchmark: Benchmark
    runs: Sequence[Run]
    yardstick_runs: Sequence[Run]

    @property
    def ratios(self) -> list[float]:
        """The share in each pair of runs."""
        of = self.benchmark.measure.of
        return [of(run) / of(other) for run, other in zip(self.runs, self.yardstick_runs, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the shares."""
        return median(self.ratios)

    @property
    def passed(self) -> bool:
        """Whether the limit is kept."""
        return self.ratio <= self.benchmark.limit

    @property
    def costs(self) -> tuple[str, str]:
        """The median of each side, as it reads."""
        measure = self.benchmark.measure
        mine, other = (median(map(measure.of, runs)) for runs in (self.runs, self.yardstick_runs))
        return measure.text(mine), measure.text(other)


def rounds(benchmark: Benchmark, runs: int) -> int:
    """How many times each of the two commands is run, warming up included."""
    return 1 if benchmark.once else 1 + runs


def compare(benchmark: Benchmark, runs: int) -> Iterator[tuple[Run, Run]]:
    """Runs command and yardstick in turn; the first pair, unless it is the only one, is for warming up."""
    for _ in range(rounds(benchmark, runs)):
        yield benchmark.command.run(), benchmark.yardstick.run()


def outcome(benchmark: Benchmark, pairs: Sequence[tuple[Run, Run]]) -> Outcome:
    """What the pairs of runs came to, without the one for warming up."""
    counted = pairs if benchmark.once else pairs[1:]
    return Outcome(benchmark, [pair[0] for pair in counted], [pair[1] for pair in counted])
