"""A model, to the rest of the house: it reads texts, and runs them through reducers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from attnviz.display import DisplayedList
from attnviz.errors import checked, require
from attnviz.measures.reducers import Make, OfRows, Reducer, Result, make_keeper
from attnviz.models.base import Card, Reader, Runner
from attnviz.models.passages import Passage, Reading, find_rows_among, read_overlong
from attnviz.records import Attention, Axes, Block, Each, HeadMatrix, Selection, find_runs, require_record
from attnviz.reference.trace import Trace
from attnviz.text import By, Grouping, read_grouping
from attnviz.vocabulary import Engine, Kind

ALL = Selection()

_ONE_TEXT = (
    "attend reads one text. For several write [model.attend(text) for text in texts], or attnviz.heads(model, texts) "
    "for numbers of each head."
)

Choose = Callable[[Sequence[Reading]], Runner]
"""A function that chooses the runner for some readings, where a model has more than one."""


class Model(Struct, frozen=True, eq=False):
    """A model: what can be said of it, what turns text into tokens, and tokens into blocks of attention weights.

    The `runner` is what explains; it also runs the readings, unless there is a function to `choose` what does.
    """

    card: Card
    reader: Reader
    runner: Runner
    choose: Choose | None = None

    def __repr__(self) -> str:
        """Return which model this is, and on which engine, without its numbers."""
        return f"Model({self.card.name}, {self.engine.value} engine)"

    @property
    def engine(self) -> Engine:
        """Return the engine that computes the weights, where there is no choice."""
        return self.runner.engine

    def read(self, passage: Passage) -> Reading:
        """Return the tokens of a passage, as `Reader.read` does."""
        return self.reader.read(passage)

    @checked("text")
    def attend(
        self,
        text: str,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int = 0,
        chat: bool = False,
        added_tokens: bool = True,
        bos: bool = False,
        truncate: bool = False,
        window: str | tuple[int, int] | None = None,
        select: Selection = ALL,
        by: str | Grouping = By.TOKEN,
    ) -> list[Attention]:
        """Return the attention weights of a text, one record a kind; for what may be asked of it, see `Passage`.

        A text that is longer than the model's positions is cut with `truncate`, or read in windows of some tokens, one
        every so many: `window="512:256"`.

        `select` chooses kinds, layers, heads and rows; `by` groups tokens: "word", "sentence", "segment", "bins:256".

        Raises:
            UsageError: this is not one text, or the model takes no second one, no target, or has no such layer, head or
                kind.
            TextError: as in `Reader.read`.

        Example:
            >>> model = attnviz.load("builtin/translator")
            >>> encoder, decoder, cross = model.attend("The red car is fast", target="la voiture rouge est rapide")
            >>> cross
            Attention(builtin/translator, cross, 2 layers × 4 heads, 6 queries × 6 keys)
            >>> select = attnviz.Selection(layers=(3,), heads=(0, 5), rows=("her",))
            >>> attnviz.load("builtin").attend("Mary lost her keys", select=select)
            [Attention(builtin/encoder, encoder, 1 layers × 2 heads, 1 queries × 6 keys)]
        """
        for given in (text, *(one for one in (pair, target) if one is not None)):
            require(given, str, _ONE_TEXT)
        require(select, Selection, "choose as in attnviz.Selection(layers=(3,), heads=(0, 1)).")
        passage = Passage(
            text=text, pair=pair, target=target, generate=generate, chat=chat, added_tokens=added_tokens, bos=bos,
            overlong=read_overlong(truncate, window),
        )  # fmt: skip
        records = self.weights(self.read(passage), select, read_grouping(by))
        return DisplayedList(map(require_record, records))

    def weights(self, reading: Reading, select: Selection = ALL, by: Grouping = By.TOKEN) -> list[HeadMatrix]:
        """Return the attention weights of what was read, one record a kind, between tokens or groups of them.

        Raises:
            UsageError: the model has no such layer, head or kind.
            TextError: the text has none of the rows.
        """
        select.check(by)
        (found,) = self.weights_of([reading], select, by)
        return found

    def weights_of(
        self, readings: Sequence[Reading], select: Selection = ALL, by: Grouping = By.TOKEN
    ) -> list[list[HeadMatrix]]:
        """Return the same for several readings of one `size`, which are run together."""
        return self.reduce(readings, select, partial(make_keeper, by=by))

    def reduce(self, readings: Sequence[Reading], select: Selection, make: Make[Result]) -> list[list[Result]]:
        """Run readings of one `size` together, and return for each what the reducers of its records come to.

        Raises:
            UsageError: the model has no such layer, head or kind.
            TextError: the text has none of the rows.
        """
        return self.reduce_each(readings, select, [make] * len(readings))

    def reduce_each(
        self, readings: Sequence[Reading], select: Selection, makes: Sequence[Make[Result]]
    ) -> list[list[Result]]:
        """Return the same, where each reading has reducers of its own.

        Raises:
            UsageError: the model has no such layer, head or kind.
            TextError: the text has none of the rows.
        """
        model = self._settle(readings)
        reducers = [model._make_reducers(reading, select, make) for reading, make in zip(readings, makes, strict=True)]
        parts = [(text, part) for text, reading in enumerate(readings) for part in reading.parts]
        at_once = max(model.runner.tokens_at_once // max(len(parts[0][1].ids), 1), 1)
        for first in range(0, len(parts), at_once):
            model._feed(parts[first : first + at_once], select, reducers)
        return [[reducer.result() for reducer in dict.fromkeys(own.values())] for own in reducers]

    def _make_reducers(
        self, reading: Reading, select: Selection, make: Make[Result]
    ) -> dict[tuple[Kind, int], Reducer[Result]]:
        """Make a reducer for each record, and return it for each of the layers that the record is to hold."""
        reducers: dict[tuple[Kind, int], Reducer[Result]] = {}
        for axes, rows in self._list_records(reading, select):
            reducer = make(axes)
            if select.rows is not None:
                reducer = OfRows(reducer, rows)
            reducers |= {(axes.kind, layer): reducer for layer in axes.layers}
        return reducers

    def _feed(
        self,
        parts: Sequence[tuple[int, Reading]],
        select: Selection,
        reducers: Sequence[Mapping[tuple[Kind, int], Reducer[Any]]],
    ) -> None:
        """Run parts of readings, whose numbers are given, and let the reducers consume the blocks."""

        def update(block: Block) -> None:
            for number, (text, part) in enumerate(parts):
                reducer = reducers[text].get((block.kind, block.layer))
                if reducer is not None:  # a text has none where it lacks the rows
                    reducer.update(part.place_block(block.of_text(number)))

        wanted = select if parts[0][1].own is None else replace(select, rows=None)  # rows are counted in the whole
        self.run([part for _, part in parts], wanted, update)

    def run(self, readings: Sequence[Reading], select: Selection, each: Each) -> None:
        """Hand over the wanted blocks of some readings, as `Runner.run` does.

        Raises:
            UsageError: the model has no such layer, head or kind.
        """
        parts = [
            replace(part, rows=tuple(find_runs(find_rows_among(readings, part.kind, select))))
            for part in self.card.select_parts(select)
        ]
        self._settle(readings).runner.run(readings, parts, each)

    def trace(self, reading: Reading, kind: Kind, layer: int, query: int) -> Trace:
        """Return what one layer computes for one query, as `Runner.trace` does.

        Raises:
            UsageError: there is no such layer, or the model shows nothing but its weights.
        """
        self.card.select_parts(Selection(kinds=(kind,), layers=(layer,)))
        return self.runner.trace(reading, kind, layer, query)

    def without(self, *, positions: bool = False, mask: bool = False) -> "Model":
        """Return the same model without its positions, or without the mask that hides what comes after a token.

        Raises:
            UsageError: that part of it cannot be left out.
        """
        return replace(self, runner=self.runner.without(positions=positions, mask=mask), choose=None)

    def untrain(self, seed: int) -> "Model":
        """Return the same model with arrays drawn at random, as before training.

        Raises:
            UsageError: its arrays cannot be replaced.
        """
        return replace(self, runner=self.runner.untrain(seed), choose=None)

    def axes(self, reading: Reading, select: Selection) -> list[Axes]:
        """Return the axes of each record that is wanted; where rows are named, of those kinds that have such rows.

        There is a record for each kind, or where the layers of a kind have different heads, for those with the same.

        Raises:
            UsageError: the model has no such layer, head or kind.
            TextError: the text has none of the rows.
        """
        return [axes for axes, _ in self._settle([reading])._list_records(reading, select)]

    def _list_records(self, reading: Reading, select: Selection) -> list[tuple[Axes, tuple[int, ...]]]:
        """Return the axes of each wanted record, and which rows of the reading it holds."""
        whole = [self.runner.axes(reading, part) for part in self.card.select_parts(select)]
        select.check_rows([axes.query_tokens for axes in whole])
        rows = [select.rows_of(axes.query_tokens) for axes in whole]
        return [
            (axes.of_tokens(tuple(axes.query_tokens[row] for row in own), axes.key_tokens), own)
            for axes, own in zip(whole, rows, strict=True)
            if own
        ]

    def _settle(self, readings: Sequence[Reading]) -> "Model":
        """Return the model with the runner that is chosen for some readings."""
        return self if self.choose is None else replace(self, runner=self.choose(readings), choose=None)
