"""What a lesson is as data, what its rows are called, and what it refuses."""

import json

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.testing import assert_allclose

import attnviz
from attnviz.errors import UnfitTextError, UsageError
from attnviz.lessons import Lesson, Step, Variant, WhatIf, compare, encode_lesson
from attnviz.lessons.explaining import HeadQuery, explain_head
from attnviz.lessons.reruns import SEED, Rerun
from attnviz.lessons.toy import Toy, explain_toy
from attnviz.models.passages import Passage
from attnviz.reference.head_steps import DOTS, entropy, slice_map
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace
from attnviz.vocabulary import Kind

ORDER = (3, 0, 4, 2, 1)
EVERY = WhatIf(matrices=True, scores=("dot", "cosine"), hard=True, no_scale=True, no_mask=True, order=ORDER, tile=2)


def test_a_lesson_is_written_with_its_query_its_keys_its_steps_and_every_array_with_its_axes() -> None:
    lesson = explain_toy(Toy(query=1, heads=2), EVERY)
    record = json.loads(encode_lesson(lesson, {"model": "toy"}))
    assert set(record) == {"model", "query", "key_tokens", "notes", "steps", "arrays"}
    assert record["query"] == {"token": lesson.query, "position": 1, "predicts": None}
    assert (record["key_tokens"], record["notes"]) == (list(lesson.keys), list(lesson.notes))
    for number, (written, step) in enumerate(zip(record["steps"], lesson.steps, strict=True), 1):
        assert written == {
            "number": number,
            "title": step.title,
            "formula": step.formula,
            "why": step.why,
            "arrays": [quantity.name for quantity in step.quantities],
        }
    assert list(record["arrays"]) == [quantity.name for quantity in lesson.quantities()]
    for quantity in lesson.quantities():
        held, array = record["arrays"][quantity.name], np.asarray(quantity.array)
        assert set(held) == {"words", "axes", "shape", "values"} | ({"rows"} if quantity.rows else set())
        assert (held["words"], held["shape"]) == (quantity.words, list(array.shape))
        assert held["axes"] == [axis.value for axis in quantity.axes]
        assert held.get("rows", []) == list(quantity.rows)
        assert isinstance(held["values"], list) == (array.ndim > 0)


def test_rows_are_called_what_they_are() -> None:
    lesson = explain_toy(Toy(mask="causal", positions="rotary", query=1, names=("a", "b", "a", "c", "d")), EVERY)
    rows = {quantity.name: quantity.rows for quantity in lesson.quantities() if quantity.rows}
    matrix = ("0 a", "1 b, this one", "2 a", "3 c", "4 d")
    assert rows == {
        **dict.fromkeys(("matrix_queries", "matrix_scores", "matrix_weights", "matrix_mixed"), matrix),
        **dict.fromkeys(("running_maximum", "running_sum", "running_output"), ("after 2", "after 4", "after 5")),
        "scores_by_function": ("dot", "cosine"),
        **{f"weights_by_score{end}": ("dot", "cosine") for end in ("", "_sums", "_entropies")},
        **{f"weights_by_reach{end}": ("soft", "hard", "local") for end in ("", "_sums", "_entropies")},
        "taken_by_reach": ("soft", "hard", "local"),
        **{f"weights_without_scale{end}": ("with", "without") for end in ("", "_sums", "_entropies")},
        **{f"weights_without_mask{end}": ("with", "without", "zeroed after") for end in ("", "_sums", "_entropies")},
        "weights_permuted": (
            "as it is",
            "as it is, shuffled",
            "no positions",
            "no positions, shuffled",
            "no positions, no mask",
            "no positions, no mask, shuffled",
        ),
        "largest_change": ("as it is", "no positions", "no positions, no mask"),
        "contributions": rows["contributions"],
        "largest_score": ("q'", f"k' of {rows['contributions'][0]}", "products"),
        "weighted_values": rows["weighted_values"],
        "added_lengths": ("self-attention",),
    }
    assert set(rows["contributions"]) == set(rows["weighted_values"]) == {"0 a", "b"}
    words = {quantity.name: quantity.words for quantity in lesson.quantities()}
    assert words["matrix_queries"] == "Q, 5 × 4" and words["matrix_mixed"] == "Z, 5 × 4"
    alone = explain_toy(Toy(positions="rotary"), WhatIf(no_positions=True))
    assert [each.rows for each in alone.quantities()][-1] == ("with", "without")
    assert not next(quantity.shown for quantity in lesson.quantities() if quantity.name == "order")


