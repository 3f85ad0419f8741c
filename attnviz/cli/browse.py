"""`attnviz browse`: attention in the whole terminal, by keyboard and mouse."""

import os
import sys
from concurrent.futures import Future
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from attnviz.cli import options
from attnviz.cli.groups import group_options
from attnviz.cli.request import Input, ModelChoice, Wanted, make_job
from attnviz.errors import AttnvizError, UsageError, write_options
from attnviz.formats.writing import Result
from attnviz.pipeline.files import find_format, write_file
from attnviz.pipeline.outcomes import KeepWeights, Note, outcomes
from attnviz.pipeline.streams import Source
from attnviz.records import require_record, require_weights
from attnviz.vocabulary import Layout

if TYPE_CHECKING:  # textual, which comes with an extra
    from attnviz.views.screen.scene import OpenText, Scene


@group_options
def browse(
    given: Input,
    model: ModelChoice,
    wanted: Wanted,
    transpose: options.Transpose = False,
    color: options.Color = options.AUTO,
    mouse: Annotated[bool, typer.Option("--mouse/--no-mouse", help="Listen to the mouse, or leave it alone.")] = True,
) -> None:
    """Look at attention in the whole terminal, by keyboard and mouse.

    Shows all heads, one of them, the text and the numbers of a link. ? lists the keys, q leaves.

    \b
    attnviz browse "The animal didn't cross the street because it was too tired"
    attnviz browse --file lines.txt --model minilm
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    _check_terminal()
    texts = Texts(given, KeepWeights(make_job(given, model, wanted)))
    texts.read_ahead()
    colour = _set_colour(color)
    from attnviz.views.screen.browser import Browser
    from attnviz.views.screen.scene import State

    screen = Browser(
        texts.open,
        texts.read,
        texts.save,
        formats=list_formats,
        option=options.flag,
        first=State(turned=transpose),
        token=wanted.token,
        colour=colour,
        dark=not os.environ.get("COLORFGBG", "").endswith((";7", ";15")),
        encoding=sys.__stderr__.encoding if sys.__stderr__ else "utf-8",
    )
    if error := screen.run(mouse=mouse):
        raise error


def _check_terminal() -> None:
    """Raise UsageError if textual or a terminal is missing."""
    if find_spec("textual") is None:
        raise UsageError("browse needs textual, which is not installed: pip install 'attnviz[browse]'")
    streams = {"standard output": sys.stdout, "standard error, which it draws on,": sys.stderr}
    elsewhere = [name for name, stream in streams.items() if not stream.isatty()]
    if elsewhere or os.environ.get("TERM") == "dumb":
        missing = "this one is dumb (TERM=dumb)"
        if elsewhere:
            missing = f"{' and '.join(elsewhere)} {'go' if len(elsewhere) > 1 else 'goes'} elsewhere"
        raise UsageError(
            f"browse fills a terminal, but {missing}: run it in a terminal, or print tables with attnviz show."
        )


def _set_colour(color: str) -> bool:
    """Tell textual by the environment whether to use colour, and return it."""
    refused = os.environ.pop("NO_COLOR", "")
    if color == "never" or (refused and color != "always"):
        os.environ["NO_COLOR"] = "1"
    return "NO_COLOR" not in os.environ


class Texts:
    """The texts that were given, each read when it is asked for, and those that are typed; one at a time."""

    def __init__(self, given: Input, task: KeepWeights) -> None:
        self._task = task
        self._lock = Lock()
        self._seen: list[Source] = []
        self._ahead: Future[OpenText | None] | None = None
        self._notes: list[str] = []  # that are to be shown with the next text
        self._quiet = options.QUIET.get()  # which other threads do not know
        self._coming = iter(()) if _has_none(given) else given.sources(task.job.memory, self._notes.append)
        if not sys.stdin.isatty():  # the keyboard is read from the terminal, once the texts are
            self._coming = iter(list(self._coming))
            _take_keyboard()

    def read_ahead(self) -> None:
        """Begin to read the first text, beside the import of textual, which takes longer."""
        ahead = Future["OpenText | None"]()
        self._ahead = ahead

        def read() -> None:
            try:
                ahead.set_result(self._open(0))
            except BaseException as error:  # whatever it is, it is raised where the text is opened
                ahead.set_exception(error)

        Thread(target=read, daemon=True).start()

    def open(self, number: int) -> "OpenText | None":
        """Read the text of this number; None if there is no such one.

        Raises:
            AttnvizError: it cannot be read.
        """
        if number == 0 and (ahead := self._ahead) is not None:
            self._ahead = None
            return ahead.result()
        return self._open(number)

    def _open(self, number: int) -> "OpenText | None":
        with self._lock:
            while len(self._seen) <= number:
                source = next(self._coming, None)
                if source is None:
                    return None
                self._seen.append(source)
            return self._enter(self._seen[number], number)

    def read(self, text: str) -> "OpenText":
        """Read a text that was typed.

        Raises:
            AttnvizError: the model cannot read it.
        """
        with self._lock:
            return self._enter(Source(text.encode("utf-8", "surrogateescape")), None)

    def save(self, scene: "Scene", name: str) -> str:
        """Save the head of a scene as a picture or as data, by the suffix of the name, and say so.

        Raises:
            AttnvizError: it has no known suffix, or cannot be written.
        """
        from attnviz.cli.export import Looks  # like the formats: no start need wait for it

        path = Path(name).expanduser()
        form = find_format(path)
        if form not in list_formats():
            raise UsageError(f"{name} does not end in a format: choose .{', .'.join(list_formats())}.")
        result = Result(0, "", [scene.record])
        looks = Looks(layout=Layout.HEAD.value, transpose=scene.state.turned, log=scene.state.log or None)
        with self._lock:
            artifact = next(looks.maker((form,), None).artifacts(result, lambda note: None))
            write_file(path, artifact.pieces)
        return f"Saved {scene.name} as {path}"

    def _enter(self, source: Source, number: int | None) -> "OpenText":
        from attnviz.views.screen.scene import OpenText

        last: object = None
        for _, last in outcomes(self._task, [replace(source, index=0)]):
            if isinstance(last, Note):
                self._notes.append(write_options(last, options.flag))
        if isinstance(last, AttnvizError):
            raise last
        assert isinstance(last, Result)
        for record in last.attention:
            require_weights(record)
        notes, self._notes[:] = list(dict.fromkeys(self._notes)), []
        return OpenText(last.text, list(map(require_record, last.attention)), () if self._quiet else notes, number)


def list_formats() -> tuple[str, ...]:
    """Return the formats in which a head can be saved."""
    from attnviz.cli.export import FORMATS

    return FORMATS


def _has_none(given: Input) -> bool:
    """Return whether no text was given, so that one has to be typed."""
    return not given.texts and given.file is None and sys.stdin.isatty()


def _take_keyboard() -> None:
    """Let standard input be the terminal that standard output is."""
    with suppress(OSError):
        keyboard = os.open(os.ttyname(sys.stdout.fileno()), os.O_RDWR)
        os.dup2(keyboard, 0)
