import contextlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.errors import RecordError
from attnviz.formats.archive import array_bytes
from attnviz.formats.reading import READERS
from attnviz.formats.writing import FILES, Result
from attnviz.measures.reducers import group_record
from attnviz.records import Attention
from attnviz.text import Bins, By, Grouping, Segment, Token, add_predictions, group_tokens, make_special_token
from attnviz.vocabulary import Engine, Kind
from tests.build import HEADS, LAYERS, distributions, record

FORMS = sorted(READERS.keys() & FILES.keys())
AXES = "query", "key"


def cut(text: str, number: int = 0, first: int = 0) -> list[Token]:
    """The tokens of a text: stretches of three characters, whatever these are."""
    segment = Segment(text, number)
    starts = range(0, len(text), 3)
    return [segment.token((start, min(start + 3, len(text))), first + i) for i, start in enumerate(starts)]


def between(attention: Attention, by: Grouping) -> Attention:
    return group_record(attention, by)


TEXT = "Mr. \U0001f468\u200d\U0001f469\u200d\U0001f467 didn't go.\tIt \u65e5\u672c\x85 \x1b[31m slept; cafe\u0301!"
SECOND = "Encore \u05e9\u05dc\u05d5\u05dd une fois."
SOURCE = [make_special_token("[CLS]", 0), *cut(TEXT, first=1), make_special_token("[SEP]", 99)]
PAIR = [*SOURCE, *cut(SECOND, 1, first=100), make_special_token("[SEP]", 120)]
TARGET = [make_special_token("<s>", 0), *cut(SECOND, 1, first=1)]
CONTINUED = list(add_predictions([*cut(TEXT), *cut(SECOND, 1, first=50)], 20))
ENCODER = record(names=SOURCE, notes=("a note",))
TRANSLATION = [
    record(names=SOURCE),
    record(Kind.DECODER, names=list(add_predictions(TARGET))),
    record(
        queries=list(add_predictions(TARGET)),
        keys=SOURCE,
        layers=LAYERS,
        heads=HEADS,
        sink=True,
        weights=distributions(2, 3, len(TARGET), len(SOURCE)) / 2,
    ),
]

