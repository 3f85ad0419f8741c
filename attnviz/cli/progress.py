"""The progress of a run: a bar on a terminal, and a line at the end."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from attnviz.cli.options import QUIET
from attnviz.cli.outcomes import report
from attnviz.cli.output import Notes, give_up_output, say, write_standard_output
from attnviz.cli.request import Input
from attnviz.errors import AttnvizError, find_interrupt
from attnviz.pipeline.arguments import names_saved
from attnviz.pipeline.sources import STANDARD_INPUT
from attnviz.text import visible
from attnviz.views.names import counted


class TextCount:
    """A count of texts, and the exit code, with a bar on a terminal; see `pipeline.counting.Counter`."""

    def __init__(self, given: Input) -> None:
        self.code = 0
        self.say = Notes()
        self._bar = _make_bar(given)
        self._shown = ExitStack()

    def __enter__(self) -> Self:
        if self._bar:
            self._shown.enter_context(self._bar.progress)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *place: object) -> None:
        self._shown.close()

    def fail(self, place: str | None, error: AttnvizError) -> None:
        """Report why a text came to nothing.

        Raises:
            AttnvizError: it is the only one.
        """
        self.code = max(self.code, report(place, error))
        self.count(1)

    def count(self, texts: int) -> None:
        """Count texts."""
        if self._bar:
            self._bar.advance(texts)


class Tally(TextCount):
    """A count of the texts that have files, were skipped and failed; see `pipeline.batch.Watcher`."""

    def __init__(self, given: Input, folder: Path, *, anew: bool) -> None:
        super().__init__(given)
        self._single = given.single
        self._outcome, self._rest = _word_interrupt(folder, anew=anew)
        self.done = self.skipped = self.failed = 0
        self._folder = folder

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *place: object) -> None:
        super().__exit__(kind, error, *place)
        if error is None and (self._bar or self.skipped):
            say(f"{self._folder}: {self.done:,} done, {self.skipped:,} skipped, {self.failed:,} failed.")
        elif find_interrupt(error) and not self._single:
            say(f"Interrupted: {self._write_count()}; {self._rest}.")

    def _write_count(self) -> str:
        """Write how many texts are done, and of how many where a bar shows that: `212 of 500 texts are done`."""
        done, total = self.done + self.skipped, self._bar.total if self._bar else None
        texts = counted(done, "text") if total is None else f"{done:,} of {counted(total, 'text')}"
        return f"{texts} {'is' if done == 1 else 'are'} {self._outcome}"

    def skip(self, count: int) -> None:
        """Count texts that an earlier run has done."""
        self.skipped += count
        if self._bar:
            self._bar.shorten(count)

    def finish(self, paths: Sequence[Path]) -> None:
        """Print the paths of the files of a text, unless that would run into the bar."""
        if not (self._bar and sys.stdout.isatty()):
            try:
                show = visible if sys.stdout.isatty() else str  # a program is to find the files
                lines = "".join(f"{show(str(path))}\n" for path in paths)
                write_standard_output(lines.encode("utf-8", "surrogateescape"))
            except BrokenPipeError:  # whoever read the names has gone; the files are still wanted
                give_up_output()
        self.done += 1
        self.count(1)

    def fail(self, place: str | None, error: AttnvizError) -> None:
        """See `TextCount.fail`."""
        super().fail(place, error)
        self.failed += 1


def _word_interrupt(folder: Path, *, anew: bool) -> tuple[str, str]:
    """Return what to say after an interrupt: what the finished texts are, and what becomes of the others."""
    from attnviz.pipeline.manifest import MANIFEST  # which numbers do without

    if anew and (folder / MANIFEST).exists():
        return "saved again", "the other texts are not"
    return "done", f"the same command{' without --force' * anew} goes on from there"


def _make_bar(given: Input) -> "_Bar | None":
    """Return a bar if there may be several texts, and somebody sees it."""
    watched = not (given.single or QUIET.get()) and sys.stderr is not None and sys.stderr.isatty()
    return _Bar(_count(given)) if watched else None


class _Bar:
    """A progress bar on standard error, with the speed and the time left."""

    def __init__(self, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        rate = TextColumn("{task.fields[rate]}")
        self._all = total
        columns = BarColumn(), MofNCompleteColumn(), TextColumn("texts"), rate, TimeRemainingColumn()
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
        self._task = self.progress.add_task("", total=total, rate="")

    @property
    def total(self) -> int | None:
        """Return how many texts there are, None if that is not known."""
        return self._all

    def advance(self, count: int) -> None:
        """Show that so many more texts are done."""
        speed = self.progress.tasks[self._task].speed
        self.progress.update(self._task, advance=count, rate=f"{speed:,.1f}/s" if speed else "")

    def shorten(self, count: int) -> None:
        """Show a total that is smaller by this count."""
        total = self.progress.tasks[self._task].total
        self.progress.update(self._task, total=None if total is None else total - count)


def _count(given: Input) -> int | None:
    """Return the number of texts, or None if it cannot be known beforehand."""
    if given.file is not None:
        return sum(1 for _ in given.sources(note=lambda _: None)) if given.file.is_file() else None
    texts = given.texts or ()
    return None if not texts or STANDARD_INPUT in texts or any(map(names_saved, texts)) else len(texts)
