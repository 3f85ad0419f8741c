"""Tokenization of texts into ids and tokens, with a tokenizer of the tokenizers library."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from attnviz.errors import INTERRUPTS, ModelError
from attnviz.models.base import Card
from attnviz.models.lengths import check_length, read_beginning
from attnviz.models.passages import Passage, Reading
from attnviz.models.token_names import TextSpan, Vocabulary, find_unknown, warn_doubled
from attnviz.text import Segment, Token, check_text

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


_LONGEST = 2**28  # bytes of a tokenizer.json


def read_tokenizer(path: Path) -> "Tokenizer":
    """Return the tokenizer in a tokenizer.json.

    Raises:
        ModelError: the file is no tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        if path.stat().st_size > _LONGEST:
            raise ModelError(f"{path} has more than {_LONGEST:,} bytes, more than any tokenizer.")
        return Tokenizer.from_buffer(path.read_bytes())  # given a path, the library opens none that is not UTF-8
    except (ModelError, *INTERRUPTS):
        raise
    except BaseException as error:  # the library raises nothing more special, and may panic
        raise ModelError(f"{path} cannot be read as a tokenizer: {error}.") from error


class TextReader:
    """A tokenizer, or a tokenizer.json that is read when the first text comes.

    Where a text names a special token, such as `[MASK]`, that token is meant, unless `literal` says that it is text.
    Token types are given if it is `typed`.
    """

    def __init__(self, source: "Path | Tokenizer", *, literal: bool = False, typed: bool = False) -> None:
        self._source = source
        self._literal = literal
        self._typed = typed

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """Return the tokenizer itself, set to neither truncate nor pad, whatever was stored with it.

        Raises:
            ModelError: the file is no tokenizer.
        """
        source = self._source
        tokenizer = read_tokenizer(source) if isinstance(source, Path) else source
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = self._literal
        return tokenizer

    def read(self, passage: Passage, card: Card) -> Reading:
        """Return the ids and tokens of a text, or of the two of a pair, special tokens included, not cut yet.

        Of a long text that is to be cut, no more is read than `read_beginning` does.

        Raises:
            TextError: a text is empty, not valid Unicode, or too long and not to be cut.
            ModelError: the tokenizer fails.
        """
        return read_beginning(passage, card, partial(self._read, card=card))

    def _read(self, passage: Passage, card: Card) -> Reading:
        read = make_segments(passage.text, passage.pair)
        encoding = self._encoding([segment.text for segment in read], card, added=passage.added_tokens)
        check_length(len(encoding), passage, card)
        tokens = tuple(self.vocabulary.tokens(encoding.ids, find_places(encoding), read))
        types = tuple(encoding.type_ids) if self._typed else ()
        return warn_doubled(Reading(passage=passage, ids=tuple(encoding.ids), tokens=tokens, types=types))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Return its vocabulary."""
        added = self.tokenizer.get_added_tokens_decoder()
        special = {id_ for id_, token in added.items() if token.special}
        return Vocabulary(self.name_of, special, find_unknown(self.tokenizer), self.tokenizer.get_vocab_size())

    def written(self, ids: Sequence[int], first: int) -> tuple[str, list[Token]]:
        """Return the text that a model has written, less a blank before it, and its tokens; see `tokenize_written`."""
        vocabulary = replace(self.vocabulary, special=self.tokenizer.get_added_tokens_decoder())
        return tokenize_written(vocabulary, self._decode, ids, first)

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids))).lstrip()

    def name_of(self, id_: int) -> str:
        """Return what the vocabulary calls an id."""
        return self.tokenizer.id_to_token(id_) or f"<{id_}>"

    def _encoding(self, texts: list[str], card: Card, *, added: bool) -> "Encoding":
        first, second = texts[0], texts[1] if len(texts) > 1 else None
        tokenizer = self.tokenizer
        try:
            return tokenizer.encode(first, second, add_special_tokens=added)
        except INTERRUPTS:
            raise
        except BaseException as error:  # as of one that knows no token for what it does not know
            raise ModelError(f"The tokenizer of {card.name} cannot read this text: {error}.") from error


def tokenize_written(
    vocabulary: Vocabulary, decode: Callable[[Sequence[int]], str], ids: Sequence[int], first: int
) -> tuple[str, list[Token]]:
    """Return the text that a model has written, and its tokens, the first of which stands at the position `first`.

    The text is what the ids are decoded to, special ones left out. A token stands for what decoding it adds to the
    text; tokens that only together make a character share it, but one without which the text is the same, such as a
    blank that begins it, has no share.
    """

    def spell(some: Sequence[int]) -> str:
        return decode([id_ for id_ in some if id_ not in vocabulary.special])

    text = spell(ids)
    segment = Segment(text, 1)
    ends = [_count_common(spell(ids[: count + 1]), text) for count in range(len(ids))]
    tokens: list[Token] = []
    for index, id_ in enumerate(ids):
        if id_ in vocabulary.special:
            tokens.append(vocabulary.added(id_, first + index))
            continue
        start = max(ends[:index], default=0)
        needed = spell([*ids[:index], *ids[index + 1 :]]) != text
        end = next((end for end in ends[index:] if end > start), start) if needed else max(ends[index], start)
        tokens.append(vocabulary.token(id_, segment, (start, end), first + index))
    return text, tokens


def _count_common(start: str, text: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    return next((i for i, (a, b) in enumerate(zip(start, text, strict=False)) if a != b), min(len(start), len(text)))


def make_segments(text: str, pair: str | None) -> list[Segment]:
    """Return the text, or the two of a pair, if a model can read them.

    Raises:
        TextError: one is empty, or not valid Unicode.
    """
    first = Segment(check_text(text))
    return [first] if pair is None else [first, Segment(check_text(pair, "The second text"), 1)]


def find_places(encoding: "Encoding") -> list[TextSpan | None]:
    """Return where each token stands, as the tokenizer says itself; None for those that it has added."""
    parts = zip(encoding.sequence_ids, encoding.offsets, strict=True)
    return [None if number is None else (number, span) for number, span in parts]
