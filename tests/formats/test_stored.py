"""Saved arrays that are read some rows at a time, whatever the file that holds them."""

import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnviz.errors import RecordError
from attnviz.formats import stored
from attnviz.formats.reading import OPENERS, read_result
from attnviz.formats.stored import Saved, StoredMatrix
from attnviz.measures.reducers import make_keeper
from attnviz.models.saved import restore
from attnviz.records import Selection
from attnviz.text import Bins
from attnviz.vocabulary import Kind

SHAPE = 3, 5, 7, 11  # [layers, heads, queries, keys]
WEIGHTS = np.random.default_rng(7).dirichlet(np.full(11, 0.7), SHAPE[:3]).astype(np.float32)

Write = Callable[[Path, np.ndarray], Any]
WRITERS: dict[str, Write] = {
    "npy": lambda path, array: np.save(path, array),
    "npz": lambda path, array: np.savez(path, weights=array),
    "packed.npz": lambda path, array: np.savez_compressed(path, weights=array),
}


def write(folder: Path, name: str, array: np.ndarray) -> Path:
    path = folder / f"own.{name}"
    WRITERS[name](path, array)
    return path


def open_file(path: Path, memory: int = 10**6) -> Saved:
    return OPENERS[path.suffix.removeprefix(".")](path, memory)


def open_record(path: Path) -> StoredMatrix:
    (record,) = open_file(path).records
    return record


