"""Options without effect: what a command does not use in one of its settings, and refuses if it is given."""

from collections.abc import Iterator, Sequence

import typer

from attnviz.cli.options import is_typed
from attnviz.cli.settings import SETTINGS, SHAPE, Setting
from attnviz.errors import UsageError


def refuse_idle(ctx: typer.Context) -> None:
    """Raise UsageError if options were given on the command line that have no effect."""
    given = list_given(ctx)
    for setting in SETTINGS.get(str(ctx.info_name), ()):
        if setting.holds(ctx.params) and (idle := setting.find_idle(given)):
            raise UsageError(_say(ctx, setting, idle))


def list_given(ctx: typer.Context) -> list[str]:
    """Return the names of the parameters that were given on the command line."""
    return [name for name in ctx.params if is_typed(ctx, name)]


def _say(ctx: typer.Context, setting: Setting, idle: Sequence[str]) -> str:
    shape = _join([*_flags(ctx, [name for name in SHAPE if is_typed(ctx, name)])])
    about = {"form": ctx.params.get("form"), "shape": shape}
    instead = f", or {setting.instead.format(**about)}" if setting.instead else ""
    named, have = _join([*_flags(ctx, idle)]), "have" if len(idle) > 1 else "has"
    return f"{named} {have} no effect {setting.words.format(**about)}: leave {named} out{instead}."


def _flags(ctx: typer.Context, names: Sequence[str]) -> Iterator[str]:
    """Yield options as they are typed."""
    for parameter in ctx.command.params:
        if parameter.name in names:
            off = parameter.secondary_opts and ctx.params[str(parameter.name)] is False
            flags = parameter.secondary_opts if off else parameter.opts
            yield "the text" if parameter.param_type_name == "argument" else flags[-1]


def _join(flags: Sequence[str]) -> str:
    *first, last = flags or [""]
    return f"{', '.join(first)} and {last}" if first else last
