"""`attnviz show`: attention in the terminal, or as data on standard output."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from attnviz.cli import options
from attnviz.cli.groups import grouped
from attnviz.cli.outcomes import for_each
from attnviz.cli.output import write_standard_output
from attnviz.cli.request import Input, ModelChoice, Wanted, job_of
from attnviz.cli.terminal import terminal
from attnviz.formats.writing import STREAMS, Result
from attnviz.measures.habits import habits
from attnviz.measures.links import strongest, telling
from attnviz.measures.words import rows_of, words_of
from attnviz.pipeline.outcomes import Weights, outcomes
from attnviz.pipeline.sources import chunks
from attnviz.records import Attention, Link, Word
from attnviz.text import visible
from attnviz.views.terminal.cells import shortened
from attnviz.views.terminal.matrix import Matrix
from attnviz.views.terminal.overview import Overview
from attnviz.views.terminal.titles import axes_title, head_title, links_in_words, summary, word_title
from attnviz.views.terminal.word import WordInHeads
from attnviz.vocabulary import Orientation

_TABLE = "table"
_FORMATS = (_TABLE, *STREAMS)
_LONGEST_HEADING = 500  # columns that the text itself may take above its tables

_Writer = Callable[[Result], None]


@grouped
def show(
    given: Input,
    model: ModelChoice,
    wanted: Wanted,
    every: Annotated[bool, typer.Option("--all", help="The weights of every head, not only the most telling.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many of the strongest links, or tokens, to list.")] = 5,
    form: Annotated[
        str,
        typer.Option(
            "--format", parser=options.one_of(_FORMATS), metavar=options.choices(_FORMATS), help="Tables, or data."
        ),
    ] = _TABLE,
    transpose: options.Transpose = False,
    color: options.Color = options.AUTO,
    width: options.Width = None,
    debug: options.Debug = False,
) -> None:
    """Show what the heads of a model look at.

    All of them at a glance, and the most telling in numbers.

    \b
    attnviz show "The animal didn't cross the street because it was too tired"
    attnviz show "The big fluffy dog barked" --layer 0-1 --head 3
    attnviz show "Mary lost her keys" --token her
    attnviz show --file lines.txt --format json | jq '.attention[0].key_tokens'
    """  # noqa: D301 - a lone \b keeps the lines below it as they are
    if form == _TABLE:
        named = bool(wanted.layer and wanted.head)
        tables = _Tables(every or named, wanted.token, top, Orientation(transpose))
        write = _to_terminal(tables, color, width, headed=not given.single)
    else:
        write = _to_pipe(form, wanted.token)
    task = Weights(job_of(given, model, wanted))
    if not for_each(outcomes(task, chunks(given.sources())), write):
        raise typer.Exit(1)


def _to_pipe(form: str, token: str | None) -> _Writer:
    """Data, of the rows of one word if one was named."""
    chosen = STREAMS[form]
    header = iter([chosen.header])  # stands before the first result, so not where nothing came out

    def write(result: Result) -> None:
        kept = replace(result, attention=rows_of(result.attention, token))
        write_standard_output(next(header, b"") + chosen.encode(kept))

    return write


def _to_terminal(tables: "_Tables", colour: str, width: int | None, *, headed: bool) -> _Writer:
    """Tables, under the text itself where there may be several, and under what the model wrote."""
    screen = terminal(colour, width)

    def write(result: Result) -> None:
        made = list(tables.of(result.attention))  # all of them before any is shown
        for heading in (*((result.text, result.pair) if headed else ()), _written(result)):
            if heading:  # of what is saved, the text may not be known
                screen.print(Text(shortened(visible(heading), _LONGEST_HEADING), style="italic"))
        for table in made:
            screen.print(table)

    return write


def _written(result: Result) -> str | None:
    """What the model wrote, if it did."""
    if not result.written:
        return None
    return f"… {result.target or '(no text)'}{'' if result.ended else ' … (cut here)'}"


@dataclass(frozen=True, slots=True)
class _Tables:
    """Which tables a record is shown as."""

    every: bool
    token: str | None
    top: int
    orientation: Orientation

    def of(self, found: Sequence[Attention]) -> Iterator[RenderableType]:
        """For each kind what ran, then one word in all heads, or all heads at a glance and the weights of some."""
        tables = (
            [(attention, self._words(attention, words)) for attention, words in words_of(found, self.token)]
            if self.token
            else [(attention, self._heads(attention)) for attention in found]
        )
        for attention, shown in tables:
            yield summary(attention)
            yield from shown
            yield ""

    def _words(self, attention: Attention, words: Sequence[Word]) -> Iterator[RenderableType]:

        for word in words:
            yield ""
            yield word_title(word, attention)
            yield WordInHeads(attention, word, self.top)

    def _heads(self, attention: Attention) -> Iterator[RenderableType]:

        several = len(attention.layers) * len(attention.heads) > 1
        link = telling(attention) if several else None
        if several:
            found, marked = habits(attention), (link.layer, link.head) if link else None
            yield ""
            yield Overview(attention.layers, attention.heads, found.main, found.concentration, marked)
        if self.every:
            for layer in attention.layers:
                for head in attention.heads:
                    yield from self._weights(attention.select([layer], [head]), None)
        elif link:
            yield from self._weights(attention.select([link.layer], [link.head]), link)
        else:
            yield from self._weights(attention.select(attention.layers[:1], attention.heads[:1]), None)

    def _weights(self, attention: Attention, reason: Link | None) -> Iterator[RenderableType]:
        """The weights of a record's one head, and its strongest links."""
        yield ""
        yield head_title(attention.layers[0], attention.heads[0], reason)
        yield axes_title(attention, self.orientation)
        yield Matrix(attention.weights[0, 0], attention.query_tokens, attention.key_tokens, self.top, self.orientation)
        first = [reason] if reason else []
        if links := [*first, *(link for link in strongest(attention, self.top) if link not in first)]:
            yield ""
            yield from links_in_words(links[: self.top], telling=reason is not None)
