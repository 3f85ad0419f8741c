"""Records as the bytes of a file: the weights of a text, or of several, or numbers for each head."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec.structs import replace

from attnviz.errors import UsageError, require
from attnviz.formats.tables import PORTIONS, Table, encode_tables
from attnviz.formats.writing import FILES, Result
from attnviz.records import HeadMatrix, HeadTable, RelationTable
from attnviz.vocabulary import Kind

Records = HeadMatrix | Result | Sequence[HeadMatrix]
"""What one text came to: a record, several, or these with what was read."""

_ALONE = "npz"  # a format that has room for one text


def sort_out(
    records: Records | Table | Iterable[Records | Table], text: str | None = None
) -> tuple[Sequence[Result], Sequence[Table]]:
    """Return the results of the texts that weights are of, and the tables that were given; there is only one of these.

    `text` is the one text that the weights are of; where it is not told, it is what their tokens stand in.

    Raises:
        UsageError: there are both, or they are no such records.
    """
    given = list(records) if isinstance(records, Iterable) else [records]
    tables = [one for one in given if isinstance(one, HeadTable | RelationTable)]
    if tables and len(tables) == len(given):
        return [], tables
    if tables:
        raise UsageError("One file cannot hold both numbers for each head and weights: save them to two files.")
    weights = [one for one in given if not isinstance(one, HeadTable | RelationTable)]
    of_one_text = [one for one in weights if isinstance(one, HeadMatrix)]
    return _results([of_one_text] if len(of_one_text) == len(given) else weights, text), []


def encode_table_file(tables: Sequence[Table], form: str, others: Sequence[str] = ()) -> bytes:
    """Return the bytes of a file of this format that holds head tables.

    Raises:
        UsageError: there is no such format; the message names the `others` that could be drawn too.
    """
    _check_format(PORTIONS, form, "numbers for each head", others)
    return encode_tables(tables, form)


def encode_results(results: Sequence[Result], form: str, others: Sequence[str] = ()) -> bytes:
    """Return the bytes of a file of this format that holds the weights of a text, or of several.

    Raises:
        UsageError: there is no such format, it has no room for several texts; see `encode_table_file`.
    """
    formats = {**FILES, "jsonl": FILES["json"]}
    _check_format(formats, form, "weights", others)
    chosen = formats[form]
    if form == _ALONE and len(results) > 1:
        raise UsageError(
            f"An {form} file holds one text, and these are {len(results)}: save them as .jsonl, or each to its own "
            "file."
        )
    headers = dict.fromkeys(map(chosen.header, results))
    if len(headers) > 1:
        raise UsageError(f"A .{form} file has room for one measure, and these are of several: save them apart.")
    return b"".join((*headers, *map(chosen.encode, results)))


def _check_format(there: Collection[str], form: str, what: str, others: Sequence[str]) -> None:
    if form not in there:
        named = f"not as {form!r}" if form else "and the file's name has no suffix"
        known = ", ".join(f".{name}" for name in (*there, *others))
        raise UsageError(f"Cannot save: {what} are written as {known}, {named}.")


def _results(texts: Sequence[Records], text: str | None) -> list[Result]:
    """Return the results of some texts, numbered from 0; raise UsageError if a `text` is told of several."""
    if text is not None and len(texts) != 1:
        raise UsageError(f"One text was given, but these are records of {len(texts)} texts: leave the text out.")
    results = [_check_result(one) if isinstance(one, Result) else make_result(one) for one in texts]
    return [
        replace(result, index=index, text=result.text if text is None else text) for index, result in enumerate(results)
    ]


def _check_result(result: Result) -> Result:
    """Return a result as it is, after its records are found to be those of one text."""
    make_result(result.attention)
    return result


def list_records(given: object) -> Iterator[HeadMatrix]:
    """Yield the records in what `attend` or `read` returns, and in lists of such.

    Raises:
        UsageError: something else is among them.
    """
    if isinstance(given, HeadMatrix | Result):
        yield from (given,) if isinstance(given, HeadMatrix) else given.attention
        return
    require(given, Iterable, "give a record, what attend or read returns, or a list of these.")
    if isinstance(given, str | bytes):
        require(given, HeadMatrix, "give a record, what attend or read returns, or a list of these.")
    assert isinstance(given, Iterable)
    for one in given:
        yield from list_records(one)


def make_result(given: HeadMatrix | Sequence[HeadMatrix]) -> Result:
    """Return the result of a text of which nothing is there but the records: what was read is what tokens stand in.

    Raises:
        UsageError: they are no records of one text.
    """
    records = given if isinstance(given, Sequence) else [given]
    if not records or not all(isinstance(record, HeadMatrix) for record in records):
        raise UsageError(
            "Only records can be saved: give an Attention, a HeadTable, what attend returns, or a list of them."
        )
    held = [(record.kind, layer) for record in records for layer in record.layers]
    if len(set(held)) < len(held):
        raise UsageError("These records are of several texts: give a list for each, [model.attend(text), …].")
    found: dict[str, str] = {}
    for record in records:
        for tokens, decodes in (
            (record.query_tokens, record.kind is not Kind.ENCODER),
            (record.key_tokens, record.kind is Kind.DECODER),
        ):
            second = "target" if decodes else "pair"
            for source in (token.source for token in tokens if token.source):
                found.setdefault(second if source.number else "text", source.text)
    text = found.get("text", " ".join(token.text for token in records[0].key_tokens))
    return Result(0, text, records, found.get("pair"), found.get("target"))
