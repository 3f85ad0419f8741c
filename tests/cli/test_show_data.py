import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.records import Attention

TEXT = "The animal didn't cross the street, because it was too tired."
COLUMNS = "text_index,kind,layer,head,query,query_token,key,key_token,weight"
Run = Callable[..., Any]
Attend = Callable[[str], Attention]


def weights(fields: dict[str, Any]) -> np.ndarray:
    return np.array(fields["weights"], np.float32)


@pytest.fixture(scope="module")
def record(run: Run) -> dict[str, Any]:
    done = run("show", TEXT, "--format", "json")
    assert (done.code, done.err) == (0, "")
    (only,) = done.records
    return only


class TestJson:
    def test_a_record_holds_what_the_contract_names(self, record: dict[str, Any], attend: Attend) -> None:
        assert record["text"] == TEXT
        assert record["model"] == "builtin/encoder"
        (fields,) = record["attention"]
        named = {"kind", "layers", "heads", "query_tokens", "key_tokens", "query_spans", "key_spans", "weights"}
        assert named <= set(fields)
        expected = attend(TEXT)
        assert fields["kind"] == "encoder"
        assert fields["layers"] == list(range(expected.shape[0]))
        assert fields["heads"] == list(range(expected.shape[1]))
        assert fields["query_tokens"] == fields["key_tokens"] == [token.text for token in expected.key_tokens]
        assert fields["query_spans"] == fields["key_spans"]

    def test_weights_are_the_models_to_the_last_bit(self, record: dict[str, Any], attend: Attend) -> None:
        written, expected = weights(record["attention"][0]), attend(TEXT).weights
        assert written.shape == expected.shape
        assert written.tobytes() == expected.tobytes()

    def test_spans_cut_the_tokens_out_of_the_text_and_special_tokens_have_none(self, record: dict[str, Any]) -> None:
        (fields,) = record["attention"]
        spans = dict(zip(range(len(fields["key_tokens"])), fields["key_spans"], strict=True))
        special = [position for position, span in spans.items() if span is None]
        assert special == [0, len(spans) - 1]
        cut = [TEXT[slice(*span)] for span in fields["key_spans"] if span]
        assert cut == fields["key_tokens"][1:-1]
        assert "".join(cut) == TEXT.replace(" ", "")

    def test_it_is_one_line_and_strict_json(self, run: Run) -> None:
        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        done = run("show", "a \u2028 b \x85 c", "--format", "json", "--layer", "0", "--head", "0")
        assert done.stdout.count(b"\n") == 1
        assert json.loads(done.stdout, parse_constant=refuse)["text"] == "a \u2028 b \x85 c"


@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t")])
class TestSeparatedRows:
    TEXT = 'He said, "no, the cat".'

    def test_a_row_a_weight_under_the_header_of_the_contract(
        self, run: Run, attend: Attend, form: str, delimiter: str
    ) -> None:
        done = run("show", self.TEXT, "--format", form)
        assert done.code == 0
        assert done.out.splitlines()[0] == COLUMNS.replace(",", delimiter)
        expected = attend(self.TEXT)
        rows = done.rows(delimiter)
        assert len(rows) == expected.weights.size
        places = [tuple(int(row[name]) for name in ("layer", "head", "query", "key")) for row in rows]
        assert places == list(np.ndindex(expected.weights.shape))
        assert {row["text_index"] for row in rows} == {"0"}
        assert {row["kind"] for row in rows} == {"encoder"}
        assert np.array([row["weight"] for row in rows]).astype(np.float32).tobytes() == expected.weights.tobytes()
        for name, tokens in (("query", expected.query_tokens), ("key", expected.key_tokens)):
            assert all(row[f"{name}_token"] == tokens[int(row[name])].text for row in rows)

    def test_several_texts_share_a_header_and_are_numbered(self, run: Run, form: str, delimiter: str) -> None:
        done = run("show", "the cat", "a dog", "it", "--format", form, "--layer", "1", "--head", "2")
        assert done.out.count(COLUMNS.split(",")[0]) == 1
        rows = done.rows(delimiter)
        assert sorted({row["text_index"] for row in rows}) == ["0", "1", "2"]
        assert [row["key_token"] for row in rows if row["text_index"] == "2" and row["query"] == "0"][1:-1] == ["it"]


