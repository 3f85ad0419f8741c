"""The words that options, data formats and records share; nothing heavy is imported, so that commands can list them."""

from enum import Enum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AVERAGE = -1
"""The index of a layer or head that is the average of several."""

WEIGHT = "weight"
"""The measure of a record of attention weights: rows are distributions."""

DIFFERENCE = "difference"
"""The measure of a record of what is more, or less, in one record than in another."""

ROWS = 100
"""How many rows a table of weights has at most, unless all are asked for."""

PRECISIONS = "float64", "float32", "float16", "bfloat16"
"""The dtypes in which weights are computed."""

DTYPES = "float32", "bfloat16", "float16"
"""The dtypes in which a model of transformers can be asked to compute."""

IMAGE_FORMATS = "png", "svg", "pdf"

PAGE_FORMATS = ("html",)

SAVED = {".npz": "npz", ".npy": "npy", ".json": "json", ".jsonl": "json"}
"""The formats of files that are read in place of a text and a model, by the suffixes of their names."""

_Either = TypeVar("_Either")


class Kind(Enum):
    """A kind of attention: encoder and decoder tokens look at their own kind, or decoder tokens at the encoder's."""

    ENCODER = "encoder"
    DECODER = "decoder"
    CROSS = "cross"

    @property
    def rank(self) -> int:
        """Return its place among the kinds, by which tables are sorted."""
        return list(Kind).index(self)

    @property
    def crosses(self) -> bool:
        """Return whether queries and keys are two different sequences, whose positions are unrelated."""
        return self is Kind.CROSS


class By(Enum):
    """A unit to group tokens by."""

    TOKEN = "token"
    WORD = "word"
    SENTENCE = "sentence"
    SEGMENT = "segment"

    @property
    def unit(self) -> str:
        """Return what one of the groups is called."""
        return self.value


GROUPINGS = (*(by.value for by in By), "bins:N")
"""The groupings of tokens, as the command line names them."""


class Unit(Enum):
    """A unit of a file, or of standard input, that is one text."""

    LINE = "line"
    PARAGRAPH = "paragraph"
    FILE = "file"


class Engine(Enum):
    """The engine that computes the weights: the reference transformer, the transformers library, or an unknown one."""

    REFERENCE = "reference"
    TRANSFORMERS = "transformers"
    UNKNOWN = "unknown"


class PictureProtocol(Enum):
    """A way to show a picture in a terminal; blocks need no more than characters."""

    KITTY = "kitty"
    ITERM2 = "iterm2"
    BLOCKS = "blocks"


class Direction(Enum):
    """The direction in which an attention head follows the relation between a dependent word and its head word."""

    TO_HEAD = "to head"
    FROM_HEAD = "from head"


class Verdict(Enum):
    """The verdict on a published figure, or on all figures of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Layout(Enum):
    """The layout of a record's heads over pictures."""

    HEAD = "head"
    LAYER = "layer"
    GRID = "grid"


OF_NUMBERS = "heads"
"""The layout of numbers for each head, which takes no weights."""


class Orientation(Enum):
    """The orientation in which a head's weights are drawn; its value says whether they are transposed for that."""

    QUERIES_DOWN = False
    KEYS_DOWN = True

    def turn(self, weights: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Return the weights as they are drawn: [..., queries, keys] -> [..., rows, columns]."""
        return weights.swapaxes(-2, -1) if self is Orientation.KEYS_DOWN else weights

    def axes(self, queries: _Either, keys: _Either) -> tuple[_Either, _Either]:
        """Return what belongs to the queries and what to the keys, as what belongs to the rows and to the columns."""
        return (keys, queries) if self is Orientation.KEYS_DOWN else (queries, keys)

    def in_words(self, *, sink: bool) -> str:
        """Say what goes down, what across, and what sums to 1, or less if there is a `sink` that is not drawn."""
        down, across = self.axes("queries", "keys")
        line_of_a_query, _ = self.axes("rows", "columns")
        return f"{down} down, {across} across; {line_of_a_query} sum to {'at most 1' if sink else '1'}"
