"""Numbers for each head, as Python asks for them: of records, of texts, and of the links between words."""

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any

from attnviz.display import DisplayedList
from attnviz.errors import AttnvizError, checked, require
from attnviz.formats.saving import Records, list_records
from attnviz.measures.head_statistics import Statistics
from attnviz.measures.reducers import reduce_record
from attnviz.measures.statistics import find_statistics
from attnviz.measures.totals import Totals
from attnviz.models.model import ALL, Model
from attnviz.models.passages import Overlong, Passage, Windows, read_overlong
from attnviz.pipeline.counting import Warner, total
from attnviz.pipeline.finding import find_asked
from attnviz.pipeline.job import Job
from attnviz.pipeline.outcomes import HeadNumbers
from attnviz.pipeline.sources import sources_of
from attnviz.pipeline.streams import Division
from attnviz.records import HeadTable, RelationTable, Selection


def statistics(records: Records | Iterable[Records], names: str | Sequence[str] = ()) -> list[HeadTable]:
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
    wanted = find_statistics(names)
    found = (reduce_record(record, Statistics(record, wanted)) for record in list_records(records))
    return DisplayedList(Totals.of(found).tables())


@checked("model")
def heads(
    model: Model,
    texts: str | Iterable[str],
    names: str | Sequence[str] = (),
    *,
    truncate: bool = False,
    window: str | tuple[int, int] | None = None,
    select: Selection | None = None,
    fail: Callable[[str, AttnvizError], None] | None = None,
) -> list[HeadTable]:
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
    overlong = read_overlong(truncate, window)
    task = HeadNumbers(_make_job(model, select, overlong), names)
    sources = sources_of(texts, Division(long=overlong is not Overlong.REFUSED))
    return DisplayedList(total(task, sources, 1, Warner(fail)).tables())


@checked("model")
def find(
    model: Model,
    link: str | None = None,
    texts: str | Iterable[str] | None = None,
    *,
    pairs: Iterable[tuple[str, str, str]] | str | PathLike[str] | None = None,
    relations: str | PathLike[str] | None = None,
    select: Selection | None = None,
    fail: Callable[[str, AttnvizError], None] | None = None,
) -> list[HeadTable] | list[RelationTable]:
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
    named = find_asked(_make_job(model, select), Warner(fail), link, texts, pairs, relations)
    return DisplayedList[Any](named)


def _make_job(model: Model, select: Selection | None, overlong: Overlong | Windows | None = None) -> Job:
    """Return the job of a model that is there already; raise UsageError if it is no model, or the choice is none."""
    require(model, Model, "give the model that attnviz.load returns.")
    require(select or ALL, Selection, "choose as in attnviz.Selection(layers=(3,), heads=(0, 1)).")
    passage = Passage(text="", overlong=overlong or Overlong.REFUSED)
    return Job(model=model.card.name, ready=model, passage=passage, select=select or ALL)
