"""What every command that looks at attention is asked for: texts, a model, and which of its weights in which form."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from attnviz.cli import options
from attnviz.cli.numerics import start_numpy
from attnviz.cli.texts import STANDARD_INPUT, Source, names_saved, sources
from attnviz.errors import RecordError, UsageError

if TYPE_CHECKING:
    from attnviz.attention import Attention, Axes, Selection, Word
    from attnviz.cli.budget import Plan
    from attnviz.models.base import Model
    from attnviz.models.reading import Passage, Reading
    from attnviz.text import Grouping
    from attnviz.views.data.formats import Result


@dataclass(frozen=True, kw_only=True)
class Input:
    """The texts, and what is read along with each."""

    HEADING: ClassVar = "Input"

    texts: options.Texts = None
    file: options.File = None
    pair: options.Pair = None
    target: options.Target = None
    truncate: options.Truncate = False
    window: options.Window = None
    chat: options.Chat = False
    no_added_tokens: options.NoAddedTokens = False
    bos: options.Begin = False
    generate: options.Generate = 0
    max_new_tokens: options.MostNewTokens = 64

    @property
    def single(self) -> bool:
        """Whether exactly one text was given as an argument."""
        only = self.texts[0] if self.texts and len(self.texts) == 1 else STANDARD_INPUT
        return only != STANDARD_INPUT and not names_saved(only)

    @property
    def bare(self) -> bool:
        """Whether nothing is read along with the texts, and nothing else is asked for that takes a model."""
        return replace(self, texts=None, file=None) == Input()

    def sources(self) -> Iterator[Source]:
        """The texts, in order; see `texts.sources`. Of a chat, JSON is the text."""
        found = sources(self.texts or (), self.file)
        return (replace(source, saved=None) for source in found) if self.chat else found

    def passage(self, text: str) -> "Passage":
        """One of them, with what is read along.

        Raises:
            UsageError: what is too long is to be cut and read whole.
        """
        from attnviz.models.reading import Overlong, Passage, Windows

        if self.truncate and self.window:
            raise UsageError("A text is cut (--truncate) or read in windows (--window), not both.")
        overlong = Overlong.CUT if self.truncate else Overlong.REFUSED

        return Passage(
            text=text,
            pair=self.pair,
            target=self.target,
            generate=self.generate,
            max_new_tokens=self.max_new_tokens,
            overlong=Windows(*self.window) if self.window else overlong,
            chat=self.chat,
            added_tokens=not self.no_added_tokens,
            bos=self.bos,
        )


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which model reads the texts, and how it is loaded."""

    HEADING: ClassVar = "Model"

    model: options.ModelName = options.DEFAULT_MODEL
    engine: options.EngineName = options.AUTO
    device: options.Device = options.AUTO
    dtype: options.Precision = "float32"
    revision: options.Revision = None
    offline: options.Offline = False
    trust_remote_code: options.TrustRemoteCode = False
    source_language: options.SourceLanguage = None
    target_language: options.TargetLanguage = None

    @cached_property
    def loaded(self) -> "Model":
        """The model itself, loaded when the first text comes."""
        from attnviz import load

        asked = asdict(self)
        return load(asked.pop("model"), **asked | {"engine": None if self.engine == options.AUTO else self.engine})

    @cached_property
    def fingerprint(self) -> str:
        """What changes when the model's files do.

        Raises:
            ModelError: there is no such model.
        """
        from attnviz.models.fingerprint import fingerprint
        from attnviz.models.loading import Loading
        from attnviz.models.registry import locate

        where = Loading(revision=self.revision, offline=self.offline, trust_remote_code=self.trust_remote_code)
        return fingerprint(locate(self.model, where))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which weights, between what, and in which form."""

    HEADING: ClassVar = "Which weights"

    kind: options.Kinds = None
    layer: options.Layers = None
    head: options.Heads = None
    token: options.TokenName = None
    rows: options.Rows = None
    by: options.GroupedBy = None
    memory: options.Memory = options.MEMORY
    mean: options.Mean = False
    no_special: options.NoSpecial = False

    @cached_property
    def selection(self) -> "Selection":
        """The kinds, layers, heads and rows, each given any number of times."""
        from attnviz.attention import Kind, Selection

        kinds = tuple(Kind(kind) for kind in self.kind or ()) or None
        return Selection(kinds, _together(self.layer), _together(self.head), tuple(self.rows or ()) or None)

    def planned(self, axes: Sequence["Axes"]) -> "Plan":
        """Between what the weights of a text are kept, which are on these axes.

        Raises:
            TextError: they would take more memory than they may.
        """
        from attnviz.cli.budget import planned

        return planned(axes, self.grouping, self.memory, groupable=self.rows is None)

    @cached_property
    def grouping(self) -> "Grouping | None":
        """Between what the weights are to be, if it was said."""
        from attnviz.text import grouping

        return None if self.by is None else grouping(self.by)

    def formed(self, found: list["Attention"]) -> list["Attention"]:
        """The records in the form that was asked for."""
        if self.no_special:
            found = [attention.without_special() for attention in found]
        return [attention.mean() for attention in found] if self.mean else found


@dataclass(frozen=True)
class Request:
    """All of it."""

    given: Input
    model: ModelChoice
    wanted: Wanted

    def __post_init__(self) -> None:
        start_numpy()  # before anything that imports it, such as matplotlib

    def read(self, text: str) -> "Reading":
        """A text as the model reads it.

        Raises:
            TextError: the model cannot read it.
        """
        return self.model.loaded.read(self.given.passage(text))

    def plan(self, reading: "Reading") -> "Plan":
        """Between what the weights are to be kept; see `Wanted.planned`."""
        return self.wanted.planned(self.model.loaded.axes(reading, self.wanted.selection))

    def weights(self, readings: Sequence["Reading"], by: "Grouping") -> list[list["Attention"]]:
        """The records of readings of one size, one a kind, in the form that was asked for."""
        found = self.model.loaded.weights_of(readings, self.wanted.selection, by)
        return [self.wanted.formed(records) for records in found]

    def saved(self, source: Source, form: str) -> "Result":
        """What was saved of a text in some format, in the form that was asked for.

        Raises:
            RecordError: it cannot be read, breaks a promise, or does not hold what was asked for.
            UsageError: what was asked for takes a model.
        """
        from attnviz.cli.saved import narrowed, saved_result

        if not self.given.bare:
            raise UsageError(
                f"{source.place} holds saved weights, which no model reads: leave --pair, --target, --truncate, "
                "--window, --no-added-tokens, --bos, --generate and --max-new-tokens out."
            )
        result = saved_result(source, form)
        try:
            found = narrowed(result.attention, self.wanted.selection, self.wanted.grouping)
            return replace(result, attention=self.wanted.formed(found))
        except UsageError as error:  # the next record may hold it
            raise RecordError(str(error)) from error


def _together(chosen: Sequence[options.Indices] | None) -> tuple[int, ...] | None:
    return tuple(index for indices in chosen or () for index in indices) or None


def words_of(found: Sequence["Attention"], token: str) -> list[tuple["Attention", list["Word"]]]:
    """Where a word stands in each record that has it.

    Raises:
        TextError: none has.
    """
    from attnviz.text import not_found

    placed = [(attention, words) for attention in found if (words := attention.words(token))]
    if not placed:
        tokens = {token: None for attention in found for token in (*attention.key_tokens, *attention.query_tokens)}
        raise not_found(list(tokens), token)
    return placed


def rows_of(found: Sequence["Attention"], token: str | None) -> Sequence["Attention"]:
    """Only what one word looks at, the rows of all its occurrences among the queries, if one is named.

    Raises:
        TextError: there is no such word.
    """
    if not token:
        return found
    placed = [(attention, [i for word in words for i in word.queries]) for attention, words in words_of(found, token)]
    return [attention.rows(rows) for attention, rows in placed if rows]
