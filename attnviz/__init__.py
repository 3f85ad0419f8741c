"""attnviz: see what a transformer's attention heads look at.

What the command does can be done from Python: load a model, let it attend to a text, look at the weights.

Example:
    >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
    >>> attention.weights.shape  # [layers, heads, queries, keys]
    (4, 6, 6, 6)

- `load` returns a `Model`, whose `attend` gives an `Attention` for each `Kind`; `Selection` and `By` say of what.
- `statistics` gives numbers for each head of records, `heads` of many texts: a `HeadTable`; `STATISTICS` says which.
- `strongest` and `telling` find the links between words; `find` the heads that link two words, over many texts.
- `compare` says what differs between two records: a `Comparison`, with a `HeadMatrix` of differences.
- `save` and `read` are for files: NPZ, JSON, CSV. What one text came to is a `Result`.
- `plot` draws; a notebook shows a record, a table, or what `attend` returns, by itself.

Whatever a user can cause is an `AttnvizError`, whose message says what to do.
"""

from typing import TYPE_CHECKING, Any

from attnviz.display import Bundle, DisplayedList, draw_by
from attnviz.errors import checked

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.figure import Figure
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from attnviz.errors import AttnvizError
    from attnviz.formats.saving import Records
    from attnviz.formats.tables import Table
    from attnviz.formats.writing import Result
    from attnviz.measures.comparison import Comparison, compare
    from attnviz.measures.links import strongest, telling
    from attnviz.measures.statistics import STATISTICS
    from attnviz.models.model import Model
    from attnviz.models.passages import Overlong, Windows
    from attnviz.pipeline.job import Job
    from attnviz.records import Attention, HeadMatrix, HeadTable, Link, RelationTable, Selection
    from attnviz.text import Bins, By
    from attnviz.vocabulary import Kind

__all__ = [
    "STATISTICS",
    "Attention",
    "AttnvizError",
    "Bins",
    "By",
    "Comparison",
    "HeadMatrix",
    "HeadTable",
    "Kind",
    "Link",
    "Model",
    "RelationTable",
    "Result",
    "Selection",
    "__version__",
    "compare",
    "find",
    "heads",
    "load",
    "plot",
    "read",
    "save",
    "statistics",
    "strongest",
    "telling",
]
__version__ = "0.2.0"

_HOMES = {
    "errors": ("AttnvizError",),
    "formats.writing": ("Result",),
    "measures.comparison": ("Comparison", "compare"),
    "measures.links": ("strongest", "telling"),
    "measures.statistics": ("STATISTICS",),
    "models.model": ("Model",),
    "records": ("Attention", "HeadMatrix", "HeadTable", "Link", "RelationTable", "Selection"),
    "text": ("Bins", "By"),
    "vocabulary": ("Kind",),
}
"""The public names that other modules define, imported when they are asked for: `attnviz --help` waits for no NumPy."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Return what is public and made elsewhere."""
        from importlib import import_module

        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{home}"), name)
        raise AttributeError(f"attnviz has no {name!r}, only {', '.join(__all__)}.")


def _draw(shown: Any) -> Bundle:
    """Return what a notebook shows of a record; nothing is imported for it until one asks."""
    from attnviz.views.notebook import draw

    return draw(shown)


draw_by(_draw)


def __dir__() -> list[str]:
    """Return what is public."""
    return sorted(__all__)


@checked("name")
def load(
    name: "str | os.PathLike[str] | PreTrainedModel" = "builtin",
    tokenizer: "PreTrainedTokenizerBase | None" = None,
    *,
    engine: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    revision: str | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
    source_language: str | None = None,
    target_language: str | None = None,
) -> "Model":
    """Return the model of this name, ready to `attend` to texts: built in, in a folder, or on the Hugging Face hub.

    A model of transformers that is in memory already may stand for the name, with its tokenizer. From then on it is in
    evaluation mode, attends eagerly, and keeps no keys and values for later runs. The options are those of the command
    line, for models that are loaded by name; `engine` is "reference", "transformers", or None for the faster one.

    Raises:
        ModelError: there is no such model, or it cannot be loaded; the message says what to do.
        UsageError: it cannot be loaded in the way that was asked for.

    Example:
        >>> attnviz.load("builtin").attend("Mary lost her keys")
        [Attention(builtin/encoder, encoder, 4 layers × 6 heads, 6 queries × 6 keys)]
    """
    from attnviz.models.loading import Loading, read_engine
    from attnviz.models.registry import load_or_adopt

    loading = Loading(
        engine=read_engine(engine),
        device=device,
        dtype=dtype,
        revision=revision,
        offline=offline,
        trust_remote_code=trust_remote_code,
        source_language=source_language,
        target_language=target_language,
    )
    return load_or_adopt(name, tokenizer, loading)


