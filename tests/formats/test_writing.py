import csv
import io
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.testing import assert_array_equal

from attnviz.formats.writing import FILES, STREAMS, Result
from attnviz.records import Attention
from attnviz.vocabulary import Kind
from tests.build import HEADS, KEYS, LAYERS, QUERIES, record, tokens

COLUMNS = ["text_index", "kind", "layer", "head", "query", "query_token", "key", "key_token", "weight"]
QUERY_TOKENS, KEY_TOKENS = tokens(QUERIES, letter="q", first=3), tokens(KEYS, letter="k", special=[0])


def attention(kind: Kind = Kind.CROSS, **fields: Any) -> Attention:
    """Return a record whose queries begin with token 3 of their sequence, and whose first key is special."""
    return record(kind, **{"queries": QUERY_TOKENS, "keys": KEY_TOKENS, "notes": ("a note",)} | fields)


class TestJson:
    def fields(self, *records: Attention) -> dict[str, Any]:
        line = STREAMS["json"].encode(Result(3, "a text", records))
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        parsed: dict[str, Any] = json.loads(line)
        return parsed

    def test_the_axes_stand_in_their_order_with_their_names(self) -> None:
        made = attention()
        parsed = self.fields(made)
        assert (parsed["text"], parsed["model"]) == ("a text", "some/model")
        (fields,) = parsed["attention"]
        assert (fields["kind"], fields["layers"], fields["heads"]) == ("cross", [4, 1], [0, 7, 5])
        assert fields["query_tokens"] == [f"q{i}" for i in range(QUERIES)]
        assert fields["key_tokens"] == [f"k{i}" for i in range(KEYS)]
        assert fields["query_spans"] == [[3 * i, 3 * i + 2] for i in range(QUERIES)]
        assert fields["key_spans"] == [None, *([3 * i, 3 * i + 2] for i in range(KEYS - 1))]
        assert fields["notes"] == ["a note"]
        assert fields["query_positions"] == [3, 4, 5, 6, 7]
        assert "key_windows" not in fields
        weights = np.array(fields["weights"], np.float32)
        assert weights.shape == (2, 3, 5, 7)
        assert_array_equal(weights, made.weights)

    def test_tokens_that_were_read_in_windows_know_in_which(self) -> None:
        keys = [replace(token, window=token.position // 3) for token in KEY_TOKENS]
        (fields,) = self.fields(attention(keys=keys))["attention"]
        assert fields["key_windows"] == [0, 0, 0, 1, 1, 1, 2]
        assert "query_windows" not in fields

    def test_several_kinds_are_several_records_of_a_line(self) -> None:
        assert [f["kind"] for f in self.fields(attention(Kind.ENCODER), attention())["attention"]] == [
            "encoder",
            "cross",
        ]

    def test_weights_that_are_a_view_are_written_as_they_are_seen(self) -> None:
        made = attention()
        turned = made.select((1, 4), (5, 7, 0)).rows([4, 0, 2])
        (fields,) = self.fields(turned)["attention"]
        assert_array_equal(np.array(fields["weights"], np.float32), made.weights[::-1, [2, 1, 0]][:, :, [4, 0, 2]])

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_any_text_comes_back_and_none_holds_a_control_character(self, text: str) -> None:
        line = STREAMS["json"].encode(Result(0, text, [attention()]))
        assert json.loads(line)["text"] == text
        assert not [c for c in line.decode()[:-1] if ord(c) < 0x20 or 0x7F < ord(c) < 0xA0]


@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t")])
class TestSeparatedRows:
    def parsed(self, result: Result, form: str, delimiter: str) -> list[list[str]]:
        data = STREAMS[form].header(result) + STREAMS[form].encode(result)
        return list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter))

    def test_a_row_a_weight_in_the_order_of_the_axes(self, form: str, delimiter: str) -> None:
        made = attention()
        header, *rows = self.parsed(Result(17, "x", [made]), form, delimiter)
        assert header == COLUMNS
        expected = [
            ["17", "cross", str(LAYERS[i]), str(HEADS[h]), str(q + 3), f"q{q}", str(k), f"k{k}"]
            for i, h, q, k in np.ndindex(2, 3, 5, 7)
        ]
        assert [row[:-1] for row in rows] == expected
        assert_array_equal(np.array([row[-1] for row in rows]).astype(np.float32), made.weights.ravel())

    def test_kinds_follow_each_other_under_one_header(self, form: str, delimiter: str) -> None:
        _, *rows = self.parsed(Result(0, "x", [attention(Kind.DECODER), attention()]), form, delimiter)
        assert [row[1] for row in rows] == ["decoder"] * 210 + ["cross"] * 210

    @pytest.mark.parametrize(
        "name", ['"', '""', ",", "a,b", "\u21e5", "'", "=1+1", "<U+2028>", "\u65e5", "\u00a0x", ""]
    )
    def test_a_token_comes_back_whatever_it_is(self, form: str, delimiter: str, name: str) -> None:
        keys = [replace(token, text=name) for token in KEY_TOKENS]
        _, *rows = self.parsed(Result(0, "x", [attention(keys=keys)]), form, delimiter)
        assert {row[7] for row in rows} == {name}
        assert {len(row) for row in rows} == {9}


class TestNpz:
    def arrays(self, *records: Attention) -> dict[str, np.ndarray]:
        with np.load(io.BytesIO(FILES["npz"].encode(Result(0, "x", records))), allow_pickle=False) as loaded:
            return dict(loaded)

    def test_the_arrays_of_one_kind_have_plain_names(self) -> None:
        arrays = self.arrays(attention())
        assert set(arrays) == {"weights", "layers", "heads", "query_tokens", "key_tokens", "record"}
        assert_array_equal(arrays["weights"], attention().weights)
        assert arrays["layers"].tolist() == [4, 1]
        assert arrays["heads"].tolist() == [0, 7, 5]
        assert arrays["query_tokens"].tolist() == [f"q{i}" for i in range(QUERIES)]
        assert arrays["key_tokens"].tolist() == [f"k{i}" for i in range(KEYS)]

    def test_the_arrays_of_several_kinds_are_prefixed_by_them(self) -> None:
        arrays = self.arrays(attention(Kind.ENCODER), attention(Kind.DECODER), attention())
        names = ("weights", "layers", "heads", "query_tokens", "key_tokens")
        prefixed = {f"{kind}_{name}" for kind in ("encoder", "decoder", "cross") for name in names}
        assert set(arrays) == prefixed | {"record"}

    def test_the_rest_is_what_json_has_beside_the_arrays(self) -> None:
        made = Result(0, "a \x85 text", [attention(Kind.ENCODER), attention()], target="another")
        with np.load(io.BytesIO(FILES["npz"].encode(made)), allow_pickle=False) as loaded:
            assert loaded["record"].shape == ()
            rest = json.loads(str(loaded["record"]))
        whole = json.loads(FILES["json"].encode(made))
        for fields in whole["attention"]:
            for name in ("weights", "layers", "heads", "query_tokens", "key_tokens"):
                del fields[name]
        assert rest == whole

    def test_the_bytes_do_not_depend_on_the_day(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written = FILES["npz"].encode(Result(0, "x", [attention()]))
        later = time.localtime(time.time() + 10**7)
        monkeypatch.setattr(time, "localtime", lambda *_: later)
        assert FILES["npz"].encode(Result(0, "x", [attention()])) == written


def test_the_formats_of_the_contract_are_there() -> None:
    assert set(STREAMS) == {"json", "csv", "tsv"}
    assert set(FILES) >= {"json", "csv", "npz"}
