"""What stands between the tables on a terminal: what ran, the names of heads and words, links in words."""

from collections.abc import Iterable, Iterator

from rich.text import Text

from attnviz.attention import AVERAGE, Attention, Link, Word
from attnviz.views.layouts import Orientation
from attnviz.views.names import caveats
from attnviz.views.terminal.cells import ellipsised, isolated

_USUAL = "float32"
_LONGEST = 60  # columns of a word, or of a whole sentence


def summary(attention: Attention) -> Text:
    """One line on what ran: model, kind, layers × heads, tokens, engine, and what was done to the weights since."""
    queries, keys = len(attention.query_tokens), len(attention.key_tokens)
    size = f"{_counted(len(attention.layers), 'layer')} × {_counted(len(attention.heads), 'head')}"
    heads = [] if AVERAGE in attention.heads else [size]
    unit = attention.by.unit
    tokens = _counted(keys, unit) if queries == keys else f"{queries} × {keys} {unit}s"
    precision = [] if attention.precision == _USUAL else [attention.precision]
    ran = f"{attention.engine.value} engine", *precision
    details = (attention.kind.value, *heads, tokens, *ran, *caveats(attention), *attention.notes)
    return Text(attention.model, style="bold").append("".join(f" · {detail}" for detail in details), style="not bold")


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def head_title(layer: int, head: int, reason: Link | None = None) -> Text:
    """The name of a head, or of an average, and if it was chosen for a link, that link."""
    title = Text("Average" if head == AVERAGE else f"Layer {layer} head {head}", style="bold")
    if reason:
        title.append(f", the most telling: {_in_words(reason)}", style="not bold")
    return title


def axes_title(attention: Attention, orientation: Orientation) -> Text:
    """What the rows and the columns of a table of weights are."""
    return Text(orientation.in_words(sink=attention.sink), style="dim")


def word_title(word: Word, attention: Attention) -> Text:
    """Which occurrence of a word this is, and what a decoder says next there."""
    pieces = attention.pieces(word)
    first, last = pieces[0].position, pieces[-1].position
    place = f"token {first}" if first == last else f"tokens {first}-{last}"
    says = f" → {isolated(pieces[-1].predicts)}" if word.queries and pieces[-1].predicts else ""
    name = pieces[0].label if len(pieces) == 1 and pieces[0].unknown else word.text
    return Text(isolated(name), style="bold").append(f"{says} ({place})", style="not bold dim")


def links_in_words(links: Iterable[Link], *, telling: bool = False) -> Iterator[Text]:
    """A line a link, such as `it → animal 0.93`, or `la (→ voiture) → car 0.96` where the query predicts a word.

    The title says it if the first was chosen for what it tells.
    """
    title = "Strongest links between words, the most telling first" if telling else "Strongest links between words"
    yield Text(title, style="bold")
    for link in links:
        yield Text(f"  {_in_words(link)}")


def _in_words(link: Link) -> str:
    says = f" (→ {isolated(link.query.predicts)})" if link.query.predicts else ""
    query, key = (isolated(ellipsised(token.label, _LONGEST)) for token in (link.query, link.key))
    return f"{query}{says} → {key} {link.weight:.2f}"
