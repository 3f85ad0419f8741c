"""What scores are made of leads to the weights, whatever tells positions, and is left out where it does not."""

import math
from functools import partial

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.testing import assert_allclose

import attnviz
from attnviz.measures.reducers import OfRows
from attnviz.measures.terms import KeepTerms, ScoredRecord, find_log_sums
from attnviz.models.passages import Passage, read_windows
from attnviz.records import Axes, Block, Selection
from attnviz.reference.transformer import Config, transformer
from attnviz.text import By, make_tokens
from tests.lessons.test_walk import HEADS, IDS, LAYERS, NAMES, TOKENS, every_shape, random_parameters


def axes_of(shape: Config) -> Axes:
    tokens = make_tokens(NAMES)
    heads, layers = tuple(range(HEADS)), tuple(range(LAYERS))
    return Axes(kind=shape.kind, layers=layers, heads=heads, query_tokens=tokens, key_tokens=tokens, model="some/model")


def keep(shape: Config, room: float = math.inf) -> ScoredRecord:
    reducer = KeepTerms(axes_of(shape), By.TOKEN, room=room)
    transformer(IDS, random_parameters(shape), shape, watch=reducer.update)
    return reducer.result()


def see(shape: Config, layer: int) -> np.ndarray:
    """Return which keys each query may look at, [queries, keys], by the words of the config."""
    queries, keys = np.indices((TOKENS, TOKENS))
    seen = keys <= queries if shape.causal else np.ones((TOKENS, TOKENS), bool)
    width = shape.windows[layer] if shape.windows else None
    return seen if width is None else seen & (abs(keys - queries) < width)


@every_shape
def test_softmax_of_the_scores_over_what_is_seen_is_the_weights(shape: Config) -> None:
    kept = keep(shape)
    assert kept.terms is not None
    for layer in range(LAYERS):
        scores = kept.terms.scores(layer).astype(float)
        exponentials = np.exp(scores - scores.max(-1, keepdims=True)) * see(shape, layer)
        weights = exponentials / exponentials.sum(-1, keepdims=True)
        assert_allclose(weights, kept.record.weights[layer], atol=1e-5)


@every_shape
def test_a_score_less_the_log_of_the_sum_is_the_log_of_a_weight(shape: Config) -> None:
    kept = keep(shape)
    assert kept.terms is not None
    scores, weights = kept.terms.scores(1), kept.record.weights[1]
    found = find_log_sums(scores, weights)
    sums = np.log((np.exp(scores.astype(float)) * see(shape, 1)).sum(-1))
    assert_allclose(found, sums, rtol=1e-5, atol=1e-4)


@every_shape
def test_some_layers_heads_and_tokens_have_the_terms_that_they_had_among_all(shape: Config) -> None:
    kept = keep(shape)
    assert kept.terms is not None
    record = kept.record.select([2, 0], [5, 1]).rows([6, 2, 3])
    some = kept.terms.select(record)
    assert some is not None
    assert list(some.layers) == [2, 0]
    for layer in (2, 0):
        assert_allclose(some.scores(layer), kept.terms.scores(layer)[[5, 1]][:, [6, 2, 3]], rtol=1e-5, atol=1e-5)


def test_rows_that_are_kept_alone_have_terms_of_their_own() -> None:
    shape = Config(width=24, layers=LAYERS, heads=HEADS, causal=True)
    whole = axes_of(shape)
    rows = (4, 1)
    reducer = KeepTerms(
        whole.of_tokens(tuple(whole.query_tokens[row] for row in rows), whole.key_tokens), By.TOKEN, room=math.inf
    )
    transformer(IDS, random_parameters(shape), shape, watch=OfRows(reducer, rows).update)
    kept, every = reducer.result(), keep(shape)
    assert kept.terms is not None
    assert every.terms is not None
    assert_allclose(kept.terms.scores(2), every.terms.scores(2)[:, list(rows)], atol=1e-5)


def test_terms_that_do_not_lead_to_the_weights_are_left_out() -> None:
    shape = Config(width=24, layers=LAYERS, heads=HEADS)
    reducer = KeepTerms(axes_of(shape), By.TOKEN, room=math.inf)

    def cap(block: Block) -> None:
        assert block.terms is not None
        reducer.update(replace(block, terms=replace(block.terms, scale=block.terms.scale * 1.1)))

    transformer(IDS, random_parameters(shape), shape, watch=cap)
    assert reducer.result().terms is None


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("builtin", ["encoder"]),
        ("builtin/decoder", ["decoder"]),
        ("builtin/translator", ["encoder", "decoder", "cross"]),
        ("builtin/bahdanau", []),
    ],
)
def test_models_that_score_by_products_tell_them(name: str, kinds: list[str]) -> None:
    model = attnviz.load(name)
    make = partial(KeepTerms, by=By.TOKEN, room=math.inf)
    (found,) = model.reduce([model.read(Passage(text="The red car is fast"))], Selection(), make)
    assert [kept.record.kind.value for kept in found if kept.terms] == kinds


@every_shape
def test_terms_that_take_more_than_there_is_room_for_are_left_out(shape: Config) -> None:
    terms = keep(shape).terms
    assert terms is not None
    held = [array for layer in terms.layers.values() for array in (layer.queries, layer.keys, layer.biases)]
    size = sum(array.nbytes for array in held if array is not None)
    assert keep(shape, size).terms is not None
    assert keep(shape, size - 1).terms is None


@pytest.mark.parametrize(
    ("by", "windows", "room"), [("word", None, math.inf), ("token", "9:4", math.inf), ("token", None, 0)]
)
def test_words_and_windows_have_no_one_query_and_key(by: str, windows: str | None, room: float) -> None:
    model = attnviz.load("builtin")
    passage = Passage(text="The dog that barked lost the keys and the car was tired")
    if windows:
        passage = replace(passage, overlong=read_windows(windows))
    make = partial(KeepTerms, by=By(by), room=room)
    ((kept,),) = model.reduce([model.read(passage)], Selection(), make)
    assert kept.terms is None
