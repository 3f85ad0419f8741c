"""Graphemes, which readers take for one character: a letter with its marks, a joined emoji, a syllable of Hangul."""

from collections.abc import Callable, Iterable
from itertools import pairwise


def split_graphemes(text: str) -> list[str]:
    """Cut a text into extended grapheme clusters (Unicode Standard Annex 29); nothing shown may be cut within one."""
    if text.isascii():
        return list(text)
    import regex

    found: list[str] = [grapheme for part in split_flags(text) for grapheme in regex.findall(r"\X", part)]
    return found


def split_flags(text: str) -> list[str]:
    """Cut between the flags in a row of flags, two letters each: regex counts from the first of them each time."""
    import regex

    flags = regex.finditer(r"\p{Regional_Indicator}{2}(?=\p{Regional_Indicator})", text)
    return [text[start:end] for start, end in pairwise([0, *(flag.end() for flag in flags), len(text)])]


def split_letters(text: str) -> list[str]:
    """Return the text cut finer: characters that are joined stand apart, each still with its marks."""
    import regex

    found: list[str] = regex.findall(r".[\p{M}\p{Cf}\p{Emoji_Modifier}]*", text, regex.DOTALL)
    return found


def fill_lines(parts: Iterable[str], width: float, measured: Callable[[str], float]) -> list[str]:
    """Join the parts of a text to lines that measure at most this width; one that is wider has a line of its own."""
    lines = [""]
    for part in parts:
        if lines[-1] and measured(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return lines