class TestSelection:
    @pytest.mark.parametrize(
        ("options", "layers", "heads"),
        [
            (["--layer", "2"], [2], [0, 1, 2, 3, 4, 5]),
            (["--head", "5", "--layer", "0,3"], [0, 3], [5]),
            (["--layer", "1-3", "--head", "0-1,4"], [1, 2, 3], [0, 1, 4]),
            (["--layer", "3", "--layer", "0", "--head", "2", "--head", "2", "--head", "1"], [3, 0], [2, 1]),
            (["--layer", " 1 , 2 "], [1, 2], [0, 1, 2, 3, 4, 5]),
        ],
        ids=["one layer", "a list", "ranges", "repeated", "blanks"],
    )
    def test_layers_and_heads_come_as_asked_with_their_own_numbers(
        self, run: Run, attend: Attend, options: list[str], layers: list[int], heads: list[int]
    ) -> None:
        (fields,) = run("show", "the cat sat", "--format", "json", *options).records[0]["attention"]
        assert (fields["layers"], fields["heads"]) == (layers, heads)
        assert_array_equal(weights(fields), attend("the cat sat").weights[np.ix_(layers, heads)])

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--layer", "4"], ["no layer 4", "layers 0 to 3"]),
            (["--head", "0,17"], ["no head 17", "heads 0 to 5"]),
            (["--layer", "2-9"], ["no layer 4", "0 to 3"]),
            (["--layer", "3-1"], ["3-1", "1-3"]),
            (["--layer", "-1"], ["'-1'", "0-3"]),
            (["--head", "one"], ["'one'"]),
            (["--head", ""], ["''"]),
            (["--kind", "decoder"], ["no decoder attention", "encoder"]),
            (["--kind", "self"], ["'self'", "encoder, decoder, cross"]),
            (["--format", "npz"], ["'npz'", "table, json, csv, tsv"]),
        ],
    )
    def test_what_is_not_there_is_wrong_usage_and_says_what_there_is(
        self, run: Run, options: list[str], said: list[str]
    ) -> None:
        done = run("show", "the cat", *options)
        done.assert_failed(2, *said)
        assert done.stdout == b""

    def test_a_range_without_end_is_refused_at_once(self, run: Run) -> None:
        run("show", "the cat", "--layer", "0-99999999999999").assert_failed(2, "layer")

    def test_the_kind_that_there_is_may_be_named(self, run: Run) -> None:
        (fields,) = run("show", "the", "--kind", "encoder", "--format", "json").records[0]["attention"]
        assert fields["kind"] == "encoder"


class TestMean:
    def test_it_averages_what_was_selected_and_says_so(self, run: Run, attend: Attend) -> None:
        options = ("--mean", "--layer", "1,3", "--head", "0-2")
        (fields,) = run("show", "the cat sat", "--format", "json", *options).records[0]["attention"]
        assert (fields["layers"], fields["heads"]) == ([-1], [-1])
        expected = attend("the cat sat").weights[[1, 3], :3].mean((0, 1), dtype=np.float64)
        assert_allclose(weights(fields)[0, 0], expected, atol=1e-6)
        assert "1,3" in str(fields["notes"])
        assert "0-2" in str(fields["notes"])


