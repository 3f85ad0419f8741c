"""The options of every command that looks at attention: texts, a model, and a choice of its weights."""

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from attnviz.cli import options
from attnviz.cli.output import open_standard_input, say
from attnviz.models.loading import Loading
from attnviz.models.passages import Passage, read_overlong
from attnviz.pipeline.arguments import names_saved
from attnviz.pipeline.job import MEMORY, Job
from attnviz.pipeline.sources import NO_TEXT, STANDARD_INPUT, sources
from attnviz.pipeline.streams import Division, Source
from attnviz.records import Selection
from attnviz.text import Grouping, read_grouping
from attnviz.vocabulary import Engine, Kind, Unit


class Input(Struct, frozen=True, kw_only=True):
    """The texts, and how they are read."""

    HEADING: ClassVar = "Input"

    texts: options.Texts = None
    file: options.File = None
    whole_file: options.WholeFile = False
    paragraphs: options.Paragraphs = False
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
        """Return whether exactly one text was given as an argument."""
        only = self.texts[0] if self.texts and len(self.texts) == 1 else STANDARD_INPUT
        return only != STANDARD_INPUT and not names_saved(only)

    def sources(self, memory: int = MEMORY, note: Callable[[str], None] = say) -> Iterator[Source]:
        """Return the texts, in order (see `pipeline.sources`); with --chat, JSON is a text and not a saved record.

        Of a saved record no more than `memory` bytes are kept. `note` is told of what may not have been meant.
        """
        stream = open_standard_input(asked_for=bool(self.file or self.texts))
        unit = Unit.FILE if self.whole_file else Unit.PARAGRAPH if self.paragraphs else Unit.LINE
        division = Division(unit, self.truncate or self.window is not None, memory)
        found = sources(self.texts or (), self.file, stream, note, division)
        return (replace(source, saved=None) for source in found) if self.chat else found

    def passage(self, text: str) -> Passage:
        """Return one text, with all that says how it is read.

        Raises:
            UsageError: both --truncate and --window were given.
        """
        return Passage(
            text=text,
            pair=self.pair,
            target=self.target,
            generate=self.generate,
            max_new_tokens=self.max_new_tokens,
            overlong=read_overlong(self.truncate, self.window),
            chat=self.chat,
            added_tokens=not self.no_added_tokens,
            bos=self.bos,
        )


def say_unless_nothing(note: str) -> None:
    """Say a note on texts, but not that none was read: for commands that fail without any, and say so."""
    if note != NO_TEXT:
        say(note)


class ModelChoice(Struct, frozen=True, kw_only=True):
    """The model, and how it is loaded."""

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

    @property
    def loading(self) -> Loading:
        """Return how the model is loaded."""
        chosen = {name: getattr(self, name) for name in Loading.__struct_fields__}
        return Loading(**chosen | {"engine": None if self.engine == options.AUTO else Engine(self.engine)})


class HeadChoice(Struct, frozen=True, kw_only=True):
    """The choice of heads."""

    HEADING: ClassVar = "Which heads"

    kind: options.Kinds = None
    layer: options.Layers = None
    head: options.Heads = None

    @property
    def selection(self) -> Selection:
        """Return the chosen kinds, layers and heads; each option may be given several times."""
        kinds = tuple(Kind(kind) for kind in self.kind or ()) or None
        return Selection(kinds, _together(self.layer), _together(self.head))


class Wanted(HeadChoice, frozen=True, kw_only=True):
    """The choice of weights, how tokens are grouped, and what is done to the weights."""

    HEADING: ClassVar = "Which weights"

    token: options.TokenName = None
    rows: options.Rows = None
    by: options.GroupedBy = None
    memory: options.Memory = MEMORY
    mean: options.Mean = False
    no_special: options.NoSpecial = False

    @property
    def selection(self) -> Selection:
        """Return the chosen kinds, layers and heads, and the rows."""
        return replace(super().selection, rows=tuple(self.rows or ()) or None)

    @property
    def grouping(self) -> Grouping | None:
        """Return the way to group tokens, if one was given."""
        return None if self.by is None else read_grouping(self.by)


def make_job(given: Input, model: ModelChoice, wanted: Wanted) -> Job:
    """Return the job: what to do with each text."""
    job = make_head_job(given, model, wanted, wanted.memory)
    return replace(job, by=wanted.grouping, mean=wanted.mean, no_special=wanted.no_special)


def make_head_job(given: Input, model: ModelChoice, wanted: HeadChoice, memory: int) -> Job:
    """Return the job: which heads of which model are looked at, and how texts are read."""
    return Job(
        model=model.model,
        loading=model.loading,
        passage=given.passage(""),
        select=wanted.selection,
        memory=memory,
        option=options.flag,
    )


def _together(chosen: Sequence[options.Indices] | None) -> tuple[int, ...] | None:
    return tuple(index for indices in chosen or () for index in indices) or None