RESULTS = {
    "an encoder": Result(0, TEXT, [ENCODER]),
    "a pair": Result(0, TEXT, [record(names=PAIR)], pair=SECOND),
    "a translation": Result(0, TEXT, TRANSLATION, target=SECOND, written=True, ended=False),
    "cross-attention alone": Result(0, TEXT, TRANSLATION[2:], target=SECOND),
    "a decoder's share": Result(0, TEXT, TRANSLATION[1:2], target=SECOND),
    "a continued text": Result(0, TEXT, [record(Kind.DECODER, names=CONTINUED)], target=SECOND, written=True),
    "an average": Result(0, TEXT, [ENCODER.mean()]),
    "no special tokens": Result(0, TEXT, [ENCODER.without_special()]),
    "some rows": Result(0, TEXT, [ENCODER.rows([2, 3, 7])]),
    "some heads": Result(0, TEXT, [ENCODER.select([1], [5, 0])]),
    "words": Result(0, TEXT, [between(ENCODER, By.WORD)]),
    "sentences": Result(0, TEXT, [between(ENCODER, By.SENTENCE)]),
    "segments of a pair": Result(0, TEXT, [between(record(names=PAIR), By.SEGMENT)], pair=SECOND),
    "bins": Result(0, TEXT, [between(ENCODER, Bins(5))]),
    "bins of a translation": Result(0, TEXT, [between(one, Bins(3)) for one in TRANSLATION], target=SECOND),
    "windows": Result(
        0, TEXT, [record(Kind.ENCODER, queries=SOURCE, keys=[replace(one, window=one.position // 5) for one in SOURCE])]
    ),
    "half precision": Result(0, TEXT, [record(names=SOURCE, precision="float16", engine=Engine.TRANSFORMERS)]),
}


@pytest.mark.parametrize("form", FORMS)
class TestRoundTrip:
    @pytest.mark.parametrize("name", RESULTS)
    def test_what_was_saved_comes_back_with_its_words_and_sentences(self, form: str, name: str) -> None:
        saved = RESULTS[name]
        data = FILES[form].encode(saved)
        read = READERS[form](data)
        assert FILES[form].encode(read) == data
        assert replace(read, attention=()) == replace(saved, attention=())
        for ours, theirs in zip(read.attention, saved.attention, strict=True):
            assert ours.query_tokens == theirs.query_tokens
            assert ours.key_tokens == theirs.key_tokens
            assert_array_equal(ours.weights, theirs.weights)

    @given(
        text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        by=st.sampled_from([*By, Bins(1), Bins(3)]),
    )
    def test_any_text_comes_back_in_any_grouping(self, form: str, text: str, by: Grouping) -> None:
        tokens = [make_special_token("[CLS]", 0), *cut(text, first=1)]
        saved = Result(0, text, [between(record(Kind.DECODER, names=tokens), by)])
        read = READERS[form](FILES[form].encode(saved))
        assert read.text == text
        assert read.attention[0].query_tokens == saved.attention[0].query_tokens
        assert FILES[form].encode(read) == FILES[form].encode(saved)


@pytest.mark.parametrize("form", FORMS)
def test_ids_names_and_what_is_unknown_come_back(form: str) -> None:
    known = [replace(token, id=7 * i, piece=f"▁{i}", unknown=i == 2) for i, token in enumerate(SOURCE)]
    result = Result(0, TEXT, [record(names=known)])
    (attention,) = READERS[form](FILES[form].encode(result)).attention
    assert attention.query_tokens == attention.key_tokens == tuple(known)


def test_ids_and_names_are_not_made_up() -> None:
    (saved,) = json.loads(FILES["json"].encode(Result(0, TEXT, [record(names=SOURCE)])))["attention"]
    assert not {f"{axis}_{name}" for axis in AXES for name in ("ids", "pieces", "unknown")} & set(saved)


def test_one_format_reads_what_another_has_written_of_the_same() -> None:
    for saved in RESULTS.values():
        back = READERS["npz"](FILES["npz"].encode(READERS["json"](FILES["json"].encode(saved))))
        assert FILES["json"].encode(back) == FILES["json"].encode(saved)


NAMES = ["the", "cat", "sat"]


def foreign(**changes: Any) -> dict[str, Any]:
    """The least that a record has to say."""
    return {"query_tokens": NAMES, "key_tokens": NAMES, "weights": distributions(2, 5, 3, 3).tolist()} | changes


def from_json(*records: Any, **beside: Any) -> Result:
    return READERS["json"](json.dumps({"attention": list(records), **beside}).encode())


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \t", "\n\n\n"])
@pytest.mark.parametrize(
    ("begun", "line", "column"), [('{"attention": [', 1, 16), ('{"text":\n "a",', 2, 6), ("", 1, 1)]
)
def test_where_json_is_cut_off_is_said_of_the_last_line_that_has_text(
    begun: str, line: int, column: int, end: str
) -> None:
    with pytest.raises(RecordError, match=f"line {line} column {column} "):
        READERS["json"]((begun + end).encode())


def from_npz(**arrays: Any) -> Result:
    file = io.BytesIO()
    np.savez(file, **{name: np.asarray(array) for name, array in arrays.items()})
    return READERS["npz"](file.getvalue())


@pytest.mark.parametrize("read", [from_npz, lambda **own: from_json(own)], ids=["npz", "json"])
class TestOtherPrograms:
    def test_weights_and_tokens_are_enough(self, read: Callable[..., Result]) -> None:
        result = read(**foreign())
        (made,) = result.attention
        assert (result.text, result.pair, result.target) == ("the cat sat", None, None)
        assert (made.layers, made.heads) == ((0, 1), (0, 1, 2, 3, 4))
        assert (
            made.query_tokens
            == made.key_tokens
            == tuple(Token(name, i, (4 * i, 4 * i + 3), word=i) for i, name in enumerate(NAMES))
        )
        assert (made.engine, made.precision, made.sink, made.by) == (Engine.UNKNOWN, "float32", False, By.TOKEN)
        assert_allclose(made.weights, distributions(2, 5, 3, 3), atol=1e-7)

    def test_each_token_is_a_word_of_its_own_whatever_it_holds(self, read: Callable[..., Result]) -> None:
        names = ["[CLS]", "##ing", "New York", " ", "...", ""]
        (made,) = read(query_tokens=names, key_tokens=names, weights=distributions(1, 1, 6, 6).tolist()).attention
        assert group_tokens(made.key_tokens, By.WORD).index == (0, 1, 2, 3, 4, 5)

    def test_the_kind_is_decoder_if_nothing_looks_ahead_and_cross_between_different_tokens(
        self, read: Callable[..., Result]
    ) -> None:
        causal = np.tril(np.ones((2, 5, 3, 3))) / np.arange(1, 4)[:, None]
        across = foreign(query_tokens=["le", "chat"], weights=distributions(2, 5, 2, 3).tolist())
        assert read(**foreign()).attention[0].kind is Kind.ENCODER
        assert read(**foreign(weights=causal.tolist())).attention[0].kind is Kind.DECODER
        crossing = read(**across)
        assert crossing.attention[0].kind is Kind.CROSS
        assert (crossing.text, crossing.target) == ("the cat sat", "le chat")
        assert crossing.attention[0].query_tokens[1] == Token("chat", 1, (3, 7), word=1, segment=1)

    def test_the_layers_and_heads_that_are_named_are_kept(self, read: Callable[..., Result]) -> None:
        (made,) = read(**foreign(layers=[9, 3], heads=[4, 0, 2, 8, 6])).attention
        assert (made.layers, made.heads) == ((9, 3), (4, 0, 2, 8, 6))

    def test_what_a_terminal_would_obey_is_made_visible(self, read: Callable[..., Result]) -> None:
        (made,) = read(**foreign(key_tokens=["\x1b[31m", "\x9b", "x"])).attention
        assert [token.text for token in made.key_tokens] == ["\u241b[31m", "<U+009B>", "x"]


class TestOtherJson:
    def test_spans_that_are_not_told_are_found_in_the_text(self) -> None:
        names = ["[CLS]", "play", "ing", "now"]
        own = {"query_tokens": names, "key_tokens": names, "weights": distributions(1, 1, 4, 4).tolist()}
        (made,) = from_json(own, text="Playing now").attention
        assert [token.span for token in made.key_tokens] == [None, (0, 4), (4, 7), (8, 11)]
        assert group_tokens(made.key_tokens, By.WORD).index == (0, 1, 1, 2)

    def test_queries_that_are_only_some_of_the_tokens_are_not_looked_for(self) -> None:
        (made,) = from_json(
            foreign(kind="encoder", query_tokens=["the"], weights=distributions(2, 5, 1, 3).tolist())
        ).attention
        assert (made.query_tokens[0].span, made.key_tokens[0].span) == (None, (0, 3))

    def test_tokens_whose_span_is_null_are_special(self) -> None:
        (made,) = from_json(foreign(key_spans=[None, [4, 7], [8, 11]])).attention
        assert [token.special for token in made.key_tokens] == [True, False, False]

    def test_several_kinds_are_those_of_a_translation(self) -> None:
        own = foreign(kind="encoder")
        across = foreign(kind="cross", query_tokens=["le", "chat"], weights=distributions(2, 5, 2, 3).tolist())
        result = from_json(own, across, text="The cat sat", model="m\x07")
        assert [made.kind for made in result.attention] == [Kind.ENCODER, Kind.CROSS]
        assert {made.model for made in result.attention} == {"m\u2407"}
        assert (result.text, result.target) == ("The cat sat", "le chat")

    def test_numbers_that_are_rounded_pass_if_it_is_said(self) -> None:
        rounded = np.round(distributions(2, 5, 3, 3), 3).tolist()
        with pytest.raises(RecordError, match='"precision": "float16"'):
            from_json(foreign(weights=rounded))
        assert from_json(foreign(weights=rounded, precision="float16")).attention[0].precision == "float16"

    def test_rows_that_sum_to_less_pass_if_it_is_said(self) -> None:
        half = (distributions(2, 5, 3, 3) / 2).tolist()
        with pytest.raises(RecordError, match='"sink": true'):
            from_json(foreign(weights=half))
        assert from_json(foreign(weights=half, sink=True)).attention[0].sink


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_may_have_any_precision_and_order(dtype: str, order: Any) -> None:
    (made,) = from_npz(**foreign(weights=np.asarray(distributions(2, 5, 3, 3), dtype, order=order))).attention
    assert made.precision == ("float16" if dtype == "float16" else "float32")
    assert_allclose(made.weights, distributions(2, 5, 3, 3), atol=1e-3)


def test_arrays_of_several_kinds_are_read_by_their_prefixes() -> None:
    crossing = {f"cross_{name}": value for name, value in foreign().items()}
    kinds = [made.kind for made in from_npz(**crossing, **{f"encoder_{n}": v for n, v in foreign().items()}).attention]
    assert kinds == [Kind.ENCODER, Kind.CROSS]


def nested(weights: Any, place: tuple[int, ...], value: Any) -> Any:
    """Weights with another value in one place."""
    changed = deepcopy(weights)
    inner = changed
    for index in place[:-1]:
        inner = inner[index]
    inner[place[-1]] = value
    return changed


WEIGHTS = distributions(2, 5, 3, 3).tolist()
KINDS = foreign(kind="encoder"), foreign(kind="decoder")


class TestMalformed:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            (
                {"weights": nested(WEIGHTS, (1, 2, 0), [0.5, 0.5])},
                r'"weights"\[1\]\[2\]\[0\] holds 2 key_tokens, but 3 are named',
            ),
            (
                {"weights": nested(WEIGHTS, (0, 4), [[1, 0, 0]])},
                r'"weights"\[0\]\[4\] holds 1 query_tokens, but 3 are named',
            ),
            ({"weights": WEIGHTS[0]}, r'"weights"\[0\]\[0\]\[0\] is not a list'),
            ({"weights": [WEIGHTS]}, r'"weights"\[0\]\[0\] holds 5 query_tokens, but 3 are named'),
            ({"weights": nested(WEIGHTS, (1, 2, 0, 1), None)}, r'"weights"\[1\]\[2\]\[0\]\[1\] is not a number'),
            ({"weights": nested(WEIGHTS, (1, 2, 0, 1), "0.5")}, r'"weights"\[1\]\[2\]\[0\]\[1\] is not a number'),
            ({"weights": nested(WEIGHTS, (1, 2, 0, 1), {})}, r'"weights"\[1\]\[2\]\[0\]\[1\] is not a number'),
            (
                {"weights": nested(WEIGHTS, (1, 2, 0), [-0.5, 1, 0.5])},
                "layer 1 head 2, row 0 .the. sums to 1, smallest -0.5",
            ),
            ({"weights": nested(WEIGHTS, (1, 2, 2), [0.5, 0, 0])}, "layer 1 head 2, row 2 .sat. sums to 0.5"),
            ({"weights": nested(WEIGHTS, (1, 2, 2), [2**70, 0, 0])}, "layer 1 head 2, row 2 .sat. sums to"),
            ({"weights": []}, "empty"),
            ({"weights": [[]]}, "empty"),
            ({"weights": 7}, "is not a list"),
            ({"weights": "x"}, "is not a list"),
            ({"weights": None}, '"weights" is missing'),
            ({"key_tokens": None}, '"key_tokens" is missing'),
            ({"key_tokens": ["the", "cat"]}, "holds 3 key_tokens, but 2 are named"),
            ({"query_tokens": []}, "holds 3 query_tokens, but 0 are named"),
            ({"key_tokens": "the"}, '"key_tokens" is not a list'),
            ({"key_tokens": ["the", "cat", 3]}, r'"key_tokens"\[2\] is not a text'),
            ({"layers": [0]}, "holds 2 layers, but 1 are named"),
            ({"layers": [4, 4]}, '"layers" are 4, 4'),
            ({"layers": [4, -1]}, '"layers" are 4, -1'),
            ({"layers": [0, -2]}, r'"layers"\[1\] is not a whole number'),
            ({"heads": [0, 1, 2, 3, True]}, r'"heads"\[4\] is not a whole number'),
            ({"heads": [0, 1, 2, 3, 10**30]}, r'"heads"\[4\] is not a whole number'),
            ({"kind": "self"}, '"kind" is not one of encoder, decoder, cross'),
            ({"kind": ["encoder"]}, '"kind" is not one of'),
            ({"by": "paragraph"}, '"by" is not token, word'),
            ({"by": "bins:" + "9" * 5000}, '"by" is not token, word'),
            ({"by": "bins:0"}, '"by" is not token, word'),
            ({"precision": "int8"}, '"precision" is not one of float64'),
            ({"sink": 1}, '"sink" is not true or false'),
            ({"notes": "a note"}, '"notes" is not a list'),
            ({"key_spans": [[0, 3], [4, 7]]}, '"key_spans" has 2 entries for 3 tokens'),
            ({"key_spans": [[0, 3], [4, 7], [8, 12]]}, "key 2 .sat. has the span .8, 12., beyond the 11 characters"),
            ({"key_spans": [[0, 3], [7, 4], [8, 11]]}, r'"key_spans"\[1\] is not .start, end.'),
            ({"key_spans": [[0, 3], [4], [8, 11]]}, r'"key_spans"\[1\] is not'),
            ({"kind": "cross", "key_segments": [0, 0, 1]}, "key 2 .sat. is of text 1, which is not there"),
            ({"key_segments": [0, 0, 7]}, "key 2 .sat. is of text 7, which is not there"),
            ({"query_positions": [0, 1, -1]}, r'"query_positions"\[2\] is not a whole number'),
            ({"query_predicts": [0, None, None]}, r'"query_predicts"\[0\] is not a text'),
            ({"query_windows": [0, 1, 1.5]}, r'"query_windows"\[2\] is not a whole number'),
        ],
    )
    def test_the_record_and_the_place_are_named(self, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(RecordError, match=said) as raised:
            from_json(KINDS[0], foreign(kind="decoder") | changes)
        assert str(raised.value).startswith("record 2 (") or changes.get("kind")
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize(
        ("records", "beside", "said"),
        [
            ([], {}, '"attention" is empty'),
            ([foreign(), foreign()], {}, '"attention" is encoder, encoder'),
            ([3], {}, r'"attention"\[0\] is not an object'),
            (KINDS, {"text": 3}, '"text" is not a text'),
            (KINDS, {"target": ["x"]}, '"target" is not a text'),
            (KINDS, {"engine": "mine"}, '"engine" is not one of'),
            (KINDS, {"written": "yes"}, '"written" is not true or false'),
        ],
    )
    def test_what_is_wrong_with_the_whole_line_is_named(self, records: Any, beside: dict[str, Any], said: str) -> None:
        with pytest.raises(RecordError, match=said):
            from_json(*records, **beside)

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "not a complete JSON object"),
            (b"[1]", "not a JSON object"),
            (b'{"attention": [{"kind', "not a complete JSON object"),
            (b'{"attention": [NaN]}', "NaN and Infinity are not allowed"),
            (b'{"attention": ' + b"[" * 5000, "depth limit"),
            (b'{"attention": null}', '"attention" is missing'),
            (b'{"attention": {}}', '"attention" is not a list'),
            (b'{"text": "caf\xe9"}', "not a complete JSON object"),
            (b'{"text": "\\ud800"}', "not a complete JSON object"),
        ],
    )
    def test_what_is_no_such_json_is_said_to_be_none(self, data: bytes, said: str) -> None:
        with pytest.raises(RecordError, match=said):
            READERS["json"](data)

    @pytest.mark.parametrize("depth", [3, 70, 900])
    def test_weights_nested_too_deep_are_no_numbers(self, depth: int) -> None:
        weights: Any = 1.0
        for _ in range(depth):
            weights = [weights]
        with pytest.raises(RecordError, match="is no"):
            from_json({"query_tokens": ["a"], "key_tokens": ["a"], "weights": weights})

    @given(st.data())
    def test_whatever_stands_anywhere_it_is_read_or_refused_in_a_sentence(self, data: st.DataObject) -> None:
        whole = json.loads(FILES["json"].encode(RESULTS["a translation"]))
        inner: Any = whole
        while True:
            key = data.draw(st.sampled_from(range(len(inner)) if isinstance(inner, list) else sorted(inner)))
            if not isinstance(inner[key], list | dict) or not inner[key] or data.draw(st.booleans()):
                break
            inner = inner[key]
        leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
        inner[key] = data.draw(st.recursive(leaves, lambda own: st.lists(own) | st.dictionaries(st.text(), own)))
        try:
            READERS["json"](json.dumps(whole).encode(errors="replace"))
        except RecordError as error:
            assert str(error)


