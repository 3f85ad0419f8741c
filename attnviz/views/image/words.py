"""The words on a picture: labels where there is room, headings and captions, and the name of its file."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from statistics import median_high

from msgspec import Struct
from msgspec.structs import replace

from attnviz.records import HeadMatrix, format_ranges
from attnviz.text import Bins, By, Grouping, Token
from attnviz.text.graphemes import fill_lines, split_graphemes
from attnviz.views.image.fonts import CODE, Fonts, joined
from attnviz.views.image.style import Style
from attnviz.views.names import caveats, counted, describe_axes, name_numbers, plural
from attnviz.vocabulary import AVERAGE, Kind

LINE = 1.25
"""The height of a line of text as a multiple of its size: lines this far apart do not touch."""

ARROW = " → "
"""What stands between a token and the one that its row predicts."""

_LONGEST, _LONGEST_STRETCH = 24, 40  # characters of a token, and of what stands for a stretch of text

_TOKENS_LISTED = 20  # a caption lists the tokens if there are no more than this


class Label(Struct, frozen=True):
    """The label of a row or column: `at` is its middle, in cells from the edge of the first one."""

    text: str
    at: float
    muted: bool = False

    def spelled(self, fonts: Fonts) -> "Label":
        """Return the label with codes for characters that these fonts lack, cut if it is too long."""
        return replace(self, text=ellipsised(self.text, fonts)) if fonts.lacking.intersection(self.text) else self

    def cut(self, longest: int) -> "Label":
        """Return the label, cut after so many characters."""
        return replace(self, text=ellipsised(self.text, longest=longest))


def token_labels(tokens: Sequence[Token], by: Grouping, pooled: int = 1) -> list[Label]:
    """Return a label for each token, special ones muted, when each cell stands for `pooled` tokens.

    Where its row predicts a token, that stands beside it: `la → voiture`. That of a bin says at which token it begins.
    """
    return [Label(_name(token, by), (place + 0.5) / pooled, token.special) for place, token in enumerate(tokens)]


def _name(token: Token, by: Grouping) -> str:
    if isinstance(by, Bins):
        return ellipsised(f"{token.position:,} {token.label}", longest=_LONGEST_STRETCH)
    return ARROW.join(ellipsised(part) for part in (token.label, token.predicts) if part is not None)


def axis_name(axis: str, tokens: Sequence[Token], by: Grouping) -> str:
    """Return the name of an axis, queries or keys, as the labels of these tokens are to be read."""
    told = not isinstance(by, Bins) and any(token.predicts for token in tokens)
    return f"{axis}{ARROW}predicted" if told else axis


def ellipsised(text: str, fonts: Fonts = Fonts(), longest: int = _LONGEST) -> str:  # noqa: B008 - it is frozen
    """Return the text as these fonts show it, cut with an ellipsis after `longest` characters."""
    parts, length = fonts.parts(text), 0
    for count, part in enumerate(parts):
        length += len(part) - len(CODE) if part.startswith(CODE) else 1
        if length > longest - (count < len(parts) - 1):  # an ellipsis is read, too
            return joined(parts[:count]) + "…"
    return joined(parts)


def note_left_out(small_print: str) -> str:
    """Return the note on a picture that has no caption: what that would have said."""
    return f"Without the small print, the picture does not say: {small_print}"


def thinned(labels: Iterable[Label], cell: float, size: float) -> list[Label]:
    """Return as many labels as fit on lines of their own, from the first on, with cells `cell` points apart."""
    kept: list[Label] = []
    for label in labels:
        if not kept or (label.at - kept[-1].at) * cell >= size * LINE:
            kept.append(label)
    return kept


def wrapped(text: str, width: float, measured: Callable[[str], float]) -> list[str]:
    """Return the text in lines of at most this width, words broken if they are wider; line breaks are kept."""
    lines: list[str] = []
    blank = measured(" ")
    for line in text.split("\n"):
        taken = math.inf  # a line begins
        for word in line.split(" "):
            first, *rest = _broken(word, width, measured)
            wide = measured(first)
            if taken + blank + wide <= width:
                lines[-1] += f" {first}"
                taken += blank + wide
            else:
                lines.append(first)
                taken = wide
            if rest:
                lines += rest
                taken = measured(rest[-1])
    return lines


def _broken(word: str, width: float, measured: Callable[[str], float]) -> list[str]:
    """Return a word in parts of at most this width, each of one grapheme at least."""
    return [word] if measured(word) <= width else fill_lines(split_graphemes(word), width, measured)


class SheetText(Struct, frozen=True):
    """The text round the panels of a sheet: a `heading`, small `remarks` below it, and a small `caption` below all."""

    heading: str
    remarks: Sequence[str]
    caption: str

    @classmethod
    def of(
        cls, attention: HeadMatrix, where: Sequence[str], pool: tuple[int, int], style: Style, caption: str
    ) -> "SheetText":
        """Return the words on a record, under the title that was given, or else the model, the layers and the heads."""
        kind = [] if attention.kind is Kind.ENCODER else [attention.kind.value]
        heading = " · ".join([attention.model, *kind, *where]) if style.title is None else style.title
        return cls(heading, _remark(attention, where, pool, style), caption)

    @property
    def small_print(self) -> str:
        """Return the caption, after the remarks where these stand in it because there is no heading."""
        remarks = [] if self.heading else map(_make_sentence, self.remarks)
        return " ".join(filter(None, [*remarks, self.caption]))


def _remark(attention: HeadMatrix, where: Sequence[str], pool: tuple[int, int], style: Style) -> list[str]:
    """Return the remarks below the heading: what it leaves out, and what was done to the weights."""
    named = [" · ".join(where)] if style.title else []
    if attention.by is not By.TOKEN:
        named.append(_between(attention))
    if any(token.predicts for token in attention.query_tokens):
        named.append("each query has the name of a token that the decoder reads; its row predicts the next token")
    pooled = [] if pool == (1, 1) else [f"each cell shows the largest of {pool[0]} × {pool[1]} weights"]
    return [*named, *caveats(attention), *pooled]


def _between(attention: HeadMatrix) -> str:
    """Return how tokens are grouped, and for bins how long they are."""
    between, starts = f"between {attention.by.unit}s", [token.position for token in attention.key_tokens]
    if not isinstance(attention.by, Bins) or len(starts) == 1:
        return between
    usual = median_high(after - before for before, after in pairwise(starts))
    return f"{between} of about {counted(usual, 'token')}, with the position of the first token of each"


def axes_caption(attention: HeadMatrix, style: Style) -> str:
    """Return a caption that says what goes down and what across in a panel."""
    return _make_sentence(describe_axes(attention, style.orientation))


def _make_sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def grid_caption(attention: HeadMatrix, style: Style) -> str:
    """Return the same, and the tokens if they are few, for a picture that has no room for their names."""
    queries, keys = attention.query_tokens, attention.key_tokens
    caption = f"Within each head: {describe_axes(attention, style.orientation)}."
    if max(len(queries), len(keys)) > _TOKENS_LISTED:
        return caption
    listed = [" ".join(ellipsised(token.label) for token in tokens) for tokens in (queries, keys)]
    tokens = f"Tokens: {listed[0]}" if queries == keys else f"Queries: {listed[0]}. Keys: {listed[1]}"
    return f"{caption} {tokens}"


def token_caption(attention: HeadMatrix, named: str, *, queries: bool) -> str:
    """Return a caption for a picture of one word in all heads, which is among the `queries` or is not."""
    if not attention.meaning.distributions:
        return f"Each row is a head; {name_numbers(attention)}."
    sums = f"; what {named} looks at sums to {'at most 1' if attention.sink else '1'}" if queries else ""
    return f"Each row is a head{sums}."


def indexed(axis: str, indices: tuple[int, ...]) -> str:
    """Return layers or heads in words: `layer 2`, `heads 0-5`, `mean head`."""
    if indices == (AVERAGE,):
        return f"mean {axis}"
    return f"{plural(axis, len(indices))} {format_ranges(indices)}"


def places(layers: tuple[int, ...], heads: tuple[int, ...]) -> tuple[str, ...]:
    """Return layers and heads in words: `layer 2`, `head 5`."""
    return ("mean",) if layers == heads == (AVERAGE,) else (indexed("layer", layers), indexed("head", heads))


def stem(where: Sequence[str]) -> str:
    """Return the beginning of a file name: `layer2-head5`."""
    return "-".join(words.replace(" ", "") for words in where)
