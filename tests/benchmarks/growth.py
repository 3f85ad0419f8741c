"""How time and memory grow with a text: `python -m tests.benchmarks.growth TABLE.md PICTURE.png`."""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from tests.benchmarks.long_texts import looking, write_model
from tests.benchmarks.processes import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES = 1024, 2048, 4096, 8192, 16384
LARGEST_EAGER = 4096
"""All weights of a text twice as long take 39 GB."""

INK, MUTED = "#222222", "#777777"
LINES: dict[str, tuple[str, str, str]] = {
    "eager": ("transformers, all weights", "#d1495b", "s"),
    "grouped": ("attnviz, 144 heads in 256 bins", "#233266", "o"),
    "plain": ("transformers, no weights", "#777777", "D"),
    "head": ("attnviz, one head of layer 5", "#1f9e89", "^"),
}
"""What each way is called, its colour and its marker: told apart by the colour-blind, and in grey."""

Runs = Mapping[str, Mapping[int, Run]]
"""For each way the run at each size."""


def main() -> None:
    """Measures, writes the table and draws the picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    runs = _measured()
    options.table.write_text(table(runs), encoding="utf-8")
    draw(runs, options.picture)


def _measured() -> Runs:
    """One run of each way at each size, in processes of their own."""
    every = [(way, size) for size in SIZES for way in LINES if way != "eager" or size <= LARGEST_EAGER]
    found: dict[str, dict[int, Run]] = {way: {} for way in LINES}
    with tempfile.TemporaryDirectory() as folder, Progress(console=Console(stderr=True), transient=True) as progress:
        model = write_model(Path(folder) / "model")
        for way, size in progress.track(every):
            found[way][size] = looking(way, model, size).run()
    return found


def table(runs: Runs) -> str:
    """A Markdown table: a row a size, time and memory of each way."""
    names = [name for name, _, _ in LINES.values()]
    rows = [["tokens", *names], ["---:"] * (1 + len(names))]
    for size in SIZES:
        rows.append([f"{size:,}", *(_cell(runs[way].get(size)) for way in LINES)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(run: Run | None) -> str:
    return "—" if run is None else f"{run.seconds:.1f} s, {run.peak / 1e9:.2f} GB"


def draw(runs: Runs, path: Path) -> None:
    """Time and memory over the length of the text, all axes logarithmic."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 8.0}):
        figure = Figure((7.2, 3.3), dpi=200, layout="constrained", facecolor="white")
        time, memory = figure.subplots(1, 2)
        _draw(time, {way: {n: run.seconds for n, run in own.items()} for way, own in runs.items()}, (1, 10, 100), "s")
        _draw(memory, {way: {n: run.peak / 1e9 for n, run in own.items()} for way, own in runs.items()}, (1, 10), "GB")
        time.set_title("time", loc="left", color=INK)
        memory.set_title("peak memory of the process", loc="left", color=INK)
        handles, labels = time.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=7.0)
        figure.savefig(path)


def _draw(axes: "Axes", lines: Mapping[str, Mapping[int, float]], ticks: Sequence[float], unit: str) -> None:
    for way, values in lines.items():
        name, colour, marker = LINES[way]
        axes.plot([*values], [*values.values()], color=colour, marker=marker, ms=3.5, lw=1.3, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axes.set_yticks(ticks, [f"{tick:,} {unit}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("tokens", color=INK)
    axes.grid(color=MUTED, alpha=0.25, linewidth=0.5)
    axes.tick_params(labelsize=7.0, colors=INK, width=0.5, length=2.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=MUTED, linewidth=0.6)


if __name__ == "__main__":
    main()
