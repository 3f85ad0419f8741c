"""The combinations of words that training never shows, so that the test is about putting known words together."""

from __future__ import annotations

import zlib
from functools import cache

_ONE_IN = 12
# What everyone tries first; training may show it, and the test may too.
_ALWAYS_SHOWN = frozenset({("red", "car")})


@cache
def is_held_out(first: str, second: str) -> bool:
    """Return whether two lemmas may meet in a test text only.

    They are an adjective and its noun, a verb and the noun that is its object, or a noun as subject and its verb.
    """
    return (first, second) not in _ALWAYS_SHOWN and zlib.crc32(f"{first} {second}".encode()) % _ONE_IN == 0
