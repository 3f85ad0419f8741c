"""Text from outside: whether a model can read it, and how to show it safely."""

import json
from shlex import quote

from attnviz.errors import TextError

JOINERS = "\u200c\u200d"
"""Invisible characters that join or part their neighbours."""

_NAMED_WHITESPACE = {" ": "␣", "\t": "⇥", "\n": "⏎", "\r": "␍", "\x7f": "␡"}


def check_text(text: str, what: str = "The text") -> str:
    """Return the text if a model can read it; `what` is its name in the error if not.

    Raises:
        TextError: it is blank, or holds half of a surrogate pair.
    """
    if not text.strip():
        raise TextError(f"{what} is empty: give at least one word.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TextError(
                f"{what} is not valid Unicode: character {error.start} is half of a surrogate pair "
                f"(U+{ord(text[error.start]):04X}). Save it as UTF-8 and try again."
            ) from None
    return text


def visible(text: str) -> str:
    """Return the text with each character that a terminal obeys, or does not show, replaced by one that can be seen."""
    if text.isprintable():
        return text
    kept = JOINERS if text.strip(JOINERS) else ""  # between other characters they join; alone they would not be seen
    return "".join(char if char.isprintable() or char in kept else draw_character(char) for char in text)


def quote_argument(text: str) -> str:
    """Return a text as it is typed as an argument, in quotes if need be; `"…"` if it cannot be.

    A blank one is no text, one that begins with - is an option, and what is not seen cannot be copied.
    """
    if not text.strip() or text.startswith("-") or visible(text) != text:
        return '"…"'
    quoted = quote(text)
    return quoted if quoted == text or {*text} & {*'"$`\\!'} else f'"{text}"'


def escape_unseen(line: bytes) -> bytes:
    """Return JSON with an escape for each character that a terminal obeys or does not show; it stands for the same."""
    if line.isascii() and b"\x7f" not in line:
        return line
    text = line.decode()
    if text.isprintable():
        return line
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text).encode()


def draw_character(char: str) -> str:
    """Return what stands for a character that cannot be seen, a blank included."""
    if char in _NAMED_WHITESPACE:
        return _NAMED_WHITESPACE[char]
    if ord(char) < 0x20:
        return chr(0x2400 + ord(char))  # the block of control pictures follows the order of the control characters
    return f"<U+{ord(char):04X}>"
