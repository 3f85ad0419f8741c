"""From text to ids and tokens, with whatever tokenizer a model comes with."""

import re
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from attnviz.models.base import Card
from attnviz.models.lengths import check_length
from attnviz.models.pretrained.edge import quiet, translated
from attnviz.models.pretrained.languages import known_languages
from attnviz.models.reading import Passage, Reading
from attnviz.models.tokenization import segments, token_at
from attnviz.text import Segment, Span, Token, checked, spans_of_pieces, special_token

_MARKERS = re.compile(r"^(##|▁|Ġ)|(</w>|@@)$")
"""What pieces of words are told apart by, in the vocabularies of tokenizers."""

Encoded = tuple[list[int], list[Token], list[int]]
"""Ids, tokens and token types."""


class TransformersReader:
    """A tokenizer of transformers."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    def read(self, passage: Passage, card: Card) -> Reading:
        """See `Reader.read`."""
        with quiet(), translated("The text", f"read by {card.name}"):
            ids, tokens, types = encode(self._tokenizer, passage.text, passage.pair)
        check_length(len(ids), passage, card)
        return Reading(passage=passage, ids=tuple(ids), tokens=tuple(tokens), types=tuple(types))


def encode(tokenizer: PreTrainedTokenizerBase, text: str, pair: str | None = None) -> Encoded:
    """The ids, tokens and token types of a text or a pair, special tokens included.

    Raises:
        TextError: a text is empty or not valid Unicode.
    """
    read = segments(text, pair)
    return _encode(tokenizer, read, tokenizer(*(segment.text for segment in read), **_ASK))


def encode_target(tokenizer: PreTrainedTokenizerBase, target: str) -> tuple[list[int], list[Token]]:
    """The ids and tokens of what a decoder is to read, without the special tokens that end it.

    Raises:
        TextError: the text is empty or not valid Unicode.
    """
    encoding = tokenizer(text_target=checked(target, "The target"), **_ASK)
    ids, tokens, _ = _encode(tokenizer, [Segment(target, 1)], encoding)
    while tokens and tokens[-1].special:
        tokens.pop()
    return ids[: len(tokens)], tokens


_ASK: dict[str, Any] = {"return_special_tokens_mask": True, "return_attention_mask": False, "verbose": False}


def _encode(tokenizer: PreTrainedTokenizerBase, segments: Sequence[Segment], encoding: Any) -> Encoded:
    ids = list(encoding["input_ids"])
    names = tokenizer.convert_ids_to_tokens(ids)
    places = _of_fast(encoding) if tokenizer.is_fast else _of_slow(tokenizer, segments, ids)
    tokens = [
        special_token(name, position) if place is None else token_at(segments[place[0]], place[1], position, name)
        for position, (name, place) in enumerate(zip(names, places, strict=True))
    ]
    return ids, tokens, list(encoding.get("token_type_ids", ()))


Place = tuple[int, Span]
"""Which of the segments, and a stretch of it."""


def _of_fast(encoding: Any) -> list[Place | None]:
    """Where each token stands, as the tokenizer says itself; None for special tokens."""
    fast = encoding.encodings[0]
    special = zip(fast.special_tokens_mask, fast.sequence_ids, fast.offsets, strict=True)
    return [None if is_special or number is None else (number, span) for is_special, number, span in special]


def _of_slow(tokenizer: PreTrainedTokenizerBase, segments: Sequence[Segment], ids: list[int]) -> list[Place | None]:
    """Where each token stands, found by looking for its piece in the text; None for special tokens."""
    special = special_ids(tokenizer)
    left = [id_ for id_ in ids if id_ not in special]
    places: list[Place] = []
    for number, segment in enumerate(segments):
        count = len(tokenizer(segment.text, add_special_tokens=False)["input_ids"])
        own, left = (left[:count], left[count:]) if segment is not segments[-1] else (left, [])
        pieces = [_piece(tokenizer, id_) for id_ in own]
        places += [(number, span) for span in spans_of_pieces(segment.text, pieces)]
    there = iter(places)
    return [None if id_ in special else next(there) for id_ in ids]


def special_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The ids that stand for nothing in a text: special tokens, those of languages too, but not the unknown one."""
    return {*tokenizer.all_special_ids, *known_languages(tokenizer).values()} - {tokenizer.unk_token_id}


def _piece(tokenizer: PreTrainedTokenizerBase, id_: int) -> str | None:
    """The characters that a piece of a vocabulary stands for; None if nobody knows."""
    if id_ == tokenizer.unk_token_id:
        return None
    piece = _MARKERS.sub("", name_of(tokenizer, id_))
    return piece if not piece or tokenizer.decode([id_]) else None  # ByT5 has a piece for each byte of a character


def name_of(tokenizer: PreTrainedTokenizerBase, id_: int) -> str:
    """What the vocabulary calls an id."""
    name = tokenizer.convert_ids_to_tokens(id_)
    return f"<{id_}>" if name is None else str(name)  # a network may know more ids than its tokenizer
