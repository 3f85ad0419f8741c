"""Numbers of heads as text that a browser unpacks: quantised, deflated, in base64, a chunk a layer."""

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.records import Attention, HeadMatrix, Weights

_FEW = 2**18
"""How many numbers are stored in 16 bits each; where there are more, in 8."""

_THUMBNAIL = 32  # cells on either side of a small picture of a head, at most

_Codes = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Quantisation:
    """A number is `(code - zero) · step`, where its code has so many `bits`; the largest that can be is `peak`."""

    bits: int
    zero: int
    step: float
    peak: float

    @classmethod
    def of(cls, record: HeadMatrix, bits: int) -> "Quantisation":
        """Return the quantisation of a record's numbers: from 0 on for weights, to both sides of 0 for others."""
        largest = 2**bits - 1
        zero = 0 if isinstance(record, Attention) else largest // 2
        peak = float(max(record.weights.max(initial=0), -record.weights.min(initial=0))) or 1.0
        return cls(bits, zero, peak / (zero or largest), peak)

    def encode(self, numbers: Weights) -> _Codes:
        """Return the code of each number."""
        codes: _Codes = (np.rint(numbers / np.float32(self.step)) + self.zero).astype(f"<u{self.bits // 8}")
        return codes


@dataclass(frozen=True, slots=True)
class Packed:
    """The numbers of a record, packed.

    `layers` has a chunk for each layer: the codes [heads, queries, keys], or if `triangle`, of each query only those of
    the keys up to itself. `thumbnails` has the small pictures [layers, heads, *size] of all heads, in codes of 8 bits.
    """

    quantisation: Quantisation
    triangle: bool
    layers: tuple[str, ...]
    thumbnails: str
    size: tuple[int, int]

    @property
    def bytes(self) -> int:
        """Return how many characters the chunks have, which are bytes of a page."""
        return sum(map(len, self.layers)) + len(self.thumbnails)


def pack(record: HeadMatrix) -> Packed:
    """Return the numbers of a record, packed."""
    quantisation = Quantisation.of(record, 16 if record.weights.size <= _FEW else 8)
    queries, keys = record.shape[2:]
    triangle = queries == keys > 1 and not any(np.triu(layer, 1).any() for layer in record.weights)
    small = _pool(record.weights)
    return Packed(
        quantisation,
        triangle,
        tuple(_chunk(codes) for codes in _encode_layers(record.weights, quantisation, triangle=triangle)),
        _chunk(Quantisation.of(record, 8).encode(small)),
        small.shape[2:],
    )


def _encode_layers(weights: Weights, quantisation: Quantisation, *, triangle: bool) -> Iterator[_Codes]:
    """Yield the codes of each layer: [heads, queries, keys], or [heads, pairs] of a triangle."""
    kept = np.tri(weights.shape[-1], dtype=bool) if triangle else ...
    for layer in weights:
        codes: Any = np.stack([quantisation.encode(head)[kept] for head in layer])
        yield codes


def _pool(weights: Weights) -> Weights:
    """Return small pictures of all heads, in which the number furthest from 0 stands for its neighbours."""
    for axis in (-2, -1):
        length = weights.shape[axis]
        if length > _THUMBNAIL:
            starts = np.arange(_THUMBNAIL) * length // _THUMBNAIL
            high, low = (function.reduceat(weights, starts, axis) for function in (np.maximum, np.minimum))
            weights = np.where(high >= -low, high, low)
    return weights


def _chunk(codes: _Codes) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(codes).tobytes(), 6)).decode()
