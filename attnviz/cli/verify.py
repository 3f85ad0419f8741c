"""`attnviz verify`: published figures of models, beside what is measured here."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from msgspec.structs import replace

from attnviz.cli import options
from attnviz.cli.completion import offer
from attnviz.cli.groups import group_options
from attnviz.cli.output import write_standard_output
from attnviz.cli.request import ModelChoice
from attnviz.cli.terminal import open_terminal
from attnviz.errors import write_options
from attnviz.formats.figures import FIGURES, list_fields
from attnviz.pipeline.checks import CHECKS
from attnviz.pipeline.verifying import find_checks
from attnviz.pipeline.verifying import verify as verify_models
from attnviz.records import Verified
from attnviz.views.terminal.figures import claim_lines, figure_rows, verdict_line
from attnviz.vocabulary import Verdict

_FORMATS = (options.TABLE, *FIGURES)

_Names = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        callback=options.check_typed,
        autocompletion=offer(lambda: (check.model for check in CHECKS.values())),
        help="Check only this model, and fetch it from the hub if it is not here. Give it again for another.  "
        "[default: all that are here]",
    ),
]


class CheckedModels(ModelChoice, frozen=True, kw_only=True):
    """The models that are checked, and how they are loaded."""

    model: _Names = None  # type: ignore[assignment]  # the same option, for any number of models


@group_options
def verify(
    models: CheckedModels,
    listing: Annotated[bool, typer.Option("--list", help="List the checks with their sources, and run none.")] = False,
    form: Annotated[str, options.choice(_FORMATS, "--format", line="Print tables, or data.")] = options.TABLE,
    color: options.Color = options.AUTO,
    width: options.Width = None,
) -> None:
    """Check models against published figures: a line a figure, with what is measured here and who published it.

    Reads no text. Without --model it takes the models that are here, and downloads none; the checks of others are
    skipped. Exits with 1 if a figure is off by more than its tolerance.

    \b
    attnviz verify
    attnviz verify --model builtin/decoder --model minilm
    attnviz verify --format json | jq 'select(.verdict != "passed")'
    attnviz verify --list
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    if listing:
        _list(models.model or (), color, width)
        return
    verified = verify_models(models.model or (), models.loading)
    found = (replace(one, reason=write_options(one.reason, options.flag)) for one in verified)
    if form == options.TABLE:
        done = _print(found, color, width)
    else:
        done = list(found)
        write_standard_output(FIGURES[form](row for one in done for row in list_fields(one)))
    if any(one.verdict is Verdict.FAILED for one in done):
        raise typer.Exit(1)


def _print(found: Iterator[Verified], color: str, width: int | None) -> list[Verified]:
    """Print the figures of each check as soon as they are there, and return all of them."""
    screen, done = open_terminal(color, width), list[Verified]()
    for one in found:
        done.append(one)
        screen.print(*figure_rows(one), "", sep="\n")
    screen.print(verdict_line(done))
    return done


def _list(names: Sequence[str], color: str, width: int | None) -> None:
    """Print what the checks of these models are, or all checks."""
    screen = open_terminal(color, width)
    for claim in [check for name in names for check in find_checks(name)] if names else CHECKS.values():
        screen.print(claim.name, style="bold")
        screen.print(claim_lines(claim), "")