class TestNoSpecial:
    def test_special_tokens_go_rows_sum_to_one_and_the_notes_say_so(self, run: Run, attend: Attend) -> None:
        (fields,) = run("show", "the cat sat", "--format", "json", "--no-special").records[0]["attention"]
        assert fields["key_tokens"] == [token.text for token in attend("the cat sat").key_tokens[1:-1]]
        assert None not in fields["query_spans"] + fields["key_spans"]
        left = attend("the cat sat").weights[..., 1:-1, 1:-1]
        assert_allclose(weights(fields), left / left.sum(-1, keepdims=True), atol=1e-6)
        assert "special tokens dropped" in str(fields["notes"])
        assert "renormalised" in str(fields["notes"])

    def test_without_it_nothing_is_noted(self, record: dict[str, Any]) -> None:
        assert record["attention"][0]["notes"] == []


class TestToken:
    TEXT = "The cat saw the dog and the bird."

    @pytest.mark.parametrize(
        ("wanted", "starts"), [("the", [0, 12, 24]), ("THE", [0, 12, 24]), ("dog", [16]), (".", [32])]
    )
    def test_a_word_keeps_the_rows_of_every_occurrence(
        self, run: Run, attend: Attend, wanted: str, starts: list[int]
    ) -> None:
        (fields,) = run("show", self.TEXT, "--format", "json", "--token", wanted).records[0]["attention"]
        all_of_it = attend(self.TEXT)
        rows = [
            t.position
            for t in all_of_it.query_tokens
            if t.span and any(s <= t.span[0] < s + len(wanted) for s in starts)
        ]
        assert [span[0] for span in fields["query_spans"] if span[0] in starts] == starts
        assert_array_equal(weights(fields), all_of_it.weights[:, :, rows])
        assert len(fields["key_tokens"]) == all_of_it.shape[3]

    def test_a_number_is_a_position(self, run: Run, attend: Attend) -> None:
        rows = run("show", self.TEXT, "--format", "csv", "--token", "3", "--layer", "0", "--head", "0").rows()
        assert {row["query"] for row in rows} == {"3"}
        assert len(rows) == attend(self.TEXT).shape[3]

    @pytest.mark.parametrize("form", ["json", "table"])
    def test_a_word_that_is_not_there_is_said_with_those_that_are(self, run: Run, form: str) -> None:
        done = run("show", "the cat", "--token", "dog", "--format", form)
        done.assert_failed(1, "no token 'dog'", "0 [CLS]", "1 the")
        assert done.stdout == b""

    def test_a_number_beyond_the_text_or_beyond_reason_is_no_token(self, run: Run) -> None:
        run("show", "the cat", "--token", "99").assert_failed(1, "no token '99'")
        run("show", "the cat", "--token", "9" * 5000).assert_failed(1, "no token '999")


class TestModelName:
    def test_the_environment_names_the_default(self, run: Run) -> None:
        run("show", "the cat", "--offline", ATTNVIZ_MODEL="no/such").assert_failed(1, "no/such", "--offline")

    def test_the_option_goes_before_the_environment_and_builtin_is_the_encoder(self, run: Run) -> None:
        done = run("show", "the cat", "--model", "builtin", "--format", "json", ATTNVIZ_MODEL="no/such")
        assert done.records[0]["model"] == "builtin/encoder"

    def test_an_empty_variable_is_none(self, run: Run) -> None:
        assert run("show", "the cat", "--format", "tsv", "--head", "0", ATTNVIZ_MODEL="").code == 0


def test_every_number_has_the_digits_that_it_needs(run: Run, attend: Attend) -> None:
    options = ("--layer", "0", "--head", "0", "--format")
    in_json = re.findall(r"\d\.\d+(?:e-?\d+)?", run("show", TEXT, *options, "json").out.partition('"weights":')[2])
    in_rows = [row["weight"] for row in run("show", TEXT, *options, "csv").rows()]
    assert in_json == in_rows
    assert np.array(in_json).astype(np.float32).tobytes() == attend(TEXT).head(0, 0).tobytes()
    assert max(len(re.sub(r"^0\.0*|e.*", "", number)) for number in in_json) >= 7
