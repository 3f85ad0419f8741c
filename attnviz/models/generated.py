"""Generated texts: random tokens of a model's vocabulary, said several times, as the model would read them."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from attnviz.errors import UsageError
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.text import Token, visible

_ANY = "a"  # a text, read for the special tokens round it


class Frame(Struct, frozen=True):
    """The special tokens that a model puts before a text and after it."""

    before: tuple[Token, ...]
    after: tuple[Token, ...]

    @property
    def width(self) -> int:
        """Return how many they are."""
        return len(self.before) + len(self.after)


def find_frame(model: Model) -> Frame:
    """Return the special tokens that a model puts round a text: of a decoder its own start token, if it has one."""
    return _frame(_read_any(model).tokens)


def _read_any(model: Model) -> Reading:
    passage = Passage(text=_ANY, target=_ANY if model.card.translates else None)
    if model.card.only_decodes:
        try:
            return model.read(replace(passage, bos=True))
        except UsageError:  # it has no token that begins texts
            pass
    return model.read(passage)


def _frame(tokens: Sequence[Token]) -> Frame:
    inner = [index for index, token in enumerate(tokens) if not token.added]
    first, last = (inner[0], inner[-1]) if inner else (len(tokens), len(tokens))
    return Frame(tuple(tokens[:first]), tuple(tokens[last + 1 :]))


def draw_ids(model: Model, count: int, seed: int) -> list[int]:
    """Return different random ids of the vocabulary, none of a special token, the same ones for the same seed.

    Raises:
        UsageError: the vocabulary has fewer.
    """
    ids = model.reader.vocabulary().ordinary
    if len(ids) < count:
        raise UsageError(
            f"The vocabulary of {model.card.name} has {len(ids):,} tokens that are not special, fewer than {count:,}:",
            hint=f"give {{tokens:{len(ids)}}} at most.",
        )
    return [int(id_) for id_ in np.random.default_rng(seed).choice(ids, count, replace=False)]


def repeat_ids(model: Model, ids: Sequence[int], copies: int, frame: Frame) -> Reading:
    """Return the reading of ids that are said several times, with special tokens round them.

    Raises:
        UsageError: the model reads fewer tokens, or knows fewer.
    """
    if (known := model.reader.vocabulary().size) <= max(ids):
        raise UsageError(
            f"The vocabulary of {model.card.name} has {known:,} tokens, none with the number {max(ids):,}."
        )
    length, most = frame.width + copies * len(ids), model.card.positions
    if most is not None and length > most:
        room = max((most - frame.width) // copies, 0)
        enough = f"give {{tokens:{room}}} at most." if room > 1 else "choose a model that reads more."
        raise UsageError(
            f"{model.card.name} reads at most {most:,} tokens; {len(ids):,} tokens said {copies} times are {length:,}:",
            hint=enough,
        )
    reading = _make_reading(model, frame, ids, copies)
    if model.card.translates and (target := _read_any(model).target):
        reading = replace(reading, target=_make_reading(model, Frame(_frame(target.tokens).before, ()), ids, copies))
    return reading


def _make_reading(model: Model, frame: Frame, ids: Sequence[int], copies: int) -> Reading:
    name_of = model.reader.vocabulary().name_of
    names = {id_: name_of(id_) for id_ in ids}
    said = [Token(visible(names[id_]), 0, id=id_, piece=names[id_]) for id_ in ids] * copies
    tokens = [replace(token, position=place) for place, token in enumerate((*frame.before, *said, *frame.after))]
    passage = Passage(text=" ".join(token.text for token in tokens))
    return Reading(passage=passage, ids=tuple(token.id or 0 for token in tokens), tokens=tuple(tokens))
