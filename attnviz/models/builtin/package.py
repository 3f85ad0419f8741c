"""The common part of all built-in models: their files, what they refuse, how they write."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from attnviz.errors import UsageError
from attnviz.models.base import Card
from attnviz.models.builtin.shipped import TOKENIZER, read_card, read_weights
from attnviz.models.passages import Passage, no_begin_token
from attnviz.models.shapes import read_shape
from attnviz.models.stack_runner import StackRunner
from attnviz.models.tokenization import TextReader
from attnviz.reference.parameters import Parameters


class Package(Struct, frozen=True):
    """The files of a built-in model: its card, its tokenizer and its weights."""

    card: Card
    text: TextReader
    parameters: Parameters

    @classmethod
    def of(cls, folder: Path) -> "Package":
        """Return the files in a folder."""
        text = TextReader(folder / TOKENIZER, literal=True)
        return cls(read_card(folder), text, Parameters(read_weights(folder)))

    @property
    def stack(self) -> StackRunner:
        """Return the runner of a model that is one stack of layers."""
        return StackRunner(self.card, read_shape(self.card.config), self.parameters)

    def accept(self, passage: Passage) -> None:
        """Refuse what the model cannot read or write.

        Raises:
            UsageError: as in `Card.accept`; or there is no template for chats, or no token that begins texts.
        """
        self.card.accept(passage)
        name = self.card.name
        if passage.chat:
            raise UsageError(f"{name} has no chat template:", hint="leave {chat} out, or choose a chat model.")
        if passage.bos and not self.card.only_decodes:
            raise no_begin_token(name)


def write_greedily(
    following: Callable[[Sequence[int]], int], ids: Sequence[int], most: int, end: int | None
) -> tuple[list[int], bool]:
    """Return at most `most` ids after those given, and whether they came to an `end`, which is not among them.

    `following` gives the likeliest id after some; without an `end` there are always `most`.
    """
    written: list[int] = []
    while len(written) < most:
        id_ = following([*ids, *written])
        if id_ == end:
            return written, True
        written.append(id_)
    return written, False
