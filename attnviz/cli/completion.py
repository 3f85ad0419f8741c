"""Completion in a shell: the values of an option, and the script that asks for them."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress

import typer

from attnviz.errors import AttnvizError

Offer = Callable[[str], list[str]]
"""A function that returns the values that begin like what has been typed."""


def offer(list_values: Callable[[], Iterable[str]]) -> Offer:
    """Return the completion of an option that takes one of these values, which are listed when they are asked for."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in dict.fromkeys(list_values()) if value.startswith(incomplete)]

    return complete


def offer_several(names: Collection[str]) -> Offer:
    """Return the completion of an option that takes names with commas between."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names if name.startswith(last)]

    return complete


def list_model_names() -> Iterator[str]:
    """Yield the names of models that are here: aliases, built-in and installed ones, and those in the hub's cache."""
    from attnviz.models.catalogue import list_models
    from attnviz.models.registry import ALIASES

    yield from ALIASES
    with suppress(AttnvizError):
        yield from (listing.name for listing in list_models())


def list_colour_maps() -> Iterator[str]:
    """Yield the names of colour maps, ours first."""
    from attnviz.views.image.style import list_colour_maps

    return list_colour_maps()


def list_font_families() -> list[str]:
    """Return the names of the font families that are installed."""
    from attnviz.views.image.fonts import list_families

    return list_families()


def set_up(option: str, shell: str) -> None:
    """Install the completion for a shell, or print its script, as an option says.

    Raises:
        BadParameter: there is none for this shell.
    """
    from typer.completion import (  # type: ignore[attr-defined]  # typer names no list of what is public
        Shells,
        get_completion_script,
        install,
    )

    shells = [each.value for each in Shells]
    if shell not in shells:
        raise typer.BadParameter(f"{shell!r} is not a shell that is known: choose {', '.join(shells)}.")
    if option == SHOW:
        typer.echo(get_completion_script(prog_name=_PROGRAM, complete_var=_VARIABLE, shell=shell))
        return
    _, path = install(shell, _PROGRAM, _VARIABLE)
    typer.echo(f"The completion for {shell} is installed in {path}: start a new shell to use it.")


INSTALL, SHOW = "--install-completion", "--show-completion"
_PROGRAM, _VARIABLE = "attnviz", "_ATTNVIZ_COMPLETE"