@pytest.fixture(params=WRITERS)
def name(request: pytest.FixtureRequest) -> str:
    """The end of the name of a file."""
    written: str = request.param
    return written


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many numbers are read at a time: a row or two of each head."""
    monkeypatch.setattr(stored, "_AT_ONCE", 2 * 5 * 11)
    return 2 * 5 * 11


class TestPieces:
    @given(
        at_once=st.integers(1, 1200),
        layers=st.lists(st.sampled_from(range(3)), min_size=1, unique=True),
        heads=st.lists(st.sampled_from(range(5)), min_size=1, unique=True),
        order=st.sampled_from("CF"),
        dtype=st.sampled_from(["<f4", ">f8", "f2"]),
        name=st.sampled_from(sorted(WRITERS)),
    )
    def test_blocks_have_the_rows_of_the_layers_and_heads_that_are_named_each_once(
        self,
        at_once: int,
        layers: list[int],
        heads: list[int],
        order: Any,
        dtype: str,
        name: str,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        array = np.asarray(WEIGHTS.astype(dtype), order=order)
        record = open_record(write(tmp_path_factory.mktemp("stored"), name, array))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stored, "_AT_ONCE", at_once)
            blocks = list(record.blocks(layers, heads))
        found = np.full(SHAPE, np.nan, np.float32)
        for block in blocks:
            for head, own in zip(block.heads, block.weights, strict=True):
                assert np.isnan(found[block.layer, head, block.rows]).all()
                found[block.layer, head, block.rows] = own
        expected = np.full(SHAPE, np.nan, np.float32)
        expected[np.ix_(layers, heads)] = array[np.ix_(layers, heads)]
        np.testing.assert_array_equal(found, expected)
        assert [block.layer for block in blocks] == sorted((block.layer for block in blocks), key=layers.index)
        assert max(block.weights.size for block in blocks) <= max(at_once, SHAPE[3])

    def test_sums_are_the_same_to_the_last_bit_whatever_the_memory(self, few: int, name: str, tmp_path: Path) -> None:
        path = write(tmp_path, name, WEIGHTS)
        held = bin_weights(OPENERS[path.suffix[1:]](path.read_bytes()))
        for memory in (1, 10**5, 10**9):
            np.testing.assert_array_equal(bin_weights(open_file(path, memory)), held)

    def test_all_of_them_are_the_record_itself(self, few: int, name: str, tmp_path: Path) -> None:
        (record,) = read_result("npy" if name == "npy" else "npz", write(tmp_path, name, WEIGHTS)).attention
        np.testing.assert_array_equal(record.weights, WEIGHTS)

    def test_an_array_is_never_in_memory_whole(self, few: int, name: str, tmp_path: Path) -> None:
        array = np.tile(WEIGHTS, (1, 1, 97, 1))
        saved = open_file(write(tmp_path, name, array))
        bin_weights(saved)  # what is kept for good is no part of it
        tracemalloc.start()
        bin_weights(saved)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < array.nbytes / 2

    def test_heads_that_are_not_asked_for_are_not_read(self, few: int, tmp_path: Path) -> None:
        path = write(tmp_path, "npy", WEIGHTS)
        record = open_record(path)
        broken, before = WEIGHTS.copy(), path.stat()
        broken[1, :3] = broken[1, 4:] = np.nan
        write(tmp_path, "npy", broken)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # unnoticed
        for block in record.blocks([1], [3]):
            np.testing.assert_array_equal(block.weights[0], WEIGHTS[1, 3, block.rows])


class TestProof:
    """A record is proved when it is made, piece by piece."""

    @pytest.mark.parametrize("place", [(0, 0, 0), (1, 3, 4), (2, 4, 6)])
    def test_a_row_that_is_no_distribution_is_named_wherever_it_stands(
        self, few: int, name: str, place: tuple[int, int, int], tmp_path: Path
    ) -> None:
        broken = WEIGHTS.copy()
        broken[place] *= 3
        layer, head, row = place
        said = rf"layer {layer} head {head}, row {row} \({row}\) sums to 3, .* Save the weights after softmax"
        with pytest.raises(RecordError, match=said):
            open_file(write(tmp_path, name, broken))

    def test_numbers_that_are_not_finite_are_not_said_to_be_scores(self, few: int, name: str, tmp_path: Path) -> None:
        broken = WEIGHTS.copy()
        broken[2, 4, 6, 10] = np.nan
        with pytest.raises(RecordError, match=r"layer 2 head 4, row 6 .* sums to nan") as raised:
            open_file(write(tmp_path, name, broken))
        assert "softmax" not in str(raised.value)

    def test_bytes_that_are_damaged_at_the_very_end_are_noticed(self, few: int, tmp_path: Path) -> None:
        path = write(tmp_path, "npz", WEIGHTS)
        data = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            (info,) = archive.infolist()
        last = data.index(WEIGHTS.tobytes()[-44:])  # the last row, which stands as it is
        data[last : last + 44] = WEIGHTS[0, 0, 0].tobytes()  # a distribution as well, but not what was saved
        assert last < info.compress_size + 200
        path.write_bytes(data)
        with pytest.raises(RecordError, match='"weights" cannot be read: its bytes are damaged'):
            open_file(path)

    def test_a_file_that_is_cut_after_it_was_opened_is_refused_in_a_sentence(
        self, few: int, name: str, tmp_path: Path
    ) -> None:
        path = write(tmp_path, name, WEIGHTS)
        record = open_record(path)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
        with pytest.raises(RecordError, match="was changed or removed while it was read"):
            list(record.blocks(range(3), range(5)))

    def test_a_file_that_holds_other_weights_now_is_not_read_in_part(self, few: int, name: str, tmp_path: Path) -> None:
        path = write(tmp_path, name, WEIGHTS)
        record = open_record(path)
        write(tmp_path, name, WEIGHTS[::-1])
        os.utime(path, ns=(0, 0))  # however coarse the clock of the file system is
        with pytest.raises(RecordError, match="was changed or removed while it was read"):
            list(record.blocks(range(3), range(5)))

    def test_a_file_that_is_gone_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        path = write(tmp_path, "npy", WEIGHTS)
        record = open_record(path)
        path.unlink()
        with pytest.raises(RecordError, match="was changed or removed while it was read"):
            list(record.blocks([0], [0]))


class TestMemory:
    def test_columns_one_after_the_other_have_to_fit_twice(self, name: str, tmp_path: Path) -> None:
        path = write(tmp_path, name, np.asfortranarray(WEIGHTS))
        (record,) = open_file(path, 2 * WEIGHTS.nbytes).records
        assert record.shape == SHAPE
        with pytest.raises(RecordError, match=r"save numpy.ascontiguousarray of it, or allow more with `memory`"):
            open_file(path, 2 * WEIGHTS.nbytes - 1)

    def test_bytes_that_are_in_memory_already_have_to_fit(self, tmp_path: Path) -> None:
        data = write(tmp_path, "npy", WEIGHTS).read_bytes()
        assert OPENERS["npy"](data, WEIGHTS.nbytes).records
        with pytest.raises(RecordError, match=f"would take {WEIGHTS.nbytes:,} bytes .* give it as a file of arrays"):
            OPENERS["npy"](data, WEIGHTS.nbytes - 1)

    def test_what_is_read_whole_has_to_fit(self, name: str, tmp_path: Path) -> None:
        path, form = write(tmp_path, name, WEIGHTS.astype("f2")), "npy" if name == "npy" else "npz"
        assert read_result(form, path, WEIGHTS.nbytes).attention  # in single precision, as records hold them
        with pytest.raises(RecordError, match=f"would take {WEIGHTS.nbytes:,} bytes of memory"):
            read_result(form, path, WEIGHTS.nbytes - 1)


class TestKind:
    @pytest.mark.parametrize("row", range(10))
    def test_one_weight_on_a_later_key_makes_an_encoder_wherever_it_stands(
        self, few: int, row: int, tmp_path: Path
    ) -> None:
        causal = np.repeat(np.tril(np.ones((1, 1, 11, 11))) / np.arange(1, 12)[:, None], 5, axis=1)
        assert open_record(write(tmp_path, "npy", causal)).kind is Kind.DECODER
        causal[0, 4, row, row : row + 2] = causal[0, 4, row, row] / 2
        assert open_record(write(tmp_path, "npy", causal)).kind is Kind.ENCODER


def bin_weights(saved: Saved) -> np.ndarray:
    """Return the weights between three stretches of what was saved."""
    model, reading = restore(saved)
    ((found,),) = model.reduce([reading], Selection(), lambda axes: make_keeper(axes, Bins(3)))
    return found.weights