class TestTake:
    lesson = explain_toy(Toy(), WhatIf(tile=2))

    def test_steps_that_are_taken_keep_their_numbers_in_the_order_of_the_lesson(self) -> None:
        taken = self.lesson.take([7, 2])
        assert [number for number, _ in taken.numbered()] == [2, 7]
        assert taken.steps == (self.lesson.steps[1], self.lesson.steps[6])
        last = len(self.lesson.steps)
        assert self.lesson.take(range(1, last + 1)).steps == self.lesson.steps
        assert json.loads(encode_lesson(taken, {}))["steps"][1]["number"] == 7

    @pytest.mark.parametrize("missing", [[0], [1, 99], [98, 99, 3]])
    def test_a_step_that_is_not_there_is_refused_with_how_many_there_are(self, missing: list[int]) -> None:
        said = f"There is no step {max(missing)}: this lesson has steps 1 to {len(self.lesson.steps)}."
        with pytest.raises(UnfitTextError) as raised:
            self.lesson.take(missing)
        assert str(raised.value) == said
        with pytest.raises(UnfitTextError):
            self.lesson.take([len(self.lesson.steps) + 1])

    def test_a_lesson_knows_which_steps_are_the_walk(self) -> None:
        assert self.lesson.walked == len(explain_toy(Toy(), WhatIf()).steps) == len(self.lesson.steps) - 1


def test_what_a_reader_needs_only_to_compute_again_is_in_the_data_and_not_shown() -> None:
    lesson = explain_toy(Toy(heads=2), EVERY)
    hidden = {quantity.name for quantity in lesson.quantities() if not quantity.shown}
    recomputed = {"query_input", "key_inputs", "concatenated", "order"}
    beside = {"queries", "contributions", "weighted_values", "scale_divisor"}  # of others, or said already
    assert hidden == recomputed | beside
    of_one = {quantity.name for quantity in explain_toy(Toy(), WhatIf()).quantities() if not quantity.shown}
    assert {"heads", "head_lengths"} <= of_one  # the same as the weighted sum, and as what the head adds


def test_only_of_the_vectors_that_are_there_from_the_start_the_meaning_of_the_numbers_is_told() -> None:
    own = Toy(vectors=np.eye(3, 2), names=("a", "b", "c"))
    assert "how much the word is an animal" in explain_toy(Toy(), WhatIf()).steps[0].why
    assert explain_toy(own, WhatIf()).steps[0].why.startswith("Each line is a vector")