def statistics(records: "Records | Iterable[Records]", names: "str | Sequence[str]" = ()) -> "list[HeadTable]":
    """Return numbers for each head of records, a table for each model and kind of attention.

    `names` are some of `STATISTICS`, all of them if none is named. Of several records of one model and kind, which are
    those of several texts, each number is the mean of theirs, as `attnviz heads` gives it for what is saved. They may
    be in lists, or in what `read` returns.

    Raises:
        UsageError: there is no such statistic, or these are no records.

    Example:
        >>> attention = attnviz.Attention.from_array([[1.0, 0.0], [0.25, 0.75]], ["the", "cat"])
        >>> (table,) = attnviz.statistics(attention, "same")
        >>> table["same"]  # [layers, heads]: the mean of 1 and 0.75
        array([[0.875]])
    """
    from attnviz.formats.saving import list_records
    from attnviz.measures.reducers import reduce_record
    from attnviz.measures.statistics import Statistics, find_statistics
    from attnviz.measures.totals import Totals

    wanted, totals = find_statistics(names), Totals()
    for record in list_records(records):
        totals.add(reduce_record(record, Statistics(record, wanted)))
    return DisplayedList(totals.tables())


@checked("model")
def heads(
    model: "Model",
    texts: "str | Iterable[str]",
    names: "str | Sequence[str]" = (),
    *,
    truncate: bool = False,
    window: "str | tuple[int, int] | None" = None,
    select: "Selection | None" = None,
    fail: "Callable[[str, AttnvizError], None] | None" = None,
) -> "list[HeadTable]":
    """Return numbers for each head over one text or many, a table for each kind of attention: those of `attnviz heads`.

    Texts are taken as they come, a few at a time, and no weights are kept. `names` are some of `STATISTICS`, all of
    them if none is named; a number is the mean of each text's number. A text that cannot be read is an error, unless
    there is a `fail`: it is told which text that is and why, and the others go on. Notes on a text are warnings. One
    that is longer than the model's positions is cut with `truncate`, or read in windows, such as `window="512:256"`.

    Raises:
        UsageError: the model has no such layer, head or kind, there is no such statistic, or these are no texts.
        TextError: a text is empty, not valid Unicode, or too long.

    Example:
        >>> texts = "Mary lost her keys", "The dog barked because it was hungry"
        >>> attnviz.heads(attnviz.load("builtin"), texts, ["entropy", "previous"])
        [HeadTable(builtin/encoder, encoder, 4 layers × 6 heads, 2 texts: entropy, previous)]
    """
    from attnviz.models.passages import Overlong, read_overlong
    from attnviz.pipeline.counting import Warner, total
    from attnviz.pipeline.outcomes import HeadNumbers
    from attnviz.pipeline.sources import sources_of
    from attnviz.pipeline.streams import divide

    overlong = read_overlong(truncate, window)
    task = HeadNumbers(_make_job(model, select, overlong), names)
    sources = sources_of(texts, divide(long=overlong is not Overlong.REFUSED))
    return DisplayedList(total(task, sources, 1, Warner(fail)).tables())


def _make_job(model: "Model", select: "Selection | None", overlong: "Overlong | Windows | None" = None) -> "Job":
    """Return the job of a model that is there already.

    Raises:
        UsageError: it is no model, or the choice is none.
    """
    from attnviz.errors import require
    from attnviz.models.model import ALL, Model
    from attnviz.models.passages import Overlong, Passage
    from attnviz.pipeline.job import Job
    from attnviz.records import Selection

    require(model, Model, "give the model that attnviz.load returns.")
    require(select or ALL, Selection, "choose as in attnviz.Selection(layers=(3,), heads=(0, 1)).")
    passage = Passage(text="", overlong=overlong or Overlong.REFUSED)
    return Job(model=model.card.name, ready=model, passage=passage, select=select or ALL)


@checked("model")
def find(
    model: "Model",
    link: str | None = None,
    texts: "str | Iterable[str] | None" = None,
    *,
    pairs: "Iterable[tuple[str, str, str]] | str | os.PathLike[str] | None" = None,
    relations: "str | os.PathLike[str] | None" = None,
    select: "Selection | None" = None,
    fail: "Callable[[str, AttnvizError], None] | None" = None,
) -> "list[HeadTable] | list[RelationTable]":
    """Return the heads that link words, best first, a table for each kind of attention: those of `attnviz find`.

    What to find is a `link` such as "it -> animal" in one text or many; or `pairs` of words, each as (text, from, to),
    or a TSV file of such; or the `relations` of a treebank, a file in CoNLL-U, which gives a `RelationTable`. A text
    that cannot be read or lacks the words is an error, unless there is a `fail`: it is told which text and why, and the
    others go on.

    Raises:
        UsageError: nothing is named to find, or more than one thing; or the model has no such layer, head or kind.
        TextError: a text lacks one of the words, or cannot be read.
        InputError: a file cannot be read.

    Example:
        >>> model = attnviz.load("builtin")
        >>> (table,) = attnviz.find(model, "her -> Mary", "Mary lost her keys")
        >>> table.listed()[0]  # the layer and the head that give this link the most weight
        (3, 1)
        >>> pairs = [("Mary lost her keys", "her", "Mary"), ("The dog barked because it was hungry", "it", "dog")]
        >>> (table,) = attnviz.find(model, pairs=pairs)
        >>> layer, head = table.listed()[0]
        >>> float(table["accuracy"][layer, head])
        1.0
    """
    from attnviz.pipeline.counting import Warner
    from attnviz.pipeline.finding import find_named

    counter = Warner(fail, calls=6)
    return DisplayedList[Any](find_named(_make_job(model, select), counter, link, texts, pairs, relations))


