import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnviz.pipeline.sources import chunks, sources
from attnviz.pipeline.streams import LONGEST_TEXT, lines_of


@pytest.fixture
def pipe() -> Iterator[tuple[BufferedReader, int]]:
    """The end of a pipe that is read, and the one that is written."""
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as reader, os.fdopen(theirs, "wb", buffering=0) as writer:
        yield reader, writer.fileno()


class TestPipe:
    def test_lines_that_are_there_at_once_come_together_and_none_waits_for_the_next(
        self, pipe: tuple[BufferedReader, int]
    ) -> None:
        reader, writer = pipe
        found = chunks(lines_of(reader))
        for written, expected in (
            (b"the cat\n", [b"the cat"]),
            (b"a dog\n\nit\n \n", [b"a dog", b"it"]),
            (b"one\ntw", [b"one"]),
            (b"o\n", [b"two"]),
        ):
            os.write(writer, written)
            assert [source.raw for source in next(found)] == expected

    def test_a_line_that_nobody_could_read_takes_no_memory(self, pipe: tuple[BufferedReader, int]) -> None:
        reader, writer = pipe
        pieces = [b"a" * 2**16] * 200 + [b"\nit\n"]
        with ThreadPoolExecutor(1) as other:
            other.submit(lambda: [os.write(writer, piece) for piece in pieces])
            lines = lines_of(reader)
            first, second = next(lines), next(lines)
        assert not first.whole
        assert len(first.raw) < LONGEST_TEXT
        assert (second.raw, second.place) == (b"it", "line 2")


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


class TestFile:
    def test_its_lines_come_in_fixed_numbers(self, tmp_path: Path) -> None:
        lines = [b"a line" * (1 + i % 7) for i in range(150)]
        path = written(tmp_path / "lines.txt", b"\n".join(lines))
        assert [len(chunk) for chunk in chunks(sources([], path))] == [64, 64, 22]

    def test_long_lines_do_not_wait_for_each_other(self, tmp_path: Path) -> None:
        path = written(tmp_path / "lines.txt", b"\n".join([b"a" * 1_500_000] * 7))
        assert [len(chunk) for chunk in chunks(sources([], path))] == [3, 3, 1]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(st.lists(st.sampled_from([b"\n", b"\r\n", b" ", b"\xe3\x80\x80", b"x", b"\xff", b"y" * 70_000])))
    def test_its_lines_and_their_numbers_are_those_of_python(self, tmp_path: Path, parts: list[bytes]) -> None:
        data = b"".join(parts)
        path = written(tmp_path / "lines.txt", data)
        with path.open("rb") as file:
            found = [(line.place, line.raw, line.whole) for line in lines_of(file, "x")]
        numbered = [(f"line {i} of x", line.removesuffix(b"\r")) for i, line in enumerate(data.split(b"\n"), 1)]
        assert found == [(place, line, True) for place, line in numbered if line.decode(errors="replace").strip()]

    @pytest.mark.parametrize(("size", "whole"), [(LONGEST_TEXT, True), (LONGEST_TEXT + 1, False)])
    def test_a_line_that_is_as_long_as_may_be_is_whole(self, tmp_path: Path, size: int, whole: bool) -> None:
        path = written(tmp_path / "lines.txt", b"a" * size + b"\n\n" + b"b")
        with path.open("rb") as file:
            first, second = lines_of(file)
        assert (first.whole, second.raw, second.place) == (whole, b"b", "line 3")

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "a byte order mark"])
    def test_a_line_that_begins_like_saved_weights_may_be_longer(self, tmp_path: Path, mark: bytes) -> None:
        long = b'{"attention": [' + b"1," * LONGEST_TEXT + b"1]}"
        path = written(tmp_path / "lines.txt", mark + long + b"\nit")
        first, second = sources([], path)
        assert (first.raw, first.saved, second.raw) == (long, "json", b"it")


@pytest.mark.parametrize(
    ("line", "saved"),
    [
        (b'{"attention": []}', "json"),
        (b' {"text": "x", "attention" : 3}', "json"),
        (b'{"attention": [', "json"),
        (b'{"text": "attention"}', None),
        (b'{"beside": {"attention": 3}}', None),
        (b'{"attention" is all you need}', None),
        (b'["attention", 3]', None),
        (b"attention: {}", None),
    ],
)
def test_a_line_is_saved_weights_if_it_is_an_object_with_attention(tmp_path: Path, line: bytes, saved: Any) -> None:
    (source,) = sources([], written(tmp_path / "lines.txt", line))
    assert source.saved == saved