@pytest.mark.parametrize(
    ("what_if", "said"),
    [(WhatIf(no_positions=True), "no positions to leave out"), (WhatIf(untrained=True), "The toy is not trained")],
)
def test_the_toy_cannot_do_without_what_it_has_not(what_if: WhatIf, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        explain_toy(Toy(), what_if)
    if what_if.no_positions:
        assert explain_toy(Toy(positions="alibi"), what_if).steps[-1].title == "Without positions"


def test_learned_positions_of_the_toy_are_drawn_as_widely_as_its_vectors() -> None:
    drawn = np.array(
        [
            next(each.array for each in explain_toy(Toy(positions="learned", seed=seed), WhatIf()).quantities()
                 if each.name == "position_vectors")
            for seed in range(60)
        ]
    )  # fmt: skip
    assert drawn.mean() == pytest.approx(0, abs=0.1) and drawn.std() == pytest.approx(1, abs=0.1)


def test_the_maps_and_the_biases_of_toys_are_drawn_around_0() -> None:
    toys = [Toy(seed=seed).parameters() for seed in range(60)]
    for part in ("query", "key", "value", "output"):
        assert np.mean([toy[f"{part}.weight"] for toy in toys]) == pytest.approx(0, abs=0.1)
        assert np.mean([toy[f"{part}.bias"] for toy in toys]) == pytest.approx(0, abs=0.03)


# heads whose arrays are given by hand

QUERY, KEYS, VALUES = np.array([1.0, 2.0]), np.array([[1.0, 0], [0, 1], [2, 1]]), np.array([[1.0], [2], [4]])


def by_hand(**fields: object) -> Trace:
    given = {"position": 1, "query": QUERY[None], "keys": KEYS[None], "values": VALUES[None], "scale": 0.5}
    return Trace(**given | fields)  # type: ignore[arg-type]


def never(variant: Variant) -> np.ndarray:
    raise AssertionError("nothing asked for another run")


def step_of(trace: Trace, what_if: WhatIf, rerun: Rerun = never) -> tuple[Step, dict[str, np.ndarray]]:
    (step,) = compare(trace, 0, what_if, rerun, "abc")
    return step, {quantity.name: np.asarray(quantity.array) for quantity in step.quantities}


def test_weights_that_do_not_follow_from_scores_are_shown_and_not_compared() -> None:
    own = by_hand(weights=np.array([[0.5, 0.25, 0.25]]))
    assert list(compare(own, 0, WhatIf(), never, "abc")) == []
    with pytest.raises(UsageError, match="cannot be compared"):
        list(compare(own, 0, WhatIf(hard=True), never, "abc"))


@pytest.mark.parametrize("trace", [by_hand(scale=1), by_hand(score="additive")], ids=["scale 1", "additive"])
def test_where_scores_are_not_scaled_there_is_no_scale_to_leave_out(trace: Trace) -> None:
    if trace.score not in DOTS:
        maps = {"query.weight": np.eye(2), "key.weight": np.eye(2), "v": np.ones(2)}
        trace = by_hand(score="additive", score_parameters=Parameters(maps))
    step, arrays = step_of(trace, WhatIf(no_scale=True))
    assert step.why.startswith("These scores are not scaled") and arrays == {}
    step, arrays = step_of(by_hand(), WhatIf(no_scale=True))
    assert step.why.startswith("Without the scale, scores lie further apart") and len(arrays) == 3


@pytest.mark.parametrize(("position", "near"), [(0, [0, 1]), (1, [0, 1, 2]), (2, [1, 2]), (7, [1, 2])])
def test_a_query_that_stands_beyond_the_keys_is_near_the_last(position: int, near: list[int]) -> None:
    _, arrays = step_of(by_hand(position=position), WhatIf(hard=True))
    assert np.flatnonzero(arrays["weights_by_reach"][2]).tolist() == near


def test_local_attention_sees_what_the_mask_allows_where_it_allows_nothing_near() -> None:
    _, arrays = step_of(by_hand(position=0, allowed=np.array([False, False, True])), WhatIf(hard=True))
    assert_allclose(arrays["weights_by_reach"], [[0, 0, 1]] * 3)


@pytest.mark.parametrize(
    ("fields", "formula", "added"),
    [
        ({}, "Z = A V,  A = softmax(Q Kᵀ / √d_k)", False),
        ({"scale": 1}, "Z = A V,  A = softmax(Q Kᵀ)", False),
        ({"bias": np.ones((1, 3))}, "Z = A V,  A = softmax(Q Kᵀ / √d_k + M)", True),
        ({"allowed": np.ones(3, bool)}, "Z = A V,  A = softmax(Q Kᵀ / √d_k + M)", True),
        ({"queries": None, "allowed": np.ones(3, bool)}, "Z = A V", False),
        ({"score": "additive"}, "Z = A V", False),
    ],
)
def test_matrices_of_all_queries_are_shown_as_far_as_they_are_known(fields: dict, formula: str, added: bool) -> None:
    every = np.full((2, 3), 1 / 3)
    queries = np.array([[[3.0, 1.0], [1.0, 2.0]]])
    maps = Parameters({"query.weight": np.eye(2), "key.weight": np.eye(2), "v": np.ones(2)})
    trace = by_hand(**{"queries": queries, "score_parameters": maps} | fields)
    step, arrays = step_of(trace, WhatIf(matrices=True), lambda variant: every)
    assert (step.formula, "M is what is added" in step.why) == (formula, added)
    assert_allclose(arrays["matrix_mixed"], every @ VALUES)
    assert ("matrix_scores" in arrays) == ("softmax" in formula)
    if "matrix_scores" in arrays:
        assert_allclose(arrays["matrix_scores"], queries[0] @ KEYS.T * trace.scale)


def test_a_sink_is_read_before_the_first_tile_and_takes_its_share_of_nothing() -> None:
    scores = KEYS @ QUERY * 0.5
    shares = np.exp(np.array([*scores, 2.5]))
    step, arrays = step_of(by_hand(sink=np.array([2.5])), WhatIf(tile=2))
    assert step.why.endswith("The score of the sink is read before the first tile.")
    assert_allclose(arrays["recomputed_weights"], shares[:3] / shares.sum())
    assert_allclose(arrays["running_output"][-1], shares[:3] @ VALUES / shares.sum())
    assert_allclose(arrays["log_sum_exp"], np.log(shares.sum()))
    assert "sink" not in step_of(by_hand(), WhatIf(tile=2))[0].why


@pytest.mark.parametrize("biased", [True, False])
def test_the_general_form_gives_the_scores_of_the_product_with_biases_and_without(biased: bool) -> None:
    chance = np.random.default_rng(3)
    x, w_q, w_k = chance.normal(size=(3, 5)), chance.normal(size=(2, 5)), chance.normal(size=(2, 5))
    b_q, b_k = chance.normal(size=(2, 2)) * biased
    maps = {"query.weight": w_q, "key.weight": w_k} | ({"query.bias": b_q, "key.bias": b_k} if biased else {})
    keys = x @ w_k.T + b_k
    known = {"query": (x[1] @ w_q.T + b_q)[None], "keys": keys[None], "input": x[1], "context": x}
    trace = by_hand(parameters=Parameters(maps), **known)
    step, arrays = step_of(trace, WhatIf(scores=("general", "dot")))
    assert arrays["general_minus_dot"] == pytest.approx(0, abs=1e-12)
    assert_allclose(arrays["weights_by_score"][0], arrays["weights_by_score"][1])
    assert "general gives the same scores as dot" in step.why
    assert "e²" not in step.why and "e²" in step_of(trace, WhatIf(scores=("cosine",)))[0].why
    for part in ("query", "key"):
        weight, bias = slice_map(Parameters(maps), part, 0, 1)
        assert (weight == maps[f"{part}.weight"]).all() and (bias is not None) == biased
    normed = Parameters(maps | {"query_norm.weight": np.ones(2)})
    for fields, said in (
        ({"parameters": None, **known}, "W_Q and W_K are not known"),
        ({"parameters": Parameters(maps), **known, "context": None}, "cannot be shown"),
        ({"parameters": normed, **known}, "queries and keys go through a norm"),
    ):
        with pytest.raises(UsageError, match=said):
            step_of(by_hand(**fields), WhatIf(scores=("general",)))


def test_the_entropy_of_a_weight_that_is_all_on_one_key_is_written_without_a_sign() -> None:
    assert str(entropy(np.array([0.0, 1.0]))) == "0.0"


# models that run again

SENTENCE = "The old man saw the young woman"
CASES = [
    ("builtin", Kind.ENCODER, 1, 3, 2),
    ("builtin/decoder", Kind.DECODER, 1, 3, 2),
    ("builtin/translator", Kind.DECODER, 1, 2, 2),
    ("builtin/translator", Kind.CROSS, 1, 3, 2),
]


@pytest.mark.parametrize(("name", "kind", "layer", "head", "query"), CASES)
def test_a_model_runs_again_with_its_tokens_in_another_order_and_each_weight_is_put_back(
    name: str, kind: Kind, layer: int, head: int, query: int
) -> None:
    model = attnviz.load(name)
    reading = model.read(Passage(text=SENTENCE))
    keys = len(reading.axes(kind)[1])
    order = [0, *reversed(range(1, keys - 1)), keys - 1]
    place = HeadQuery(kind=kind, layer=layer, head=head, query=query)
    lesson = explain_head(model, reading, place, WhatIf(order=tuple(order)))
    arrays = {quantity.name: np.asarray(quantity.array) for quantity in lesson.quantities()}
    target = reading.target if kind is Kind.DECODER else None
    moved = replace(reading, target=target.take(order)) if target else reading.take(order)
    (attention,) = model.weights(moved, place.select)
    rows = attention.weights[0, 0]
    row = rows[query if kind is Kind.CROSS else order.index(query)]
    assert_allclose(arrays["weights_permuted"][0], arrays["weights"], atol=1e-6)
    assert_allclose(arrays["weights_permuted"][1], [row[order.index(key)] for key in range(keys)], atol=1e-6)
    assert arrays["largest_change"][0] > 1e-3
    if name == "builtin/decoder":
        (bare,) = model.without(positions=True, mask=True).weights(reading, place.select)
        assert_allclose(arrays["weights_permuted"][4], bare.weights[0, 0, query], atol=1e-6)
        assert bare.weights[0, 0, query, query + 1 :].any()


def lesson_of(name: str, kind: Kind, what_if: WhatIf) -> tuple[Lesson, dict[str, np.ndarray]]:
    model = attnviz.load(name)
    lesson = explain_head(
        model, model.read(Passage(text=SENTENCE)), HeadQuery(kind=kind, layer=1, head=3, query=2), what_if
    )
    return lesson, {quantity.name: np.asarray(quantity.array) for quantity in lesson.quantities()}


def test_a_model_runs_again_without_training_or_positions_and_is_itself_otherwise() -> None:
    what_if = WhatIf(untrained=True, no_positions=True, matrices=True)
    lesson, arrays = lesson_of("builtin", Kind.ENCODER, what_if)
    model = attnviz.load("builtin")
    reading = model.read(Passage(text=SENTENCE))
    select = HeadQuery(kind=Kind.ENCODER, layer=1, head=3, query=2).select
    for found, other in (("untrained", model.untrain(SEED)), ("without_positions", model.without(positions=True))):
        expected = [each.weights(reading, select)[0].weights[0, 0, 2] for each in (model, other)]
        assert_allclose(arrays[f"weights_{found}"], expected, atol=1e-6)
        assert np.abs(expected[0] - expected[1]).max() > 1e-3
    rows = {quantity.name: quantity.rows for quantity in lesson.quantities()}
    assert rows["weights_untrained"] == ("trained", "untrained")
    assert rows["weights_without_positions"] == ("with", "without")
    assert_allclose(arrays["matrix_weights"], model.weights(reading, select)[0].weights[0, 0], atol=1e-6)
    assert (lesson.notes, lesson.predicts, lesson.walked) == ((), None, len(lesson.steps) - 3)


def test_a_lesson_on_a_translation_says_which_word_comes_next() -> None:
    lesson, _ = lesson_of("builtin/translator", Kind.CROSS, WhatIf())
    model = attnviz.load("builtin/translator")
    queries, _ = model.read(Passage(text=SENTENCE)).axes(Kind.CROSS)
    assert (lesson.query, lesson.predicts) == (queries[2].label, queries[3].label)
    known, _ = lesson_of("builtin", Kind.ENCODER, WhatIf(order=(0, 2, 1, 3, 4, 5, 6, 7, 8)))
    assert "cannot be run without" not in known.steps[-1].why


def test_what_a_model_cannot_run_without_is_left_out_and_said() -> None:
    def rerun(variant: Variant) -> np.ndarray:
        if not variant.positions:
            raise UsageError("It cannot.")
        return np.full((3, 3), 1 / 3)

    step, arrays = step_of(by_hand(), WhatIf(order=(2, 0, 1)), rerun)
    assert step.why.endswith("(This model cannot be run without its positions here.)")
    assert arrays["largest_change"].tolist() == [0]