@checked()
def save(
    path: "str | os.PathLike[str]",
    records: "Records | Table | Iterable[Records | Table]",
    text: str | None = None,
) -> None:
    """Write records to a file, in the format that its name ends in: the bytes that the command writes for the same.

    Weights are written as .npz (one text), .json or .jsonl (a line a text), .csv or .tsv (a row a weight); numbers for
    each head as .json, .csv or .tsv. A list of records is one text, as `attend` returns it; a list of such lists, or of
    what `read` returns, is several. `text` is the text itself, where their tokens do not stand in one. Whether a target
    was written by the model, as the command tells it, is not known of what `attend` returns.

    Raises:
        UsageError: there is no such format for them, it has no room for several texts, or they are no such records.
        OutputError: the file cannot be written.

    Example:
        >>> model = attnviz.load("builtin")
        >>> attnviz.save("mary.npz", model.attend("Mary lost her keys"))
        >>> attnviz.save("both.jsonl", [model.attend(text) for text in ("Mary lost her keys", "The dog barked")])
        >>> attnviz.save("heads.csv", attnviz.heads(model, "Mary lost her keys"))
    """
    from pathlib import Path

    from attnviz.formats.saving import encode
    from attnviz.pipeline.files import write_file

    write_file(Path(path), [encode(records, Path(path).suffix.removeprefix(".").lower(), text)])


@checked()
def read(path: "str | os.PathLike[str]") -> "list[Result]":
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
    from dataclasses import replace
    from pathlib import Path

    from attnviz.formats.reading import READERS
    from attnviz.pipeline.sources import saved_in

    found = (READERS[source.saved](source.record()) for source in saved_in(Path(path)) if source.saved)
    return [replace(result, index=index) for index, result in enumerate(found)]


@checked()
def plot(
    attention: "HeadMatrix | HeadTable",
    layout: str = "grid",
    *,
    token: str | int | None = None,
    cmap: str = "ink",
    dpi: int | None = None,
    log: bool | None = None,
    title: str | None = None,
    annotate: bool = False,
    transpose: bool = False,
    figure_width: str | None = None,
    font: str | None = None,
    caption: bool = True,
    colorbar: bool = True,
    vmax: float | str | None = None,
) -> "Figure":
    """Return the picture that `attnviz export` saves of a record, as a figure of matplotlib; pyplot has no part in it.

    Of weights, `layout` is "grid" (all heads), "layer" (the heads of one layer) or "head" (one head); a `token`, by its
    word or its position, is drawn in all heads instead. A `HeadTable` has the picture of `--layout heads`. The other
    options are those of the command line. What cannot be shown as it was asked for is a warning. A notebook shows the
    figure; `savefig` saves it.

    Raises:
        UsageError: there is no such layout, colour map or font, or it takes more than one picture.
        TextError: there is no such token.

    Example:
        >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
        >>> attnviz.plot(attention.select(3, 0), "head", annotate=True).savefig("her.pdf")
        >>> attnviz.plot(attention, token="her").get_dpi()
        150
        >>> float(attnviz.plot(attention, figure_width="3.3in").get_figwidth().round(6))
        3.3
    """
    import warnings

    from attnviz.records import HeadTable
    from attnviz.views.image.fonts import FONT
    from attnviz.views.image.head_numbers import head_picture
    from attnviz.views.image.pictures import only_picture, show_in_notebook
    from attnviz.views.image.style import Style
    from attnviz.vocabulary import Orientation

    style = Style(
        cmap=cmap,
        dpi=dpi,
        log=log,
        title=title,
        annotate=annotate,
        orientation=Orientation(transpose),
        figure_width=figure_width,
        font=FONT if font is None else font,
        caption=caption,
        colorbar=colorbar,
        vmax=vmax,
    )
    if isinstance(attention, HeadTable):
        picture = show_in_notebook(head_picture(attention, style))
    else:
        picture = only_picture(attention, layout, None if token is None else str(token), style)
    for note in picture.notes:
        warnings.warn(note, stacklevel=2)
    return picture.figure
