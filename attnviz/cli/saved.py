"""Saved records in place of texts: what is wanted of them, without a model."""

from collections.abc import Sequence
from dataclasses import replace

from attnviz.cli.texts import Source
from attnviz.errors import RecordError
from attnviz.formats.reading import READERS
from attnviz.formats.writing import Result
from attnviz.measures.reducers import group
from attnviz.records import Attention, Selection
from attnviz.text import By, Grouping


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
    there = {attention.kind: attention for attention in found}
    held = [there[kind] for kind in select.kinds_of(tuple(there), found[0].model)]
    select.check_rows([attention.query_tokens for attention in held])
    wanted = [_selected(attention, select) for attention in held if select.rows_of(attention.query_tokens)]
    return [_between(attention, by or attention.by) for attention in wanted]


def _selected(attention: Attention, select: Selection) -> Attention:
    if select.rows is not None:
        attention = attention.rows(select.rows_of(attention.query_tokens))
    layers = select.layers_of(attention.layers, attention.model)
    heads = select.heads_of(attention.heads, attention.model)
    whole = (layers, heads) == (attention.layers, attention.heads)
    return attention if whole else attention.select(layers, heads)


def _between(attention: Attention, by: Grouping) -> Attention:
    if by == attention.by:
        return attention
    if attention.by is not By.TOKEN:
        raise RecordError(f"The weights are between groups already ({attention.by.value}): leave --by out.")
    return group(attention, by)
