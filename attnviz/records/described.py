"""Descriptions of numbers: the common part of measures, statistics, probes and numbers from weights alone."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from attnviz.errors import UsageError, require

Kept = TypeVar("Kept", bound="Described")


class _Particulars(Struct, frozen=True, kw_only=True):
    formula: str = ""
    extent: str = ""
    high: str = ""


class Described(_Particulars, frozen=True):
    """A number in words: for each head, or for each query and key of a head.

    `source` says who defines it, `extent` how small and large it can be, `high` what a head does for which it is high.
    """

    definition: str
    source: str

    @property
    def sourced(self) -> str:
        """Return the definition and its source."""
        return f"{self.definition} ({self.source})"


def find_named(registry: Mapping[str, Kept], names: str | Sequence[str], what: str) -> dict[str, Kept]:
    """Return the entries of these names, in this order; all of them where none is named. `what` is one of them.

    Raises:
        UsageError: there is none of such a name.
    """
    names = (names,) if isinstance(names, str) else names
    require(names, Sequence, f"name {what}s as in ({', '.join(map(repr, registry))}).")
    for name in names:
        if not isinstance(name, str) or name not in registry:
            raise UsageError(f"There is no {what} {name!r}: choose {', '.join(registry)}.")
    return {name: registry[name] for name in names or registry}
