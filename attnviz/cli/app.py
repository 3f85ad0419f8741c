"""The `attnviz` command: its sub-commands, and the edge at which an error becomes a sentence."""

import gc
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from attnviz import __version__
from attnviz.cli.export import export
from attnviz.cli.models import models
from attnviz.cli.options import Debug, wants_traceback
from attnviz.cli.output import complain
from attnviz.cli.show import show
from attnviz.errors import AttnvizError, OutputError


class Edge(TyperGroup):
    """Runs a command and says in one sentence, on standard error, what went wrong."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; whatever a user can cause ends here, with its exit code."""
        try:
            if sys.stdout is None:
                raise OutputError("Standard output is closed: send it somewhere, if only to /dev/null.")
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            _give_up_output()
        except (AttnvizError, OSError) as error:
            if wants_traceback(ctx):
                traceback.print_exc()
            complain(f"Error: {_sentence(error)}")
            raise typer.Exit(getattr(error, "exit_code", 1)) from None


def _sentence(error: AttnvizError | OSError) -> str:
    """What was wrong; of what the system refused, where."""
    if isinstance(error, AttnvizError):
        return str(error)
    _give_up_output()
    return f"{error.filename or 'Standard output'}: {error.strerror}."


def _give_up_output() -> None:
    """Lets nothing more be written to standard output, not even when Python ends and flushes what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    name="attnviz",
    cls=Edge,
    no_args_is_help=True,
    rich_markup_mode=None,  # rich's own help takes longer to import than everything else that --help needs
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(show)
app.command()(export)
app.command()(models)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"attnviz {__version__}")
        raise typer.Exit


@app.callback()
def attnviz(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
    debug: Debug = False,
) -> None:
    """See what a transformer's attention heads look at."""


def run() -> None:
    """The console script."""
    gc.freeze()  # what is loaded by now stays to the end; not looking through it again is felt
    try:
        app()
    except OSError as error:  # --help and --version write before there is a command to invoke
        complain(f"Error: {_sentence(error)}")
        sys.exit(1)
