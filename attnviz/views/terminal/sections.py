"""Sections on a terminal: summaries, titles of heads and words, links, and the tables between them."""

from collections.abc import Iterator
from typing import assert_never

from msgspec import Struct
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from attnviz.records import Axes, HeadMatrix, HeadTable, Link, RelationTable, Word, find_measure
from attnviz.text import By, visible
from attnviz.views.names import caveats, count_tokens, counted, describe_axes, head_name
from attnviz.views.report import (
    Answer,
    Definitions,
    Glance,
    HeadRows,
    HeadWeights,
    LinksInHeads,
    NoDifference,
    RankedHeads,
    RelationRows,
    Section,
    StrongestLinks,
    Summary,
    WordInHeads,
)
from attnviz.views.terminal.cells import aligned, ellipsised, flowing, has_colour, isolated, shade_legend
from attnviz.views.terminal.heads import head_rows, ranked_heads, tell_best_head, word_in_heads
from attnviz.views.terminal.inline import inline_picture
from attnviz.views.terminal.matrix import matrix
from attnviz.views.terminal.overview import overview
from attnviz.views.terminal.relations import relation_rows, shown_definitions, tell_best_relation
from attnviz.vocabulary import AVERAGE, Orientation, PictureProtocol

_USUAL = "float32"
_LONGEST = 60  # columns of a word, or of a whole sentence


class TerminalSection(Struct, frozen=True, eq=False):
    """A section for rich to print, with an empty line after it; by a `protocol` weights are pictures."""

    section: Section
    protocol: PictureProtocol | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from _drawn(self.section, self.protocol, console, options)
        yield Text()


def _drawn(
    section: Section, protocol: PictureProtocol | None, console: Console, options: ConsoleOptions
) -> RenderResult:
    match section:
        case Summary(record=record):
            yield summary(record)
        case NoDifference(told=told):
            yield Text(told)
        case Glance() if protocol and protocol is not PictureProtocol.BLOCKS:
            yield from inline_picture(section, protocol, console, options)
        case Glance():
            yield from overview(section, console, options)
        case HeadWeights():
            yield from _head_weights(section, protocol, console, options)
        case LinksInHeads():
            yield from links_in_heads(section)
        case StrongestLinks():
            yield from links_in_words(section)
        case WordInHeads(attention=attention, word=word):
            yield word_title(word, attention)
            yield from word_in_heads(section, options.max_width)
        case _:
            yield from _drawn_table(section, options.max_width)


def _head_weights(
    section: HeadWeights, protocol: PictureProtocol | None, console: Console, options: ConsoleOptions
) -> RenderResult:
    one = section.attention
    yield head_title(one.layers[0], one.heads[0], section.reason)
    yield Text(describe_axes(one, section.orientation), "dim")
    if protocol and is_drawn(section, protocol):
        yield from inline_picture(section, protocol, console, options)
    else:
        yield from matrix(section, options.max_width)
        if has_colour(console):
            yield from flowing(shade_legend(one), options.max_width)


def is_drawn(section: Section, protocol: PictureProtocol | None) -> bool:
    """Return whether a protocol draws the weights of a section as a picture; blocks have no signs."""
    if protocol is None or not isinstance(section, HeadWeights):
        return False
    return not (section.attention.meaning.signed and protocol is PictureProtocol.BLOCKS)


def _drawn_table(section: Answer | RankedHeads | HeadRows | RelationRows | Definitions, width: int) -> RenderResult:
    match section:
        case Answer(table=table):
            told = tell_best_head(table) if isinstance(table, HeadTable) else tell_best_relation(table)
            yield Text(visible(table.asked), "bold").append(f": {told}", "not bold")
        case RankedHeads():
            yield from ranked_heads(section, width)
        case HeadRows():
            yield from head_rows(section, width)
        case RelationRows():
            yield from relation_rows(section, width)
        case Definitions(table=table):
            shown = shown_definitions(table, width) if isinstance(table, RelationTable) else table.definitions
            for name, definition in shown.items():
                yield Text(f"{name}: {definition}", style="dim")
        case _:
            assert_never(section)


