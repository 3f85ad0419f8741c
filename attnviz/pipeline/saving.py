"""Records in files, as Python saves and reads them: what the command exports for the same."""

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

from msgspec.structs import replace

from attnviz.errors import UsageError, checked, warn
from attnviz.formats.reading import READERS
from attnviz.formats.saving import Records, encode_results, encode_table_file, sort_out
from attnviz.formats.tables import Table
from attnviz.formats.writing import Result
from attnviz.pipeline.artifacts import Artifact, Maker, draw_numbers
from attnviz.pipeline.files import find_format, write_file
from attnviz.pipeline.sources import saved_in
from attnviz.records import HeadTable
from attnviz.vocabulary import IMAGE_FORMATS, PAGE_FORMATS, Layout


@checked()
def save(
    path: str | PathLike[str],
    records: Records | Table | Iterable[Records | Table],
    text: str | None = None,
) -> None:
    """Write records to a file, in the format that its name ends in: the bytes that the command writes for the same.

    Weights are written as .npz (one text), .json or .jsonl (a line a text), .csv or .tsv (a row a weight); as .html,
    the page of one text; as .png, .svg or .pdf, the picture of all heads of one record, which `plot` draws in other
    ways. Numbers for each head are written as .json, .csv or .tsv; or a picture of one table. What a page or a picture
    cannot show is a warning.

    A list of records is one text, as `attend` returns it; a list of such lists, or of what `read` returns, is several.
    `text` is the text itself, where their tokens do not stand in one. Whether a target was written by the model, as the
    command tells it, is not known of what `attend` returns.

    Raises:
        UsageError: there is no such format for them, it has no room for several texts, or they are no such records.
        OutputError: the file cannot be written.

    Example:
        >>> model = attnviz.load("builtin")
        >>> attnviz.save("mary.npz", model.attend("Mary lost her keys"))
        >>> attnviz.save("both.jsonl", [model.attend(text) for text in ("Mary lost her keys", "The dog barked")])
        >>> attnviz.save("heads.csv", attnviz.heads(model, "Mary lost her keys"))
        >>> attnviz.save("mary.html", model.attend("Mary lost her keys"))
    """
    results, tables = sort_out(records, text)
    file, heads = Path(path), [table for table in tables if isinstance(table, HeadTable)]
    form = find_format(file)
    if results:
        pieces = _take_only(_draw(results, form), file) if form in _DRAWN else [encode_results(results, form, _DRAWN)]
    elif heads and form in IMAGE_FORMATS:
        from attnviz.views.image.style import Style  # matplotlib

        pieces = _take_only(draw_numbers(heads, Style(), [form], warn), file)
    else:
        pieces = [encode_table_file(tables, form, IMAGE_FORMATS if heads else ())]
    write_file(file, pieces)


_DRAWN = (*IMAGE_FORMATS, *PAGE_FORMATS)


def _draw(results: Sequence[Result], form: str) -> Iterator[Artifact]:
    """Return the pictures of all heads, or the pages, of what some texts came to."""
    if form in PAGE_FORMATS:
        from attnviz.views.page.pages import PageStart

        maker = Maker((form,), Layout.GRID, None, opening=PageStart())
    else:
        from attnviz.views.image.style import Style  # matplotlib

        maker = Maker((form,), Layout.GRID, None, Style())
    for result in results:
        yield from maker.artifacts(result, lambda note: warn(note.removeprefix("Note: ")))


def _take_only(made: Iterator[Artifact], file: Path) -> Iterable[bytes]:
    """Return the pieces of the one file that was made; raise UsageError if there are several."""
    first = next(made)
    if next(made, None):
        raise UsageError(
            f"{file} is one file, but there are several to save: give the records of one text, and for a picture one "
            "record or table alone."
        )
    return first.pieces


@checked()
def read(path: str | PathLike[str]) -> list[Result]:
    """Return what is saved in a file of weights, .npz, .npy, .json or .jsonl, of attnviz or of another program.

    Each text is a `Result`: its `text`, its `attention` (a record for each kind), and `pair` and `target` where there
    were such.

    Raises:
        UsageError: no file of weights ends like that.
        InputError: the file cannot be read.
        RecordError: what it holds breaks a promise; the message says where.

    Example:
        >>> attnviz.save("mary.json", attnviz.load("builtin").attend("Mary lost her keys"))
        >>> (mary,) = attnviz.read("mary.json")
        >>> mary.text, mary.attention
        ('Mary lost her keys', [Attention(builtin/encoder, encoder, 4 layers × 6 heads, 6 queries × 6 keys)])
    """
    found = (READERS[source.saved](source.record()) for source in saved_in(Path(path)) if source.saved)
    return [replace(result, index=index) for index, result in enumerate(found)]
