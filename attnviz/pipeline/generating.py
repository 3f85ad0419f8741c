"""Numbers for each head that need no text: probes of generated ones, and circuits of the model's weights."""

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import UsageError
from attnviz.measures.circuits import CIRCUITS
from attnviz.measures.labels import find_labels
from attnviz.measures.probes import PROBES, SEEDS, TOKENS, Probe, Probed
from attnviz.measures.totals import SharedHeads, Totals
from attnviz.models.generated import draw_ids, find_frame, repeat_ids
from attnviz.models.model import ALL, Model
from attnviz.models.passages import Reading
from attnviz.records import Column, HeadTable, Selection, find_named
from attnviz.text import By


class Generated(Struct, frozen=True, kw_only=True):
    """Numbers that need no text: probes, on random `tokens` from `SEEDS` seeds on from `seed`, and circuits."""

    probes: Sequence[str] = ()
    circuits: Sequence[str] = ()
    tokens: int = TOKENS
    seed: int = 0

    def __bool__(self) -> bool:
        """Return whether anything is."""
        return bool(self.probes or self.circuits)

    def tables(self, model: Model, select: Selection = ALL) -> list[HeadTable]:
        """Return the numbers of a model, a table for each kind of attention; of probes the mean over their texts.

        Raises:
            UsageError: the model cannot have such numbers; the message says why.
        """
        found: list[HeadTable] = []
        select = _of_one_sequence(model, select)
        probes = find_named(PROBES, self.probes, "probe") if self.probes else {}
        for copies in dict.fromkeys(probe.copies for probe in probes.values()):
            wanted = {name: probe for name, probe in probes.items() if probe.copies == copies}
            found = add_tables(found, self._probe(model, select, wanted, copies))
        if self.circuits:
            found = add_tables(found, compute_circuits(model, select, self.circuits))
        return found

    def _probe(self, model: Model, select: Selection, wanted: dict[str, Probe], copies: int) -> list[HeadTable]:
        frame = find_frame(model)
        drawn = (draw_ids(model, self.tokens, seed) for seed in range(self.seed, self.seed + SEEDS))
        readings: list[Reading] = [repeat_ids(model, ids, copies, frame) for ids in drawn]
        seeds = f"seeds {self.seed} to {self.seed + SEEDS - 1}"
        make = partial(Probed, wanted=wanted, tokens=self.tokens, sample=seeds)
        return list(Totals.of(chain.from_iterable(model.reduce(readings, select, make))).tables())


def compute_circuits(model: Model, select: Selection, names: Sequence[str]) -> list[HeadTable]:
    """Return numbers from the weights of a model alone, a table for each kind of attention.

    Raises:
        UsageError: what its heads move cannot be had.
    """
    found: list[HeadTable] = []
    words = model.runner.join_words()
    for part in model.card.select_parts(select):
        layers, heads = sorted(part.layers), sorted(part.heads)
        circuits = [model.runner.circuit(part.kind, layer) for layer in layers]
        columns: dict[str, Column] = {}
        for name, number in find_named(CIRCUITS, names, "number from weights alone").items():
            values = np.array([number.of_layer(circuit, words)[heads] for circuit in circuits])
            columns[name] = Column.of_one_text(values, number.sourced)
        shared = SharedHeads(model.card.name, part.kind, By.TOKEN, tuple(layers), tuple(heads))
        found.append(shared.make_table(0, columns))
    return found


def add_tables(tables: Sequence[HeadTable], others: Sequence[HeadTable]) -> list[HeadTable]:
    """Return tables with the columns of others, those of heads that they do not have after them; labelled anew."""
    axes = [table.axes for table in tables]
    apart = [other for other in others if other.axes not in axes]
    joined = [*(table.join(others) for table in tables), *(other.join(tables) for other in apart)]
    return [replace(table, labels=find_labels(table)) for table in _arrange(joined)]


def _arrange(tables: Sequence[HeadTable]) -> list[HeadTable]:
    """Return tables with their columns in one order."""
    names = list(dict.fromkeys(name for table in tables for name in table.columns))
    return [replace(table, columns={name: table.columns[name] for name in names}) for table in tables]


def _of_one_sequence(model: Model, select: Selection) -> Selection:
    """Return the same choice without cross-attention; raise UsageError if nothing else is left."""
    there = select.kinds_of(tuple(model.card.stacks), model.card.name)
    kinds = tuple(kind for kind in there if not kind.crosses)
    if not kinds or any(kind.crosses for kind in select.kinds or ()):
        raise UsageError(
            f"Cross-attention of {model.card.name} looks at another text, and a probe or the weights alone are of one:",
            hint="choose {kind:encoder} or {kind:decoder}, or another model.",
        )
    return replace(select, kinds=kinds)
