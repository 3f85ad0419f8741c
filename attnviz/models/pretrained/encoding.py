"""Encoding of texts as ids and tokens, with whatever tokenizer a model comes with."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from transformers import PreTrainedTokenizerBase

from attnviz.models.pretrained.languages import find_languages
from attnviz.models.token_names import TextSpan, Vocabulary, find_unknown
from attnviz.models.tokenization import find_places, make_segments
from attnviz.text import Segment, Span, Token, align_pieces, check_text

_MARKERS = re.compile(r"^(##|▁+|Ġ+)|(</w>|@@)$")
"""The marks in vocabularies of pieces that begin, continue or end a word."""

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
"""The name of a byte in a vocabulary."""

_OF_TWO_BYTES = "é"

Encoded = tuple[list[int], list[Token], list[int]]
"""Ids, tokens and token types."""


def encode(tokenizer: PreTrainedTokenizerBase, text: str, pair: str | None = None, *, added: bool = True) -> Encoded:
    """Return the ids, tokens and token types of a text or a pair, with special tokens `added` to it or without.

    Raises:
        TextError: a text is empty or not valid Unicode.
    """
    read = make_segments(text, pair)
    encoding = tokenizer(*(segment.text for segment in read), add_special_tokens=added, **_ASK)
    return _encode(tokenizer, read, encoding, lambda: [tokenizer(one.text, **_BARE)["input_ids"] for one in read])


def encode_target(tokenizer: PreTrainedTokenizerBase, target: str) -> tuple[list[int], list[Token]]:
    """Return the ids and tokens of what a decoder is to read, without the special tokens that end it.

    Raises:
        TextError: the text is empty or not valid Unicode.
    """
    encoding = tokenizer(text_target=check_text(target, "The target"), **_ASK)
    segment = Segment(target, 1)
    ids, tokens, _ = _encode(
        tokenizer, [segment], encoding, lambda: [tokenizer(text_target=target, **_BARE)["input_ids"]]
    )
    while tokens and tokens[-1].special:
        tokens.pop()
    return ids[: len(tokens)], tokens


_ASK: dict[str, Any] = {"return_attention_mask": False, "verbose": False}
_BARE: dict[str, Any] = _ASK | {"add_special_tokens": False}


def _encode(
    tokenizer: PreTrainedTokenizerBase, segments: Sequence[Segment], encoding: Any, bare: Callable[[], list[list[int]]]
) -> Encoded:
    ids = list(encoding["input_ids"])
    places = (
        find_places(encoding.encodings[0]) if tokenizer.is_fast else _find_slow_places(tokenizer, segments, ids, bare())
    )
    return ids, make_vocabulary(tokenizer).tokens(ids, places, segments), list(encoding.get("token_type_ids", ()))


def _find_slow_places(
    tokenizer: PreTrainedTokenizerBase, segments: Sequence[Segment], ids: list[int], bare: Sequence[list[int]]
) -> list[TextSpan | None]:
    """Return where each token stands, found by looking for its piece in the text; None for those that have been added.

    `bare` are the ids of each text without such.
    """
    places: list[TextSpan | None] = [None] * len(ids)
    start = 0
    for number, (segment, own) in enumerate(zip(segments, bare, strict=True)):
        start = next((i for i in range(start, len(ids)) if ids[i : i + len(own)] == own), start)
        spans = _find_spans(tokenizer, segment.text, ids[start : start + len(own)])
        places[start : start + len(own)] = [(number, span) for span in spans]
        start += len(own)
    return places


def _find_spans(tokenizer: PreTrainedTokenizerBase, text: str, ids: Sequence[int]) -> list[Span]:
    """Return where the pieces of a text stand in it, those between two special tokens by themselves."""
    known = make_vocabulary(tokenizer)
    spells_bytes = tokenizer.tokenize(_OF_TWO_BYTES) == [chr(byte) for byte in _OF_TWO_BYTES.encode()]
    pieces = ["" if id_ in known.special else _read_piece(tokenizer, id_, spells_bytes) for id_ in ids]
    spans: list[Span] = []
    start = 0
    for index, id_ in enumerate(ids):
        name = known.name_of(id_)
        if id_ in known.special and (begin := text.find(name, start)) >= 0:
            spans += _move(align_pieces(text[start:begin], pieces[len(spans) : index]), start)
            start = begin + len(name)
            spans.append((begin, start))
    return spans + _move(align_pieces(text[start:], pieces[len(spans) :]), start)


def _move(spans: Sequence[Span], by: int) -> list[Span]:
    return [(start + by, end + by) for start, end in spans]


def make_vocabulary(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """Return what a tokenizer calls its ids; special are those of languages too."""
    unknown = find_unknown(tokenizer.backend_tokenizer) if tokenizer.is_fast else tokenizer.unk_token_id
    if unknown in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id):  # a name for want of one
        unknown = None
    added = (id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special)
    special = {*tokenizer.all_special_ids, *added, *find_languages(tokenizer).values()} - {unknown}
    return Vocabulary(partial(name_id, tokenizer), special, unknown, len(tokenizer))


def _read_piece(tokenizer: PreTrainedTokenizerBase, id_: int, spells_bytes: bool) -> str | bytes | None:
    """Return what a piece of a vocabulary stands for: characters, or bytes of one; None if nobody knows."""
    if id_ == tokenizer.unk_token_id:
        return None
    name = name_id(tokenizer, id_)
    if spells_bytes and len(name) == 1:
        return bytes([ord(name)])
    if byte := _BYTE.fullmatch(name):
        return bytes.fromhex(byte[1])
    piece = _MARKERS.sub("", name)
    return piece if not piece or tokenizer.decode([id_]) else None


def name_id(tokenizer: PreTrainedTokenizerBase, id_: int) -> str:
    """Return what the vocabulary calls an id."""
    name = tokenizer.convert_ids_to_tokens(id_)
    return f"<{id_}>" if name is None else str(name)  # a network may know more ids than its tokenizer