SAVED = FILES["npz"].encode(RESULTS["a translation"])


def rewritten(name: str, data: bytes, **options: Any) -> bytes:
    """The archive of a foreign record, with other bytes for one array."""
    file = io.BytesIO()
    np.savez(file, **{key: np.asarray(value) for key, value in foreign().items() if key != name})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"{name}.npy", data, **options)
    return file.getvalue()


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


def claiming(*shape: int) -> bytes:
    """An array whose header promises more than follows."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


class TestMalformedArchives:
    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "This NPZ archive is not complete"),
            (b"PK\x03\x04", "This NPZ archive is not complete"),
            (SAVED[:-30], "This NPZ archive is not complete"),
            (SAVED[: len(SAVED) // 2], "This NPZ archive is not complete"),
            (rewritten("weights", npy(np.array([{}, 1]), allow_pickle=True)), "pickled objects"),
            (rewritten("weights", claiming(10**6, 10**6, 10**6, 1)), "announces 4,000,000,000,000,000,000 bytes"),
            (rewritten("weights", claiming(-1, 5)), '"weights" cannot be read'),
            (rewritten("weights", b""), '"weights" cannot be read'),
            (rewritten("weights", b"cos\nsystem\n(S'true'\ntR."), '"weights" cannot be read'),
            (rewritten("weights", npy(WEIGHTS)[:-8]), "announces 720 bytes"),
            (rewritten("weights", npy(np.zeros((2, 5, 3, 3), complex))), "other than numbers"),
            (rewritten("weights", npy(np.zeros((2, 5, 3, 3), "datetime64[s]"))), "is not a number"),
            (rewritten("weights", npy(np.full((2, 5, 3, 3), np.nan))), "row 0 .the. sums to nan"),
            (rewritten("weights", npy(np.full((2, 5, 3, 3), -np.inf))), "row 0 .the. sums to -inf"),
            (rewritten("weights", npy(distributions(3))), r"shape \(3,\), and \(3, 3\) query and key tokens"),
            (rewritten("key_tokens", npy(np.array([0x110000] * 3, np.uint32).view("<U1"))), "not valid Unicode"),
            (rewritten("key_tokens", npy(np.array([0xD800] * 3, np.uint32).view("<U1"))), "not valid Unicode"),
            (rewritten("key_tokens", npy([[1, 2, 3]])), r'"key_tokens"\[0\] is not a text'),
            (rewritten("key_tokens", npy("the")), '"key_tokens" is not a list'),
            (rewritten("layers", npy([0.5, 1.5])), r'"layers"\[0\] is not a whole number'),
            (rewritten("record", npy("{}")), '"attention" is missing'),
            (rewritten("record", npy("[]")), "not a JSON object"),
            (rewritten("record", npy(3)), "not a complete JSON object"),
            (rewritten("record", npy('{"attention": [{"kind": "cross"}, 7]}')), r'"attention"\[1\] is not an object'),
        ],
    )
    def test_the_array_is_named(self, data: bytes, said: str) -> None:
        with pytest.raises(RecordError, match=said) as raised:
            READERS["npz"](data)
        assert "\n" not in str(raised.value)

    def test_a_broken_list_of_its_arrays_never_hides_some(self) -> None:
        """Byte by byte: a length that swallows the next arrays, a name that no record asks for, an end elsewhere."""
        tokens = cut("a b")
        kinds = [record(kind, names=tokens, weights=np.ones((2, 3, 1, 1))) for kind in Kind]
        whole = FILES["npz"].encode(Result(0, "a b", kinds, target="a b"))
        expected = FILES["json"].encode(READERS["npz"](whole))
        for at in range(whole.index(b"PK\1\2"), len(whole)):
            broken = whole[:at] + (b"@" if whole[at] != ord("@") else b"A") + whole[at + 1 :]
            with contextlib.suppress(RecordError):
                assert FILES["json"].encode(READERS["npz"](broken)) == expected, at

    @pytest.mark.parametrize("data", [SAVED + SAVED, b" " + SAVED, SAVED + b" ", SAVED + SAVED[:99]])
    def test_nothing_stands_before_or_behind_it_that_would_not_be_shown(self, data: bytes) -> None:
        with pytest.raises(RecordError, match="This NPZ archive is not complete"):
            READERS["npz"](data)

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_no_two_arrays_have_one_name(self) -> None:
        file = io.BytesIO(SAVED)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("cross_heads.npy", npy([0, 1, 2]))
        with pytest.raises(RecordError, match="two arrays have the same name"):
            READERS["npz"](file.getvalue())

    def test_an_archive_without_weights_says_what_is_missing(self) -> None:
        with pytest.raises(RecordError, match='"weights" is missing'):
            from_npz(query_tokens=NAMES, key_tokens=NAMES)

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
    def test_arrays_that_are_packed_tight_are_not_unpacked_beyond_the_memory_they_may_take(self, dtype: str) -> None:
        wide = np.tile(np.eye(7, dtype=dtype), (5, 11, 1, 1))
        file = io.BytesIO()
        np.savez_compressed(file, weights=wide)
        taken = wide.size * 4  # a record holds them in single precision
        assert READERS["npz"](file.getvalue(), taken).attention[0].shape == wide.shape
        with pytest.raises(RecordError, match=f"would take {taken:,} bytes of memory, of {taken - 1:,} that it may"):
            READERS["npz"](file.getvalue(), taken - 1)

    def test_weights_that_are_not_as_many_as_the_tokens_are_not_unpacked(self) -> None:
        packed = rewritten("weights", npy(np.eye(999, dtype=np.float32)), compress_type=zipfile.ZIP_DEFLATED)
        with pytest.raises(RecordError, match=r"shape \(999, 999\), and \(3, 3\) query and key tokens"):
            READERS["npz"](packed, 0)

    def test_an_archive_of_more_arrays_than_anyone_saves_is_not_listed(self) -> None:
        with pytest.raises(RecordError, match="it lists more than 10,000 arrays"):
            READERS["npz"](b"PK\1\2" * 10_001)

    def test_so_it_is_with_numbers_in_json(self) -> None:
        line = json.dumps({"attention": [foreign()]}).encode()
        assert READERS["json"](line, 10**5).attention
        with pytest.raises(RecordError, match=r"bytes of memory, of 1,000 that it may: .* allow more with `memory`"):
            READERS["json"](line, 1000)

    @given(st.integers(0, len(SAVED) - 1), st.binary(min_size=1, max_size=4))
    def test_bytes_that_are_broken_anywhere_are_refused_in_a_sentence_or_do_no_harm(self, at: int, new: bytes) -> None:
        broken = SAVED[:at] + new + SAVED[at + len(new) :]
        assume(broken != SAVED)
        try:
            read = READERS["npz"](broken)
        except RecordError as error:
            assert str(error)
        else:
            assert FILES["npz"].encode(read) == SAVED


def changed(without: str = "", **more: Any) -> bytes:
    """A saved translation without one of its arrays, and with others."""
    with np.load(io.BytesIO(SAVED), allow_pickle=False) as arrays:
        kept = {name: array for name, array in arrays.items() if name != without} | more
    file = io.BytesIO()
    np.savez(file, **kept)
    return file.getvalue()


class TestContents:
    @pytest.mark.parametrize("part", ["weights", "layers", "heads", "query_tokens", "key_tokens"])
    @pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
    def test_an_archive_that_lacks_what_it_says_it_holds_is_refused(self, kind: str, part: str) -> None:
        with pytest.raises(RecordError, match=f"lacks {kind}_{part}, which its records need"):
            READERS["npz"](changed(f"{kind}_{part}"))

    def test_an_archive_that_lacks_a_whole_record_is_refused(self) -> None:
        record = json.dumps({"attention": [{"kind": "encoder"}, {"kind": "cross"}]})
        with pytest.raises(RecordError, match=r"lacks cross_heads, cross_key_tokens, .*, which its records need"):
            from_npz(**{f"encoder_{n}": v for n, v in foreign(layers=[0, 1], heads=[*range(5)]).items()}, record=record)

    @pytest.mark.parametrize("name", ["weights", "encoder_spans", "anything"])
    def test_an_archive_that_holds_more_than_it_says_is_refused(self, name: str) -> None:
        with pytest.raises(RecordError, match=f"holds {name}, but no record that uses it"):
            READERS["npz"](changed(**{name: np.eye(3)}))

    def test_what_another_program_keeps_beside_is_no_matter(self) -> None:
        (made,) = from_npz(**foreign(), loss=0.5, encoder_loss=[1, 2]).attention
        assert made.shape == (2, 5, 3, 3)

    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"layers": [3, 4]}, "holds layers, but no record that uses it"),
            ({"decoder_layers": [3, 4]}, r'record 2 \(decoder\): "query_tokens" is missing'),
        ],
    )
    def test_an_array_of_a_record_that_is_not_there_is_refused(self, more: dict[str, Any], said: str) -> None:
        with pytest.raises(RecordError, match=said):
            from_npz(**{f"encoder_{name}": value for name, value in foreign().items()}, **more)


def saved_by_numpy(array: Any, **options: Any) -> bytes:
    """An NPY file as NumPy itself writes it."""
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def numbered(count: int, segment: int = 0) -> tuple[Token, ...]:
    """Tokens that are numbers and stand in no text, each a word."""
    return tuple(Token(str(i), i, word=i, segment=segment) for i in range(count))


ARRAYS_OF_NUMPY = {
    "npy": saved_by_numpy,
    "npz of weights": lambda array: npz(weights=array),
    "npz of one array": lambda array: npz(arr_0=array),
}


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def read_by_magic(data: bytes) -> Result:
    return READERS["npz" if data.startswith(b"PK") else "npy"](data)


@pytest.mark.parametrize("write", ARRAYS_OF_NUMPY.values(), ids=ARRAYS_OF_NUMPY)
class TestBareArrays:
    @pytest.mark.parametrize("shape", [(7, 7), (3, 7, 7), (2, 3, 7, 7)], ids=len)
    def test_two_to_four_axes_are_layers_heads_queries_and_keys_and_tokens_are_numbers(
        self, write: Callable[..., bytes], shape: tuple[int, ...]
    ) -> None:
        result = read_by_magic(write(distributions(*shape)))
        (made,) = result.attention
        assert (result.text, result.pair, result.target, made.kind) == ("", None, None, Kind.ENCODER)
        assert made.shape == (1,) * (4 - len(shape)) + shape
        assert made.query_tokens == made.key_tokens == numbered(7)
        assert_array_equal(made.weights, distributions(*shape).reshape(made.shape))
        assert result.warnings == ("its tokens have no names: they are numbered from 0",)

    def test_queries_and_keys_that_are_not_as_many_are_two_sequences(self, write: Callable[..., bytes]) -> None:
        result = read_by_magic(write(distributions(2, 3, 5, 7)))
        (made,) = result.attention
        assert (made.kind, result.text, result.target) == (Kind.CROSS, "", "")
        assert (made.query_tokens, made.key_tokens) == (numbered(5, segment=1), numbered(7))

    def test_what_they_are_is_understood_as_of_an_array_in_python(self, write: Callable[..., bytes]) -> None:
        causal = np.tril(np.ones((5, 3, 3))) / np.arange(1, 4)[:, None]
        for array in (distributions(5, 3, 3), causal, distributions(3, 3).astype(np.float16), np.eye(3, dtype=int)):
            (made,) = read_by_magic(write(array)).attention
            ours = Attention.from_array(array, ["0", "1", "2"])
            assert (made.kind, made.shape, made.precision) == (ours.kind, ours.shape, ours.precision)
            assert_array_equal(made.weights, ours.weights)

    @pytest.mark.parametrize("dtype", ["float16", "<f4", ">f4", "float64", ">f8"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_arrays_of_any_precision_and_order_are_read(
        self, write: Callable[..., bytes], dtype: str, order: Any
    ) -> None:
        array = np.asarray(distributions(2, 3, 5, 7), dtype, order=order)
        (made,) = read_by_magic(write(array)).attention
        assert_array_equal(made.weights, array.astype(np.float32))

    @pytest.mark.parametrize("form", FORMS)
    def test_saved_again_they_come_back_the_same(self, write: Callable[..., bytes], form: str) -> None:
        for array in (distributions(2, 3, 7, 7), distributions(2, 3, 5, 7)):
            result = read_by_magic(write(array))
            back = READERS[form](FILES[form].encode(result))
            assert back.attention[0].query_tokens == result.attention[0].query_tokens
            assert back.attention[0].key_tokens == result.attention[0].key_tokens
            assert FILES[form].encode(back) == FILES[form].encode(result)
            assert (back.text, back.warnings) == ("", ())

    @pytest.mark.parametrize(
        ("array", "said"),
        [
            (np.float32(1), r"2 to 4 axes, .layers, heads, queries, keys., not the shape \(\)"),
            (distributions(7), r"not the shape \(7,\)"),
            (distributions(2, 1, 3, 7, 7), r"not the shape \(2, 1, 3, 7, 7\): take one text of a batch"),
            (np.zeros((0, 7)), r"are float64, of the shape \(0, 7\): give at least one number, and only real numbers"),
            (np.zeros((0, 2**50)), "2 to 4 axes|at least|at most"),
            (np.eye(3, dtype=bool), "are bool"),
            (np.eye(3) + 0j, "are complex128"),
            (np.full((3, 3), "a"), "are <U1"),
            (np.zeros((3, 3), [("a", "f4")]), "the shape .3, 3.: give at least one number, and only real numbers"),
            (np.zeros((3, 3), "M8[s]"), "are datetime64"),
            (np.zeros((3, 3), "V0"), "are .V0, of the shape"),
            (np.full((3, 3), np.nan), "layer 0 head 0, row 0 .0. sums to nan"),
            (np.full((3, 3), -np.inf), "sums to -inf"),
            (distributions(2, 3, 7, 7) * 3 - 1, "layer 0 head 0, row 0 .0. sums to .*Save the weights after softmax"),
            (
                distributions(2, 3, 7, 7) * 3,
                "row 0 .0. sums to 3, .*Save the weights after softmax, with keys as the last axis",
            ),
            (np.eye(1, 2**20 + 1, dtype=np.int8), "1 queries and 1,048,577 keys without names: give at most 1,048,576"),
        ],
        ids=str,
    )
    def test_what_is_no_attention_is_said_in_a_sentence(
        self, write: Callable[..., bytes], array: np.ndarray, said: str
    ) -> None:
        with pytest.raises(RecordError, match=said) as raised:
            read_by_magic(write(array))
        assert "\n" not in str(raised.value)


def test_arrays_of_several_kinds_name_no_tokens_either() -> None:
    arrays = {
        "encoder": distributions(2, 3, 7, 7),
        "decoder": distributions(2, 3, 5, 5),
        "cross": distributions(2, 3, 5, 7),
    }
    result = READERS["npz"](npz(**{f"{kind}_weights": array for kind, array in arrays.items()}))
    assert [(made.kind.value, made.shape) for made in result.attention] == [(k, a.shape) for k, a in arrays.items()]
    assert [made.query_tokens for made in result.attention] == [numbered(7), numbered(5, 1), numbered(5, 1)]
    assert len(result.warnings) == 1


def test_numbers_and_names_do_not_mix_within_a_record() -> None:
    with pytest.raises(RecordError, match='"key_tokens" is missing'):
        READERS["npz"](npz(weights=distributions(3, 3), query_tokens=NAMES))


def test_the_layers_of_a_bare_array_may_be_named() -> None:
    (made,) = READERS["npz"](npz(weights=distributions(2, 3, 7, 7), layers=[9, 3])).attention
    assert (made.layers, made.heads) == ((9, 3), (0, 1, 2))


def test_nothing_is_said_of_tokens_that_have_names() -> None:
    assert from_npz(**foreign()).warnings == ()


def test_lists_of_json_name_their_tokens() -> None:
    with pytest.raises(RecordError, match='"query_tokens" is missing'):
        from_json({"weights": WEIGHTS})


@pytest.mark.parametrize("shape", [(2, 1, 3, 7, 7), (3, 2**11)], ids=len)
def test_a_packed_array_that_is_refused_for_its_shape_is_not_unpacked(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnviz.formats.archive.MOST_BYTES", 0)
    monkeypatch.setattr("attnviz.formats.texts._MOST_NUMBERED", 2**10)
    with pytest.raises(RecordError, match=r"take one text|give at most 1,024"):
        READERS["npz"](npz(weights=np.zeros(shape, np.int8)))


WHOLE = saved_by_numpy(distributions(2, 3, 5, 7))


class TestMalformedArrays:
    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "not a NumPy array: write it with numpy.save"),
            (b"hello", "not a NumPy array"),
            (bytes(9999), "not a NumPy array"),
            (SAVED, "not a NumPy array"),
            (b"\x93NUMPY", "cannot be read"),
            (b"\x93NUMPY\x01\x00", "cannot be read"),
            (b"\x93NUMPY\x07\x00" + bytes(200), "version 7"),
            (WHOLE[:50], "cannot be read"),
            (WHOLE[:-3], "announces 840 bytes, but 837 follow"),
            (WHOLE + b" ", "announces 840 bytes, but more follow"),
            (saved_by_numpy(np.array([[{}, 1]]), allow_pickle=True), "pickled objects, which are never loaded"),
            (claiming(10**6, 10**6), "would take 4,000,000,000,000 bytes"),
            (claiming(5, 7), "announces 140 bytes, but 0 follow"),
            (b"\x93NUMPY\x03\x00" + bytes(99), "version 3 of its format is not supported, only 1 and 2"),
            (claiming(True, 5), r"gives the impossible shape \(True, 5\)"),
            (claiming(-1, 5), r"gives the impossible shape \(-1, 5\)"),
            (claiming(-1, -5) + bytes(20), r"gives the impossible shape \(-1, -5\)"),
        ],
        ids=lambda value: value[:20] if isinstance(value, bytes) else "",
    )
    def test_what_is_wrong_with_it_is_said(self, data: bytes, said: str) -> None:
        for read in (data, array_bytes(io.BytesIO(data))):
            with pytest.raises(RecordError, match=said) as raised:
                READERS["npy"](read)
            assert "\n" not in str(raised.value)

    @given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
    def test_bytes_that_are_broken_anywhere_are_refused_in_a_sentence_or_are_numbers(self, at: int, new: bytes) -> None:
        try:
            (made,) = READERS["npy"](WHOLE[:at] + new + WHOLE[at + len(new) :]).attention
        except RecordError as error:
            assert str(error)
        else:
            assert made.weights.size == distributions(2, 3, 5, 7).size

    @given(st.binary(max_size=300), st.sampled_from([b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", WHOLE[:20], b""]))
    def test_other_broken_bytes_are_refused_in_a_sentence(self, data: bytes, start: bytes) -> None:
        with pytest.raises(RecordError):
            READERS["npy"](array_bytes(io.BytesIO(start + data)))

    @pytest.mark.parametrize("data", [WHOLE, claiming(10**6, 10**6), claiming(-1, 5), claiming(-2)], ids=len)
    def test_of_a_stream_without_end_no_more_is_read_than_its_header_claims(self, data: bytes) -> None:
        class Endless(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                assert size is not None
                assert 0 <= size <= 2**24
                return super().read(size).ljust(size, b"\0")

        assert len(array_bytes(Endless(data))) <= len(data) + 1


@pytest.mark.parametrize("axes", [(), (3,), (2, 3)])
def test_an_archive_with_tokens_may_lack_axes_as_one_without_may(axes: tuple[int, ...]) -> None:
    weights = np.eye(2, dtype=np.float32) + np.zeros((*axes, 2, 2), np.float32)
    file = io.BytesIO()
    np.savez(file, weights=weights, query_tokens=["the", "cat"], key_tokens=["the", "cat"])
    (record,) = READERS["npz"](file.getvalue()).attention
    assert record.shape == (1,) * (2 - len(axes)) + weights.shape
    assert_array_equal(record.weights.reshape(weights.shape), weights)


@pytest.mark.parametrize(
    "data", [b"\x93NUMPY\x01\x00\xff\xff" + b"x" * 99, npy(np.eye(3))[:9], b"\x93NUMPY\x01\x00\x08\x00{'a': 1}"]
)
def test_a_damaged_array_is_said_to_be_in_our_own_words(data: bytes) -> None:
    with pytest.raises(RecordError, match=r"cannot be read: (its header|it is no array).*numpy\.save\.") as raised:
        READERS["npy"](data)
    assert "EOF" not in str(raised.value) and "max_header" not in str(raised.value)


def test_the_name_of_a_measure_is_safe_to_show() -> None:
    (made,) = from_json(foreign(measure="\x1b]0;no\x07")).attention
    assert made.measure == "␛]0;no␇"
