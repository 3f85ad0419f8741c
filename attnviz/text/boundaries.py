"""The boundaries of words and sentences in a text, for every model and language alike."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from attnviz.text.graphemes import split_flags

if TYPE_CHECKING:
    import regex

Span = tuple[int, int]
"""Character offsets of a stretch of text, the end not included."""

_SEPARATORS = dict.fromkeys(range(0x1C, 0x20), " ")
"""The four control characters that are blanks to Python and not to Unicode."""

_WORD = r"""
    # an apostrophe before a word, with the marks on it: regex takes 'a for one word, not 'b
    (?<! [\p{Alphabetic}\p{M}\p{Cf}] ) ['’] [\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]*+
    |
    \S+? (?: \b | (?=\s) )
"""

_ASCII_WORD = re.compile(
    r"(?: \w | (?<=[A-Za-z]) [.':] (?=[A-Za-z]) | (?<=[0-9]) [.',;] (?=[0-9]) )+ | \S", re.ASCII | re.VERBOSE
)
"""The same rule where only ASCII is: regex, which most texts then do without, takes 15 ms to import and compile."""

_SHORT = r"cf|dr|e\.g|etc|i\.e|messrs|mr|mrs|ms|mt|prof|st|vs"
_NUMBERED = r"ch|eq|fig|no|nos|p|pp|sec|vol"

_SENTENCE = rf"""
    (?=\S) .*?
    (?:
        # marks that need no blank after them: those of scripts that put none
        [\p{{SB=STerm}}．--[!?]] [\p{{SB=STerm}}\p{{SB=ATerm}}…\p{{M}}]*+ [\p{{Pe}}\p{{Pf}}"']*+
        \b (?! \s* \p{{SB=SContinue}} )
    |
        # marks that also stand within words, numbers and addresses; a run of them is tried once, from its start
        (?<! [\p{{SB=ATerm}}!?…] )
        (?! (?= \.\s ) (?<= (?<!\w) (?: \p{{Lu}}\p{{M}}* | (?i:{_SHORT}) ) ) )
        (?! (?= \.\s+\p{{N}} ) (?<= (?<!\w) (?i:{_NUMBERED}) ) )
        [\p{{SB=ATerm}}!?…]++ \p{{SB=Close}}*+ (?=\s)
        (?! \s+ (?: \p{{SB=SContinue}} | \p{{P}}*+\p{{SB=Lower}} ) )
    |
        # nothing but blanks up to the end of the line, each run of them looked through once
        (?<=\S) (?= \s*? $ )
    )
"""


def find_word_spans(text: str) -> list[Span]:
    """Return where the words are, at the default boundaries of Unicode (UAX #29, section 4), blanks left out.

    Runs of letters, digits and marks are words, an apostrophe or a decimal point within included; so is each ideograph,
    each other character and each emoji sequence. No word holds a blank.
    """
    if text.isascii():
        return _find_spans(_ASCII_WORD, text)
    spans: list[Span] = []
    offset = 0
    for part in split_flags(text):
        spans += ((start + offset, end + offset) for start, end in _find_spans(_compile(_WORD), part))
        offset += len(part)
    return spans


def find_sentence_spans(text: str) -> list[Span]:
    """Return where the sentences are, blanks between them left out.

    A sentence ends with its line, and after a full stop, a question mark or the like of any script (UAX #29, section
    5), closing quotes and brackets included: where a blank follows if the script uses blanks, not before a word in
    lower case, not after an initial or a common English abbreviation.
    """
    return _find_spans(_compile(_SENTENCE), text)


def find_covering(spans: Sequence[Span], offset: int) -> int | None:
    """Return the index of the span that covers a character, or None between them."""
    index = bisect_right(spans, offset, key=lambda span: span[0]) - 1
    return index if index >= 0 and offset < spans[index][1] else None


def trim(text: str, span: Span) -> Span:
    """Return the span without the blanks at its edges; empty if it covers nothing else."""
    start, end = span
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())


def _find_spans(rule: "re.Pattern[str] | regex.Pattern[str]", text: str) -> list[Span]:
    return [match.span() for match in rule.finditer(text.translate(_SEPARATORS))]


@cache
def _compile(rules: str) -> "regex.Pattern[str]":
    import regex  # unlike re, it knows the word boundaries and the sentence marks of Unicode

    return regex.compile(rules, regex.V1 | regex.WORD | regex.MULTILINE | regex.VERBOSE)
