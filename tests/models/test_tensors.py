import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from safetensors.numpy import save, save_file

from attnviz.errors import ModelError
from attnviz.models.checkpoint.tensors import find_tensors

ROWS, WIDTH = 5, 3


def written(folder: Path, header: Any, data: bytes = bytes(4 * ROWS * WIDTH)) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def entry(**changes: Any) -> dict[str, Any]:
    return {"t": {"dtype": "F32", "shape": [ROWS, WIDTH], "data_offsets": [0, 4 * ROWS * WIDTH]} | changes}


@given(st.dictionaries(st.text("abc.", min_size=1, max_size=7), st_numpy.arrays(np.float32, st_numpy.array_shapes())))
def test_what_the_library_writes_is_read(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray]):
    path = tmp_path_factory.mktemp("x") / "model.safetensors"
    path.write_bytes(save(arrays, {"format": "pt"}))
    found = find_tensors([path])
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name].read(), array)
        assert found[name].size == array.size


@given(st.lists(st.integers(0, ROWS - 1), max_size=11))
def test_rows_are_those_of_the_whole_in_the_order_asked_for(tmp_path_factory: pytest.TempPathFactory, rows: list[int]):
    path = tmp_path_factory.mktemp("x") / "model.safetensors"
    array = np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)
    save_file({"a": np.ones(7, np.float32), "t": array}, path)
    wanted = np.array(rows, np.int64)
    np.testing.assert_array_equal(find_tensors([path])["t"][wanted], array[wanted])


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        {"t": 3},
        {"t": {}},
        entry(shape=[7]),
        entry(shape="ab"),
        entry(shape=[5.0, 3]),
        entry(shape=[-5, -3]),
        entry(shape=[5, 4]),
        entry(data_offsets=[0]),
        entry(data_offsets=[0.0, 60.0]),
        entry(data_offsets=[60, 0]),
        entry(data_offsets=[-60, 0]),
        entry(data_offsets=[4, 64]),
        entry(data_offsets=[0, 10**30]),
    ],
    ids=repr,
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, header: Any):
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        find_tensors([written(tmp_path, header)])


def test_a_header_longer_than_the_file_is_not_read(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(ModelError, match="damaged"):
        find_tensors([path])


@pytest.mark.parametrize("dtype", ["I64", "F8_E4M3", "BOOL"])
def test_other_numbers_may_lie_beside_but_are_not_read(tmp_path: Path, dtype: str):
    found = find_tensors([written(tmp_path, entry(dtype=dtype))])["t"]
    with pytest.raises(ModelError, match=dtype):
        found.read()


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ModelError, match=r"gone\.safetensors cannot be read"):
        find_tensors([tmp_path / "gone.safetensors"])
