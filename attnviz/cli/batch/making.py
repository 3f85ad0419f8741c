"""The work itself: texts in, files out, in whichever process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attnviz.cli.artifacts import Artifact, Maker
from attnviz.cli.outcomes import Notice, Outcome, outcomes
from attnviz.cli.request import Request
from attnviz.cli.texts import FAILURES, Source
from attnviz.errors import AttnvizError


@dataclass(frozen=True, slots=True)
class Portion:
    """Texts that are read together, and the indices of those whose files are `due`.

    All of them are read whatever is due: which texts a model runs together can show in the last digits, and the files
    of a text are to be the same whenever they are made.
    """

    sources: Sequence[Source]
    due: frozenset[int]


@dataclass(frozen=True, slots=True)
class Made:
    """The files of the text with this index, what computed them, and what is to be said of them."""

    index: int
    text: str
    model: str
    engine: str
    artifacts: tuple[Artifact, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there are no files of the text with this index."""

    index: int
    error: AttnvizError


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be said at once, while a text is still being worked on."""

    note: str


@dataclass(frozen=True, slots=True)
class Making:
    """Makes files of texts, as a request and a maker say."""

    request: Request
    maker: Maker

    def __call__(self, portion: Portion) -> Iterator[Made | Failed | Said]:
        """What becomes of each text that is due, in order, and what is said of it before."""
        for outcome in outcomes(self.request, [portion.sources]):
            if outcome.source.index in portion.due:
                yield Said(outcome.text) if isinstance(outcome, Notice) else self._made(outcome)

    def _made(self, outcome: Outcome) -> Made | Failed:
        notes: list[str] = []
        try:
            result = outcome.result()
            artifacts = tuple(self.maker.artifacts(result, notes.append))
        except FAILURES as error:
            return Failed(outcome.source.index, error)
        first = result.attention[0]
        return Made(result.index, result.text, first.model, first.engine.value, artifacts, tuple(notes))
