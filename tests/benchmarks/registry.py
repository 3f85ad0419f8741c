"""The benchmarks, by name. A new one is a function that describes it and a line in `BENCHMARKS`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from attnviz.models.registry import locate_minilm
from tests.benchmarks.checkpoint import write_checkpoint
from tests.benchmarks.comparison import PEAK_MEMORY, SECONDS, Benchmark, Measure
from tests.benchmarks.lines import write_lines, write_mixed_lines
from tests.benchmarks.long_texts import Looking, looking, write_model
from tests.benchmarks.processes import Command, Run

_SENTENCE = "The animal didn't cross the street because it was too tired"
_AS_ON_A_TERMINAL = "--color", "always", "--width", "80"
_IMPORT_TORCH = Command("import torch", ("-c", "import torch"))
_SHOW_MINILM = Command("attnviz", ("-m", "attnviz", "show", _SENTENCE, "--model", "minilm", *_AS_ON_A_TERMINAL))
_FEW_LINES = 1_000
_LARGE_TEXT = 200
_LONG_TEXT = 4_096
_MANY, _PICTURES = 1_000, 400
_DONE = 80_000
_HEADS = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """What benchmarks may depend on: a `folder` for their files, and how many `lines` a long input has."""

    folder: Path
    lines: int


def starting(setting: Setting) -> Benchmark:
    """What everything else waits for: the parts of the program that every run loads."""
    return Benchmark(
        what="attnviz --help",
        command=Command("attnviz", ("-m", "attnviz", "--help")),
        yardstick=_IMPORT_TORCH,
        limit=0.10,
    )


def showing(setting: Setting) -> Benchmark:
    """The first thing that anybody tries."""
    return Benchmark(
        what="attnviz show, one sentence",
        command=Command("attnviz", ("-m", "attnviz", "show", _SENTENCE, *_AS_ON_A_TERMINAL)),
        yardstick=_IMPORT_TORCH,
        limit=0.20,
    )


def finding(setting: Setting) -> Benchmark:
    """The heads that link two words of one sentence, beside all that show does for it."""
    return Benchmark(
        what="attnviz find, one sentence",
        command=Command("attnviz", ("-m", "attnviz", "find", "it -> animal", _SENTENCE, *_AS_ON_A_TERMINAL)),
        yardstick=Command("attnviz show", ("-m", "attnviz", "show", _SENTENCE, *_AS_ON_A_TERMINAL)),
        limit=1.10,
    )


def browsing(setting: Setting) -> Benchmark:
    """The full-screen view, beside what it cannot start without: textual, and what `show` does."""
    both = (
        "import textual.app, textual.widgets, sys; from textual.widgets import Input, Static; "
        f"from attnviz.cli.app import main; sys.exit(main({['show', _SENTENCE, *_AS_ON_A_TERMINAL]}))"
    )
    return Benchmark(
        what="attnviz browse, until a sentence is shown",
        command=Command("attnviz", ("-S", "tests/benchmarks/scripts/browse_start.py", _SENTENCE)),
        yardstick=Command("import textual, show", ("-c", both)),
        limit=1.2,
    )


def pretrained(setting: Setting) -> Benchmark:
    """A real pretrained model, beside how one would look at it with transformers."""
    return Benchmark(
        what="attnviz show --model minilm",
        command=_SHOW_MINILM,
        yardstick=Command(
            "transformers, output_attentions",
            ("-m", "tests.benchmarks.scripts.usual_way", str(locate_minilm()), _SENTENCE),
        ),
        limit=0.15,
    )


def pretrained_start(setting: Setting) -> Benchmark:
    """The same, beside what any program that uses torch waits for first."""
    return Benchmark(what="attnviz show --model minilm", command=_SHOW_MINILM, yardstick=_IMPORT_TORCH, limit=0.25)


def large(setting: Setting) -> Benchmark:
    """A checkpoint larger than the memory that it may take: read layer by layer."""
    folder = setting.folder / "large"
    parameters = write_checkpoint(folder)
    text = "word " * _LARGE_TEXT
    return Benchmark(
        what=f"peak memory, {parameters / 1e9:.2f}B bfloat16 parameters, {_LARGE_TEXT} tokens",
        command=Command("attnviz", ("-m", "attnviz", "show", text, "--model", str(folder), "--engine", "reference")),
        yardstick=Command("1.5 GB", ("-c", "import numpy; numpy.ones(1_500_000_000, numpy.uint8)")),
        limit=1.0,
        measure=PEAK_MEMORY,
        once=True,
    )


def drawing(setting: Setting) -> Benchmark:
    """A bird's-eye view of a model of BERT's size, saved by the command, and by the script one would write for it."""
    ours, naive = (
        (f"tests.benchmarks.scripts.{script}", str(setting.folder / f"{script}.png"))
        for script in ("export_grid", "naive_grid")
    )
    return Benchmark(
        what="PNG of 12 × 12 heads, 15 tokens",
        command=Command("attnviz", ("-m", *ours)),
        yardstick=Command("144 subplots", ("-m", *naive)),
        limit=0.15,
    )


def drawing_many(setting: Setting) -> Benchmark:
    """Pictures of one head each, one after the other, beside the script one would write for them."""
    lines = write_mixed_lines(setting.folder / "heads.txt", _HEADS)
    ours, naive = (
        ("-m", f"tests.benchmarks.scripts.{script}", str(lines), str(setting.folder / script))
        for script in ("export_figures", "naive_figures")
    )
    return Benchmark(
        what=f"{_HEADS} PNGs of a head, 7 to 42 tokens",
        command=Command("attnviz", ours),
        yardstick=Command("subplots, imshow, tight_layout", naive),
        limit=0.5,
        remark=lambda runs: f"{median(run.seconds for run in runs) / _HEADS * 1000:.0f} ms each, all included",
    )


def streaming(setting: Setting) -> Benchmark:
    """Memory that stays the same, however many lines are read."""
    return Benchmark(
        what=f"peak memory, {setting.lines:,} lines to JSON",
        command=_reading(setting.folder, setting.lines),
        yardstick=_reading(setting.folder, _FEW_LINES),
        limit=1.10,
        measure=PEAK_MEMORY,
        remark=lambda runs: _throughput(setting.lines, runs),
        once=True,
    )


def many_to_json(setting: Setting) -> Benchmark:
    """A thousand sentences as data, beside the loop that one would write with transformers."""
    lines = write_mixed_lines(setting.folder / "mixed.txt", _MANY)
    show = "-m", "attnviz", "show", "--file", str(lines), "--format", "json", "--model", "minilm"
    loop = "-m", "tests.benchmarks.scripts.usual_loop", str(locate_minilm()), str(lines)
    return Benchmark(
        what=f"{_MANY:,} texts of 5 to 40 words to JSON, minilm",
        command=Command("attnviz", show),
        yardstick=Command("a loop over transformers", loop),
        limit=0.67,
        remark=lambda runs: _throughput(_MANY, runs),
        once=True,
    )


def sharing(setting: Setting) -> Benchmark:
    """Pictures of many texts by two processes, beside one."""
    lines = write_mixed_lines(setting.folder / "pictures.txt", _PICTURES)
    one, two = (_exporting(lines, setting.folder / f"jobs{jobs}", jobs) for jobs in (1, 2))
    return Benchmark(
        what=f"{_PICTURES} PNGs of a head by two processes",
        command=two,
        yardstick=one,
        limit=0.75,
        remark=lambda runs: _throughput(_PICTURES, runs),
    )


def resuming(setting: Setting) -> Benchmark:
    """A folder of many texts in which all is done; it takes some minutes to make."""
    lines, folder = write_lines(setting.folder / "done.txt", _DONE), setting.folder / "done"
    chosen = "--layer", "0", "--head", "0", "--format", "npz", "--jobs", "2"
    export = Command("attnviz", ("-m", "attnviz", "export", "--file", str(lines), "-o", str(folder), *chosen))
    export.run()
    return Benchmark(
        what=f"export of {_DONE:,} lines that are done",
        command=export,
        yardstick=Command("5 s", ("-c", "import time; time.sleep(5)")),
        limit=1.0,
        remark=lambda runs: _throughput(_DONE, runs),
        once=True,
    )


def long_time(setting: Setting) -> Benchmark:
    """All heads of a long text, beside what the model takes to read it."""
    return _long("time, {:,} tokens", "grouped", 1.5, setting)


def long_memory(setting: Setting) -> Benchmark:
    """The same, and the most memory that each process holds."""
    return _long("peak memory, {:,} tokens", "grouped", 1.25, setting, PEAK_MEMORY)


def long_head(setting: Setting) -> Benchmark:
    """One head in the middle of the model, for which the layers after it are not run."""
    return _long("time, {:,} tokens", "head", 0.75, setting)


def long_numbers(setting: Setting) -> Benchmark:
    """All statistics of all heads of a long text, beside what the model takes to read it."""
    return _long("heads, {:,} tokens", "numbers", 1.6, setting)


def numbers(setting: Setting) -> Benchmark:
    """Numbers for each head over a thousand sentences, beside the weights of these as data."""
    return Benchmark(
        what=f"attnviz heads, {_MANY:,} texts of 5 to 40 words",
        command=_of_mixed_lines(setting, "heads"),
        yardstick=_of_mixed_lines(setting, "show"),
        limit=1.3,
    )


def numbers_memory(setting: Setting) -> Benchmark:
    """The same, beside a script that holds the weights of all of these texts; both without what starting takes."""
    lines = str(write_mixed_lines(setting.folder / "mixed.txt", _MANY))
    ours, naive = (Looking(way, ("-m", "tests.benchmarks.scripts.many_heads", way, lines)) for way in ("heads", "hold"))
    return Benchmark(
        what=f"memory of numbers over {_MANY:,} texts",
        command=ours,
        yardstick=naive,
        limit=0.1,
        measure=PEAK_MEMORY,
    )


def _of_mixed_lines(setting: Setting, command: str) -> Command:
    lines = write_mixed_lines(setting.folder / "mixed.txt", _MANY)
    return Command(f"attnviz {command}", ("-m", "attnviz", command, "--file", str(lines), "--format", "json"))


def _long(what: str, way: str, limit: float, setting: Setting, measure: Measure = SECONDS) -> Benchmark:
    folder = write_model(setting.folder / "long")
    return Benchmark(
        what=what.format(_LONG_TEXT),
        command=looking(way, folder, _LONG_TEXT),
        yardstick=looking("plain", folder, _LONG_TEXT),
        limit=limit,
        measure=measure,
    )


def _exporting(lines: Path, folder: Path, jobs: int) -> Command:
    """The first head of each text as a picture, all made anew."""
    chosen = "--layer", "0", "--head", "0", "--layout", "head", "--force"
    arguments = "-m", "attnviz", "export", "--file", str(lines), *chosen, "-o", str(folder), "--jobs", str(jobs)
    return Command(f"--jobs {jobs}", arguments)


def _reading(folder: Path, count: int) -> Command:
    arguments = "-m", "attnviz", "show", "--format", "json"
    return Command(f"{count:,} lines", arguments, write_lines(folder / f"{count}.txt", count))


def _throughput(lines: int, runs: Sequence[Run]) -> str:
    seconds = median(run.seconds for run in runs)
    return f"{lines / seconds:,.0f} lines a second ({seconds:.1f} s)"


BENCHMARKS: dict[str, Callable[[Setting], Benchmark]] = {
    "help": starting,
    "show": showing,
    "find": finding,
    "browse": browsing,
    "minilm": pretrained,
    "minilm-start": pretrained_start,
    "large": large,
    "grid": drawing,
    "batch-figures": drawing_many,
    "long-time": long_time,
    "long-memory": long_memory,
    "long-head": long_head,
    "long-heads": long_numbers,
    "heads": numbers,
    "heads-memory": numbers_memory,
    "stream": streaming,
    "batch-json": many_to_json,
    "batch-jobs": sharing,
    "batch-resume": resuming,
}
"""What describes each benchmark, writing the files that it needs."""
