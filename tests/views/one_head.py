from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console, ConsoleOptions
from rich.text import Text

from attnviz.text import Token
from attnviz.views.report import HeadWeights
from attnviz.views.terminal.matrix import matrix
from attnviz.vocabulary import Orientation
from tests.build import record


@dataclass
class Matrix:
    """The weights [queries, keys] of one head, without the title that stands above them, to be printed by rich."""

    weights: np.ndarray
    queries: Sequence[Token]
    keys: Sequence[Token]
    top: int
    orientation: Orientation = Orientation.QUERIES_DOWN

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        attention = record(queries=self.queries, keys=self.keys, weights=self.weights)
        return matrix(HeadWeights(attention, None, self.top, self.orientation), options.max_width)