def summary(record: Axes | HeadTable | RelationTable) -> Text:
    """Return one line with the model, the kind, and the size of the record."""
    details = _run(record) if isinstance(record, Axes) else _texts(record)
    words = "".join(f" · {detail}" for detail in (record.kind.value, *details))
    return Text(record.model, style="bold").append(words, style="not bold")


def _texts(table: HeadTable | RelationTable) -> Iterator[str]:
    if isinstance(table, HeadTable) and table.text_index is not None:
        yield f"text {table.text_index} {isolated(ellipsised(visible(table.text), _LONGEST))}".rstrip()
    else:
        yield counted(table.texts, "text") if table.texts else "from the model's weights alone"
    if isinstance(table, HeadTable) and table.by is not By.TOKEN:
        yield f"between {table.by.unit}s"


def _run(attention: Axes) -> Iterator[str]:
    """Yield layers × heads, tokens, engine, and the notes on the weights."""
    layers, heads = attention.shape[:2]
    if AVERAGE not in attention.heads:
        yield f"{counted(layers, 'layer')} × {counted(heads, 'head')}"
    yield count_tokens(attention)
    yield f"{attention.engine.value} engine"
    if not attention.meaning.usual:
        yield attention.measure
    if attention.precision != _USUAL:
        yield attention.precision
    yield from caveats(attention)


def head_title(layer: int, head: int, reason: Link | None = None) -> Text:
    """Return the title of a head or an average, with the link that it was chosen for, if any."""
    title = Text("Average" if head == AVERAGE else f"Layer {layer} head {head}", style="bold")
    if reason:
        title.append(f", the most telling: {link_in_words(reason)}", style="not bold")
    return title


def word_title(word: Word, attention: HeadMatrix) -> Text:
    """Return the title of one occurrence of a word, with the token that follows it in the target."""
    pieces = attention.pieces(word)
    first, last = pieces[0].position, pieces[-1].position
    place = f"token {first}" if first == last else f"tokens {first}-{last}"
    says = f" → {isolated(pieces[-1].predicts)}" if word.queries and pieces[-1].predicts else ""
    name = pieces[0].label if len(pieces) == 1 and pieces[0].unknown else word.text
    return Text(isolated(name), style="bold").append(f"{says} ({place})", style="not bold dim")


def links_in_heads(section: LinksInHeads) -> Iterator[Text]:
    """Yield a title and a line for each link with its head, such as `it → animal 0.94  L3 H1`."""
    meaning, links = find_measure(section.measure), section.links
    largest = f"Largest {section.measure}s between {section.unit}s, of all heads"
    yield Text("Most telling links" if meaning.usual else largest, style="bold")
    written = [Text(f"  {link_in_words(link, signed=meaning.signed)}") for link in links]
    for line, link in zip(aligned(written, 2), links, strict=True):
        yield line.append(head_name(link.layer, link.head), "dim")


def links_in_words(section: StrongestLinks) -> Iterator[Text]:
    """Yield a title and a line for each link, such as `it → animal 0.93`.

    Where the query predicts a word, that stands beside it: `la (→ voiture) → car 0.96`. The title says whether the
    first link is the most telling one.
    """
    meaning = find_measure(section.measure)
    title = f"{'Strongest links' if meaning.usual else f'Largest {section.measure}s'} between {section.unit}s"
    yield Text(f"{title}, the most telling one first, then the strongest" if section.telling else title, style="bold")
    for link in section.links:
        yield Text(f"  {link_in_words(link, signed=meaning.signed)}")


def link_in_words(link: Link, *, signed: bool = False) -> str:
    """Write a link: `it → animal 0.93`."""
    says = f" (→ {isolated(link.query.predicts)})" if link.query.predicts else ""
    number = f"{link.weight:{'+' if signed else ''}.2f}"
    query, key = (isolated(ellipsised(token.label, _LONGEST)) for token in (link.query, link.key))
    return f"{query}{says} → {key} {number.replace('-', '−')}"


if __name__ == "__main__":
    from attnviz.views.example import example_attention
    from attnviz.views.report import Report

    report = Report(token=None, every=False, top=3, orientation=Orientation.QUERIES_DOWN)
    Console(highlight=False).print(*map(TerminalSection, report.sections([example_attention()])), sep="\n")
