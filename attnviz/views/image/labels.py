"""The text of a picture: which labels there is room for, how long they may be, and where long lines break."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from attnviz.text import Bins, Grouping, Token
from attnviz.views.image.fonts import CODE, Fonts, joined

LINE = 1.25
"""The height of a line of text as a multiple of its size: lines this far apart do not touch."""

_LONGEST, _LONGEST_STRETCH = 24, 40  # characters of a token, and of what stands for a stretch of text


@dataclass(frozen=True, slots=True)
class Label:
    """What to write beside a row or column: `at` is its middle, in cells from the edge of the first one."""

    text: str
    at: float
    muted: bool = False

    def spelled(self, fonts: Fonts) -> "Label":
        """The label with codes in place of what these fonts lack, not longer than it may be."""
        return replace(self, text=ellipsised(self.text, fonts)) if fonts.lacking.intersection(self.text) else self


def token_labels(tokens: Sequence[Token], by: Grouping, pooled: int = 1) -> list[Label]:
    """A label a token, special ones muted, when each cell stands for `pooled` tokens.

    That of a bin says at which token it begins.
    """
    if not isinstance(by, Bins):
        return [Label(ellipsised(t.label), (i + 0.5) / pooled, t.special) for i, t in enumerate(tokens)]
    stretches = (ellipsised(f"{t.position:,} {t.label}", longest=_LONGEST_STRETCH) for t in tokens)
    return [Label(text, (i + 0.5) / pooled, tokens[i].special) for i, text in enumerate(stretches)]


def ellipsised(text: str, fonts: Fonts = Fonts(), longest: int = _LONGEST) -> str:  # noqa: B008 - it is frozen
    """The text as these fonts show it, its end left out where more than `longest` characters would be read."""
    parts, length = fonts.parts(text), 0
    for count, part in enumerate(parts):
        length += len(part) - len(CODE) if part.startswith(CODE) else 1
        if length > longest - (count < len(parts) - 1):  # an ellipsis is read, too
            return joined(parts[:count]) + "…"
    return joined(parts)


def thinned(labels: Iterable[Label], cell: float, size: float) -> list[Label]:
    """The first label and each next one that a line of its own is left for, cells being `cell` points apart."""
    kept: list[Label] = []
    for label in labels:
        if not kept or (label.at - kept[-1].at) * cell >= size * LINE:
            kept.append(label)
    return kept


def wrapped(text: str, width: float, measured: Callable[[str], float]) -> list[str]:
    """The text in lines of at most this width, as it is measured (a single word may be wider); its breaks are kept."""
    lines: list[str] = []
    blank = measured(" ")
    for line in text.split("\n"):
        first, *words = line.split(" ")
        lines.append(first)
        taken = measured(first)
        for word in words:
            wide = measured(word)
            if taken + blank + wide <= width:
                lines[-1] += f" {word}"
                taken += blank + wide
            else:
                lines.append(word)
                taken = wide
    return lines
