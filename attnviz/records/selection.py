"""A selection: which kinds, layers, heads and rows of attention are wanted."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral

from msgspec import Struct

from attnviz.errors import UsageError
from attnviz.records.blocks import find_runs
from attnviz.text import By, Grouping, Token, find_rows, find_unnamed, not_found
from attnviz.vocabulary import AVERAGE, Kind

LayerGroup = tuple[tuple[int, ...], tuple[int, ...]]
"""Layers that have the same heads, and these."""


_ENTRIES: Mapping[str, tuple[type, str]] = {
    "kinds": (Kind, "(Kind.CROSS,)"),
    "layers": (Integral, "(0, 3)"),
    "heads": (Integral, "(0, 3)"),
    "rows": (str, "('3-9', 'her')"),
}
"""The type of the entries in each field of a selection, and an example."""


class Selection(Struct, frozen=True):
    """A selection of kinds, layers, heads and query rows, 0-based; None stands for all of them.

    Rows are named: by position (`3`), range (`3-9`), or the word that stands there.

    Raises:
        UsageError: one of them is something else than a sequence of at least one such.

    Example:
        >>> select = attnviz.Selection(layers=(1, 3), heads=(0,), rows=("her",))
        >>> attnviz.load("builtin").attend("Mary lost her keys", select=select)
        [Attention(builtin/encoder, encoder, 2 layers × 1 heads, 1 queries × 6 keys)]
    """

    kinds: tuple[Kind, ...] | None = None
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    rows: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for field, (entry, example) in _ENTRIES.items():
            given = getattr(self, field)
            listed = isinstance(given, Sequence) and not isinstance(given, str)
            if given is not None and not (listed and given and all(isinstance(one, entry) for one in given)):
                raise UsageError(
                    f"A selection names {field} as in {field}={example}, not as {given!r}; None stands for all."
                )

    def check(self, by: Grouping) -> None:
        """Raise UsageError if both single rows and groups of tokens are wanted."""
        if self.rows is not None and by is not By.TOKEN:
            raise UsageError("Single rows are shown with all their keys: group tokens, or choose rows, but not both.")

    def kinds_of(self, there: Sequence[Kind], model: str) -> tuple[Kind, ...]:
        """Return the wanted kinds of a model that has these.

        Raises:
            UsageError: it has not one of them.
        """
        for kind in self.kinds or ():
            if kind not in there:
                listed = ", ".join(kind.value for kind in there)
                raise UsageError(f"{model} has no {kind.value} attention, only: {listed}.")
        return self.kinds or tuple(there)

    def groups_of(self, there: Sequence[LayerGroup], model: str) -> list[LayerGroup]:
        """Return the wanted layers and heads of a model that has these: groups of layers that have the same heads.

        Groups of which nothing is wanted are left out. So are, where no layers are named, those that lack the heads.

        Raises:
            UsageError: there is no such layer or head, or a layer that is named lacks one.
        """
        layers, heads = (_merge([group[axis] for group in there]) for axis in (0, 1))
        layers, heads = _choose(self.layers, layers, "layer", model), _choose(self.heads, heads, "head", model)
        found = [_intersect(group, layers, heads) for group in there]
        for (own, kept), (_, all_heads) in zip(found, there, strict=True):
            if own and self.layers is not None and self.heads is not None and len(kept) < len(heads):
                missing = next(head for head in heads if head not in kept)
                having = format_ranges(sorted(layer for group, others in there if missing in others for layer in group))
                raise UsageError(
                    f"There is no head {missing} in layer {own[0]} of {model}, which has heads "
                    f"{_format_all(all_heads)}: layers {having} have it."
                )
        return [(own, kept) for own, kept in found if own and kept] if len(there) > 1 else found

    def rows_of(self, queries: Sequence[Token]) -> tuple[int, ...]:
        """Return the indices of the wanted rows, in order; none if this text has none of them."""
        return tuple(range(len(queries))) if self.rows is None else find_rows(queries, self.rows)

    def check_rows(self, there: Sequence[Sequence[Token]]) -> None:
        """Raise TextError if a row that is wanted stands for no token in any of these sequences of queries."""
        if (missing := find_unnamed(there, self.rows or ())) is not None:
            raise not_found(list(dict.fromkeys(token for queries in there for token in queries)), missing)


def _merge(indices: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return all indices of some groups, in the order of the group if there is but one."""
    return indices[0] if len(indices) == 1 else tuple(sorted({index for each in indices for index in each}))


def _intersect(group: LayerGroup, layers: Sequence[int], heads: Sequence[int]) -> LayerGroup:
    """Return what a group has of these layers and heads, in their order."""
    own, kept = (
        [index for index in wanted if index in has] for wanted, has in zip((layers, heads), group, strict=True)
    )
    return tuple(own), tuple(kept)


def _choose(wanted: tuple[int, ...] | None, there: Sequence[int], axis: str, model: str) -> tuple[int, ...]:
    if wanted is None:
        return tuple(there)
    for index in wanted:
        if index not in there:
            only = f"only {axis} {there[0]}" if there[0] != AVERAGE else f"only the average of its {axis}s"
            has = f"{axis}s {_format_all(there)}" if len(there) > 1 else only
            raise UsageError(f"There is no {axis} {index}: {model} has {has}.")
    return tuple(dict.fromkeys(wanted))


def _format_all(indices: Sequence[int]) -> str:
    """Write all indices as `0 to 11`, or as `4,12` where some are left out."""
    first, last = indices[0], indices[-1]
    return f"{first} to {last}" if len(indices) == last - first + 1 else format_ranges(indices)


def format_ranges(indices: Iterable[int]) -> str:
    """Return indices as people write them: `0-3,5`."""
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in find_runs(indices))
