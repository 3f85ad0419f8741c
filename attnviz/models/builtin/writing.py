"""What a built-in model writes by itself, a continuation or a translation: always the likeliest next token."""

from collections.abc import Callable, Sequence


def greedy(
    following: Callable[[Sequence[int]], int], ids: Sequence[int], most: int, end: int | None
) -> tuple[list[int], bool]:
    """At most `most` ids after those given, and whether they came to an `end` by themselves, which is not among them.

    `following` is the likeliest id after some; without an `end` there are always `most`.
    """
    written: list[int] = []
    while len(written) < most:
        id_ = following([*ids, *written])
        if id_ == end:
            return written, True
        written.append(id_)
    return written, False
