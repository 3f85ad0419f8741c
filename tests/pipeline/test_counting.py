"""Totals over portions of texts that several processes count."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from attnviz.errors import AttnvizError, TextError
from attnviz.measures.totals import SharedHeads, Summand, Total
from attnviz.pipeline.counting import AT_A_TIME, total_portions
from attnviz.pipeline.outcomes import Note, Outcome
from attnviz.pipeline.streams import Source
from attnviz.vocabulary import By, Kind

_PATIENCE = 60  # seconds until what never comes is given up


def summand(place: str | None) -> Summand:
    """What a text adds that has heads of its own, by the name of its place."""
    return SharedHeads(str(place), Kind.ENCODER, By.TOKEN, (0,), (0,)), Total(1)


def work(signal: Path, portion: Sequence[Source]) -> Iterator[Outcome[list[Summand]]]:
    """Work that on the first portion waits until there is a signal; every portion has a note, a failure and totals."""
    if portion[0].index == 0:
        given_up = time.monotonic() + _PATIENCE
        while not signal.exists() and time.monotonic() < given_up:
            time.sleep(0.01)
    yield portion[0], Note(f"{portion[0].place}")
    yield portion[1], TextError(f"{portion[1].place}")
    for source in portion[2:]:
        yield source, [summand(source.place)]


class Listener:
    """A counter that gives the signal when a portion has been counted."""

    def __init__(self, signal: Path) -> None:
        self.told, self._signal = list[str](), signal

    def say(self, note: str) -> None:
        self.told.append(note)

    def fail(self, place: str | None, error: AttnvizError) -> None:
        self.told.append(error.advice)

    def count(self, texts: int) -> None:
        self.told.append(f"{texts} counted")
        self._signal.touch()


def test_totals_are_merged_as_they_come_and_remarks_are_told_in_order(tmp_path: Path) -> None:
    listener = Listener(tmp_path / "signal")
    sources = [Source(b"", place=str(index), index=index) for index in range(2 * AT_A_TIME + 3)]
    found = total_portions(partial(work, tmp_path / "signal"), sources, 2, listener)
    places = [heads.model for heads in found.each]  # as they came
    second = str(AT_A_TIME + 2)
    assert places[0] == second  # before any of the first portion, which waits for that
    assert sorted(places, key=int) == [str(i) for i in range(len(sources)) if i % AT_A_TIME > 1]
    remarks = [told for told in listener.told if not told.endswith("counted")]
    assert remarks == [str(i) for i in range(len(sources)) if i % AT_A_TIME < 2]
