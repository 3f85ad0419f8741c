"""Numbers of heads as text that a browser unpacks: quantised, deflated, in base64, a chunk a layer."""

import base64
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from attnviz.measures.terms import find_log_sums
from attnviz.records import Attention, HeadMatrix, ScoreTerms, Weights
from attnviz.views.pooling import shrink

_FEW = 2**18
"""How many numbers are stored in 16 bits each; where there are more, in 8."""

_FEW_TERMS = 2**20
"""The same of queries and keys, whose products add up what each is off by."""

_THUMBNAIL = 32  # cells on either side of a small picture of a head, at most

_Codes = NDArray[np.uint8] | NDArray[np.uint16]


class Quantisation(Struct, frozen=True):
    """A number is `(code - zero) · step`, where its code has so many `bits`; the largest that can be is `peak`."""

    bits: int
    zero: int
    step: float
    peak: float

    @classmethod
    def fit(cls, numbers: Weights, bits: int, *, signed: bool) -> "Quantisation":
        """Return the quantisation of some numbers, which if they are `signed` lie on both sides of 0."""
        largest = 2**bits - 1
        zero = largest // 2 if signed else 0
        peak = float(max(numbers.max(initial=0), -numbers.min(initial=0))) or 1.0
        return cls(bits, zero, peak / (zero or largest), peak)

    def encode(self, numbers: Weights) -> _Codes:
        """Return the code of each number."""
        codes: _Codes = (np.rint(numbers / np.float32(self.step)) + self.zero).astype(f"<u{self.bits // 8}")
        return codes


class Packed(Struct, frozen=True):
    """The numbers of a record, packed.

    `layers` has a chunk for each layer: the codes [heads, queries, keys], or if `triangle`, of each query only those of
    the keys up to itself. `thumbnails` has the small pictures [layers, heads, *size] of all heads, in codes of 8 bits.
    """

    quantisation: Quantisation
    triangle: bool
    layers: tuple[str, ...]
    thumbnails: str
    size: tuple[int, int]
    terms: "PackedTerms | None" = None

    def named_chunks(self) -> Iterator[tuple[str, str]]:
        """Yield each chunk after its name."""
        yield "thumbnails", self.thumbnails
        yield from ((str(layer), chunk) for layer, chunk in enumerate(self.layers))
        for layer, terms in enumerate(self.terms.layers if self.terms else ()):
            for name, chunk in zip(("queries", "keys", "added"), terms.chunks, strict=True):
                yield f"{layer}-{name}", chunk

    @property
    def bytes(self) -> int:
        """Return how many characters the chunks have, which are bytes of a page."""
        return sum(len(chunk) for _, chunk in self.named_chunks())


class PackedLayer(Struct, frozen=True):
    """The score terms of a layer, packed.

    The chunks have the codes of queries and of keys, [heads, tokens, depth] each in its own quantisation, and in 32
    bits `added`: ln Σ exp(score) of each row [heads, queries], then the biases [heads, distances] if there are any.
    """

    scale: float
    depth: int
    queries: Quantisation
    keys: Quantisation
    chunks: tuple[str, str, str]


class PackedTerms(Struct, frozen=True):
    """The score terms of a record, packed: those of each of its layers, and the distance at which biases begin."""

    layers: tuple[PackedLayer, ...]
    first: int
    distances: int  # how many biases each head has


def pack_terms(record: HeadMatrix, terms: ScoreTerms) -> PackedTerms:
    """Return what the scores of a record are made of, packed; the terms are those of its layers, heads and tokens."""
    found = list(terms.layers.values())
    bits = 16 if sum(layer.queries.size + layer.keys.size for layer in found) <= _FEW_TERMS else 8
    layers = tuple(_pack_layer(terms, layer, record.weights[place], bits) for place, layer in enumerate(record.layers))
    biases = found[0].biases
    return PackedTerms(layers, terms.first, 0 if biases is None else biases.shape[1])


def _pack_layer(terms: ScoreTerms, layer: int, weights: Weights, bits: int) -> PackedLayer:
    own = terms.layers[layer]
    queries, keys = (Quantisation.fit(numbers, bits, signed=True) for numbers in (own.queries, own.keys))
    sums = [find_log_sums(*both) for both in zip(terms.head_scores(layer), weights, strict=True)]
    added = [*sums, *(() if own.biases is None else (own.biases,))]
    chunks = (
        _chunk(queries.encode(own.queries)),
        _chunk(keys.encode(own.keys)),
        _chunk(np.concatenate([one.ravel() for one in added]).astype("<f4")),
    )
    return PackedLayer(own.scale, own.queries.shape[-1], queries, keys, chunks)


def pack(record: HeadMatrix) -> Packed:
    """Return the numbers of a record, packed."""
    bits, signed = 16 if record.weights.size <= _FEW else 8, not isinstance(record, Attention)
    quantisation = Quantisation.fit(record.weights, bits, signed=signed)
    queries, keys = record.shape[2:]
    triangle = queries == keys > 1 and not any(np.triu(layer, 1).any() for layer in record.weights)
    small = shrink(record.weights, _THUMBNAIL, _THUMBNAIL)
    return Packed(
        quantisation,
        triangle,
        tuple(_chunk(codes) for codes in _encode_layers(record.weights, quantisation, triangle=triangle)),
        _chunk(Quantisation.fit(record.weights, 8, signed=signed).encode(small)),
        small.shape[2:],
    )


def _encode_layers(weights: Weights, quantisation: Quantisation, *, triangle: bool) -> Iterator[_Codes]:
    """Yield the codes of each layer: [heads, queries, keys], or [heads, pairs] of a triangle."""
    kept = np.tri(weights.shape[-1], dtype=bool) if triangle else ...
    for layer in weights:
        codes: Any = np.stack([quantisation.encode(head)[kept] for head in layer])
        yield codes


def _chunk(codes: _Codes | Weights) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(codes).tobytes(), 6)).decode()
