"""What is written round a picture of attention, and the name of its file."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median_high

from attnviz.attention import AVERAGE, Attention, Kind, ranges
from attnviz.text import Bins, By
from attnviz.views.image.labels import ellipsised
from attnviz.views.image.style import Style
from attnviz.views.names import caveats

_TOKENS_LISTED = 20  # a caption lists the tokens if there are no more than this


def heading(attention: Attention, where: Sequence[str], style: Style) -> str:
    """The title that was given, else the model and which of its heads these are."""
    if style.title is not None:
        return style.title
    kind = [] if attention.kind is Kind.ENCODER else [attention.kind.value]
    return " · ".join([attention.model, *kind, *where])


def remarks(attention: Attention, where: Sequence[str], pool: tuple[int, int], style: Style) -> list[str]:
    """What stands below the heading: what it does not say itself, and what was done to the weights."""
    named = [] if style.title is None else [" · ".join(where)]
    if attention.by is not By.TOKEN:
        named.append(_between(attention))
    if any(token.predicts for token in attention.query_tokens):
        named.append("each query is named for what the decoder reads there; it predicts the next")
    pooled = [] if pool == (1, 1) else [f"each cell shows the largest of {pool[0]} × {pool[1]} weights"]
    return [*named, *caveats(attention), *attention.notes, *pooled]


def _between(attention: Attention) -> str:
    """Between what the weights are, and of bins how long these are."""
    between, starts = f"between {attention.by.unit}s", [token.position for token in attention.key_tokens]
    if not isinstance(attention.by, Bins) or len(starts) == 1:
        return between
    usual = median_high(after - before for before, after in pairwise(starts))
    return f"{between} of about {usual:,} token{'s' * (usual > 1)}, each with the position of its first"


def axes_caption(attention: Attention, style: Style) -> str:
    """What goes down and what across in the cells of a head."""
    said = style.orientation.in_words(sink=attention.sink)
    return f"{said[0].upper()}{said[1:]}."


def grid_caption(attention: Attention, style: Style) -> str:
    """The same, and the tokens if they are few, for a picture that has no room for their names."""
    queries, keys = attention.query_tokens, attention.key_tokens
    caption = f"Within each head: {style.orientation.in_words(sink=attention.sink)}."
    if max(len(queries), len(keys)) > _TOKENS_LISTED:
        return caption
    listed = [" ".join(ellipsised(token.label) for token in tokens) for tokens in (queries, keys)]
    tokens = f"Tokens: {listed[0]}" if queries == keys else f"Queries: {listed[0]}. Keys: {listed[1]}"
    return f"{caption} {tokens}"


def indexed(axis: str, indices: tuple[int, ...]) -> str:
    """Layers or heads in words: `layer 2`, `heads 0-5`, `mean head`."""
    if indices == (AVERAGE,):
        return f"mean {axis}"
    return f"{axis}{'s' * (len(indices) > 1)} {ranges(indices)}"


def places(layers: tuple[int, ...], heads: tuple[int, ...]) -> tuple[str, ...]:
    """What is shown, in words: `layer 2`, `head 5`."""
    return ("mean",) if layers == heads == (AVERAGE,) else (indexed("layer", layers), indexed("head", heads))


def stem(where: Sequence[str]) -> str:
    """The same as the beginning of a file name: `layer2-head5`."""
    return "-".join(words.replace(" ", "") for words in where)
