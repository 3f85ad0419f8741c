"""Saved records in place of texts: what is wanted of them, without a model."""

from collections.abc import Sequence
from dataclasses import replace

from attnviz.attention import Attention, Selection
from attnviz.cli.texts import Source
from attnviz.errors import RecordError
from attnviz.folds import group
from attnviz.text import By, Grouping, grouped
from attnviz.views.data.formats import Result
from attnviz.views.data.reading import READERS


def saved_result(source: Source, saved: str) -> Result:
    """The result that a source holds, in the format in which it was saved.

    Raises:
        RecordError: it cannot be read, or breaks a promise.
    """
    return replace(READERS[saved](source.record()), index=source.index)


def narrowed(found: Sequence[Attention], select: Selection, by: Grouping | None) -> list[Attention]:
    """What is wanted of records that are there already: as `Model.weights` has it, between tokens or groups of them.

    Raises:
        UsageError: they hold no such kind, layer or head; or rows of groups are wanted.
        TextError: they have none of the rows.
        RecordError: they are between other groups already.
    """
    select.check(by or By.TOKEN)
    kinds = select.kinds_of(tuple(dict.fromkeys(attention.kind for attention in found)), found[0].model)
    held = [part for kind in kinds for part in _selected([one for one in found if one.kind is kind], select)]
    select.check_rows([attention.query_tokens for attention in held])
    wanted = [_rows(attention, select) for attention in held if select.rows_of(attention.query_tokens)]
    return [_between(attention, by or attention.by) for attention in wanted]


def _selected(records: Sequence[Attention], select: Selection) -> list[Attention]:
    """The wanted layers and heads of the records of one kind, each of which holds layers of its own."""
    there = {layer: one for one in records for layer in one.layers}
    groups = select.groups_of([(one.layers, one.heads) for one in records], records[0].model)
    return [_of_group(there[layers[0]] if layers else records[0], layers, heads) for layers, heads in groups]


def _of_group(attention: Attention, layers: Sequence[int], heads: Sequence[int]) -> Attention:
    whole = (tuple(layers), tuple(heads)) == (attention.layers, attention.heads)
    return attention if whole else attention.select(layers, heads)


def _rows(attention: Attention, select: Selection) -> Attention:
    return attention if select.rows is None else attention.rows(select.rows_of(attention.query_tokens))


def _between(attention: Attention, by: Grouping) -> Attention:
    if by == attention.by:
        return attention
    if attention.by is not By.TOKEN:
        raise RecordError(f"The weights are between groups already ({attention.by.value}): leave --by out.")
    queries, keys = (grouped(tokens, by) for tokens in (attention.query_tokens, attention.key_tokens))
    return group(attention, queries, keys)
