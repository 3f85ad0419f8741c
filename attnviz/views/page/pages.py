"""The page of the records of one text: what it holds, within its budget, and how it opens."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from attnviz.measures.reducers import group_record
from attnviz.measures.word_rows import find_words
from attnviz.records import Attention, HeadMatrix, ScoreTerms, format_ranges
from attnviz.text import Bins, By, choose_spelled, visible
from attnviz.views.names import scaled
from attnviz.views.page.description import describe
from attnviz.views.page.document import write_document
from attnviz.views.page.packing import Packed, pack, pack_terms

_MOST_IN_COLUMNS = 60  # tokens that are first shown in two columns; more are read as prose

BUDGET = 25_000_000
"""How many bytes the numbers of a page may take."""


class PageStart(Struct, frozen=True, kw_only=True):
    """The state in which a page opens: a `token` that is locked, the scale, which axis goes down, and the title."""

    token: str | None = None
    log: bool | None = None
    transpose: bool = False
    title: str | None = None


class PageFile(Struct, frozen=True):
    """A page as a file, and `notes` on what it could not hold."""

    data: bytes
    notes: tuple[str, ...] = ()


def make_page(
    found: Sequence[HeadMatrix],
    text: str,
    opening: PageStart,
    budget: int = BUDGET,
    *,
    terms: Sequence[ScoreTerms] = (),
) -> PageFile:
    """Return the page of the records of one text, all kinds of them, with what their scores are made of if it is told.

    Records whose numbers would take more than the `budget` bytes are shown between stretches of the text.

    Raises:
        TextError: there is no such token as it is to open with.
    """
    shown, packed, notes = _fit(found, budget)
    packed, more = _add_terms(shown, packed, terms, budget)
    notes += more
    described = [
        describe(record, one, _name(record, shown), left_out="".join(more))
        for record, one in zip(shown, packed, strict=True)
    ]
    last = max((place for place, one in enumerate(described) if one["telling"]), default=0)
    data = {
        "text": visible(_title(found, text) if opening.title is None else opening.title),
        "records": described,
        "opening": {
            "record": last,
            "log": isinstance(shown[last].by, Bins) if opening.log is None else opening.log,
            "turned": opening.transpose,
            "words": any(None in side["gap"] for one in described for side in (one["queries"], one["keys"]) if side),
            "view": "links" if max(shown[last].shape[2:]) <= _MOST_IN_COLUMNS else "prose",
            **_find_token(found, shown, opening.token),
        },
        "notes": notes,
    }
    return PageFile(write_document(data, packed).encode(), notes)


def _title(found: Sequence[HeadMatrix], text: str) -> str:
    """Return the title of a page: its text, the target that a decoder reads of it, and an unusual measure."""
    sources = (token.source for record in found if record.kind.crosses for token in record.query_tokens)
    target = next((source.text for source in sources if source), "")
    measure = "" if found[0].meaning.usual else f"{found[0].measure.capitalize()}: "
    return f"{measure}{text}{f' … {target}' if target else ''}"


def _name(record: HeadMatrix, found: Sequence[HeadMatrix]) -> str:
    """Return what a record is called among others: its kind, and its layers if another is of that kind."""
    alike = sum(one.kind is record.kind for one in found) > 1
    return f"{record.kind.value}, layers {format_ranges(record.layers)}" if alike else record.kind.value


def _find_token(found: Sequence[HeadMatrix], shown: Sequence[HeadMatrix], token: str | None) -> dict[str, Any]:
    """Return which record has a token, on which side, and where it, or the group that it is in, is shown."""
    if not token:
        return {}
    record, words = find_words(found, token)[0]
    word = choose_spelled([word for word in words if word.queries] or words, token)
    place = next(i for i, one in enumerate(found) if one is record)
    position = record.pieces(word)[0].position
    tokens = shown[place].query_tokens if word.queries else shown[place].key_tokens
    index = max(i for i, one in enumerate(tokens) if one.position <= position)
    return {"record": place, "side": "query" if word.queries else "key", "token": index, "locked": True}


def _fit(found: Sequence[HeadMatrix], budget: int) -> tuple[Sequence[HeadMatrix], list[Packed], tuple[str, ...]]:
    """Return the records as the page shows them, packed; grouped into as many bins as fit where they are too large."""
    shown, packed = found, [pack(record) for record in found]
    whole = _size(packed)
    if whole <= budget:
        return shown, packed, ()
    there = f"The numbers of this page take {scaled(whole, 'B')}, and it has room for {scaled(budget, 'B')}"
    bins = max(max(record.shape[2:]) for record in found)
    if not any(record.by is By.TOKEN for record in found):
        return shown, packed, (f"{there}: it may open slowly. Choose layers or heads for a smaller one.",)
    while _size(packed) > budget and bins > 1:
        bins = max(int(bins * min((budget / _size(packed)) ** 0.5 * 0.95, 0.9)), 1)
        shown = [group_record(record, Bins(bins)) if record.by is By.TOKEN else record for record in found]
        packed = [pack(record) for record in shown]
    note = f"{there}: they stand between {bins} stretches of the text. For tokens choose layers or heads."
    return shown, packed, (note,)


def _add_terms(
    shown: Sequence[HeadMatrix], packed: list[Packed], terms: Sequence[ScoreTerms], budget: int
) -> tuple[list[Packed], tuple[str, ...]]:
    """Return the packed records with what their scores are made of, where that is told and there is room for all."""
    with_terms = [_pack_with_terms(record, one, terms) for record, one in zip(shown, packed, strict=True)]
    more = _size(with_terms) - _size(packed)
    if not more or _size(with_terms) <= budget:
        return with_terms, ()
    note = (
        f"Queries and keys would take {scaled(more, 'B')} more, and this page has room for {scaled(budget, 'B')}: they "
        "are left out. Choose layers or heads to see them."
    )
    return packed, (note,)


def _pack_with_terms(record: HeadMatrix, packed: Packed, terms: Sequence[ScoreTerms]) -> Packed:
    if not isinstance(record, Attention):
        return packed
    selected = (one.select(record) for one in terms)
    own = next((one for one in selected if one is not None), None)
    return packed if own is None else replace(packed, terms=pack_terms(record, own))


def _size(packed: Sequence[Packed]) -> int:
    return sum(one.bytes for one in packed)


if __name__ == "__main__":
    from attnviz.views.example import example_attention, write_example

    example = example_attention()
    text = " ".join(token.text for token in example.query_tokens)
    write_example(make_page([example], text, PageStart()).data, "example.html")
