"""The `attnviz` command: its sub-commands, and the place where an error becomes a sentence."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NamedTuple, TextIO

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from attnviz import __version__
from attnviz.cli import completion
from attnviz.cli.groups import GroupedCommand
from attnviz.cli.options import QUIET, Debug, Quiet, wants_traceback
from attnviz.cli.output import complain, give_up_output, make_sayable
from attnviz.errors import AttnvizError, OutputError, find_interrupt, interrupt
from attnviz.pipeline.numerics import start_numpy

_LONGEST = 60  # characters of a text in a command to copy; part of it would be another text
_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}

COMMANDS: Mapping[str, str] = {
    "show": "Show what the heads of a model look at.",
    "browse": "Look at attention in the whole terminal, by keyboard and mouse.",
    "export": "Save attention as pictures, pages or data.",
    "heads": "Compute numbers for each head, over one text or many.",
    "find": "Find the heads that link one word to another.",
    "compare": "Show what differs between two texts, models or saved records.",
    "verify": "Check models against published figures.",
    "explain": "Explain one head for one token, step by step.",
    "cost": "Count what attention costs, and measure it.",
    "models": "List the models that can be loaded without the network.",
}
"""The help line of each command: a function in the module of the same name, imported when it is called."""


class Edge(TyperGroup):
    """The group of commands; it turns an error into one sentence on standard error."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the arguments; a shell that is named after an option on completion is the one that is meant.

        Without arguments, the help is what is said.
        """
        match args:
            case [] if not ctx.resilient_parsing:
                typer.echo(ctx.get_help(), err=True)
                raise typer.Exit(2)
            case [completion.INSTALL | completion.SHOW as option, shell]:
                completion.set_up(option, shell)
                raise typer.Exit
        try:
            return super().parse_args(ctx, args)
        except BrokenPipeError:  # nobody reads the help
            give_up_output()
            raise typer.Exit from None

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, without importing them."""
        return [*COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return the command of this name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        start_numpy()
        module = import_module(f"attnviz.cli.{cmd_name}")
        gc.freeze()  # what is loaded by now stays to the end
        return _make_command(cmd_name, getattr(module, cmd_name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is named first; where there is none, say what may have been meant."""
        name = args[0]
        if name not in COMMANDS:
            from attnviz.text import quote_argument  # not for `attnviz --help`

            near = get_close_matches(name, COMMANDS, n=1)
            text = quote_argument(name if len(name) <= _LONGEST else "")
            meant = f"Did you mean attnviz {near[0]}?" if near else f"For a text, type: attnviz show {text}"
            ctx.fail(f"No such command {name!r}. {meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse what stands before the name of the command."""
        with _readable_usage():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error ends here in a sentence, with its exit code, even one that nobody has foreseen."""
        try:
            if sys.stdout is None:
                raise OutputError("Standard output is closed: redirect it, for example to /dev/null.")
            try:
                with _readable_usage():
                    return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            give_up_output()
        except (TyperException, typer.Exit, typer.Abort, KeyboardInterrupt, SystemExit):  # typer knows what to do
            raise
        except BaseException as error:  # what Rust panics with is no Exception
            if ended := find_interrupt(error):  # as where an archive cannot be closed any more
                raise ended from None
            if wants_traceback(ctx):
                import traceback

                lines = traceback.format_exc().splitlines()  # which may quote what came from outside
                print(*map(make_sayable, lines), sep="\n", file=sys.stderr)
            raise typer.Exit(_explain(error)) from None


@cache
def _make_command(name: str, function: Callable[..., object]) -> Any:
    """Return the command that a function is; to find out its options takes milliseconds."""
    alone = typer.Typer(
        rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, context_settings=_SETTINGS
    )
    alone.command(name, cls=GroupedCommand)(function)
    return typer.main.get_command(alone)


@contextmanager
def _readable_usage() -> Iterator[None]:
    """Let whatever is quoted of the arguments be seen, and short enough to be read."""
    try:
        yield
    except TyperException as error:
        if hasattr(error, "message"):
            error.message = make_sayable(error.message)
        raise


def _explain(error: BaseException) -> int:
    """Say what went wrong, and return the exit code. An OSError here means that output could not be written."""
    if isinstance(error, AttnvizError):
        complain("Error: " + error.advice)
        return error.exit_code
    if isinstance(error, MemoryError):
        complain("Error: There is too little memory for this: give it less to do, or more memory.")
        return 1
    if isinstance(error, OSError):
        give_up_output()
        complain(f"Error: {error.filename or 'Standard output'}: {error.strerror or error}.")
        return 1
    complain(f"Error: attnviz has failed, and it should not have: {type(error).__name__}: {error}. {_REPORT}")
    return _SOFTWARE


_SOFTWARE = 70  # EX_SOFTWARE of sysexits.h
_REPORT = "Please report this with the command, and with what it prints if you add --debug."


app = typer.Typer(
    name="attnviz",
    cls=Edge,
    rich_markup_mode=None,  # rich's own help takes longer to import than everything else that --help needs
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"attnviz {__version__}")
        raise typer.Exit


@app.callback()
def attnviz(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """See what a transformer's attention heads look at."""


class Environment(NamedTuple):
    """The streams and environment variables that a command uses."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    variables: Mapping[str, str]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Use these streams and variables in all code, libraries included, until the context ends."""
        streams, variables = (sys.stdin, sys.stdout, sys.stderr), dict(os.environ)
        sys.stdin, sys.stdout, sys.stderr = self.stdin, self.stdout, self.stderr
        _set_variables(self.variables)
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr = streams
            _set_variables(variables)


def _set_variables(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def main(arguments: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run a command and return its exit code; by default with the arguments and environment of the process."""
    QUIET.set(False)
    with environment.entered() if environment else nullcontext():
        try:
            app(arguments, prog_name="attnviz")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 0
        except OSError as error:  # --help and --version write before there is a command to invoke
            return _explain(error)
    return 0


def run() -> None:
    """Run the console script."""
    if sys.stderr is None:  # what is said would go to standard output, or into the next file that is opened
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
    gc.set_threshold(100_000)  # importing makes much and drops little; looking through it again is felt
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # not for nohup
            signal.signal(number, _end)
    sys.exit(main())


def _end(number: int, frame: FrameType | None) -> None:
    """End by an interrupt, so that nothing half done is left."""
    interrupt(KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number))
