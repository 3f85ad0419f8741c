"""The steps of heads whose arrays are given by hand: which there are, and what they say of them."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from attnviz.lessons import Step, head_steps
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace

QUERY, KEYS, VALUES = np.array([1.0, 2.0]), np.array([[1.0, 0], [0, 1], [2, 1]]), np.array([[1.0], [2], [4]])
SCORES = np.array([1.0, 2.0, 4.0])
X = np.array([1.0, -2.0, 3.0])
PLAIN = [
    "The query of this token",
    "The key of every token",
    "The scores: the query is compared with every key",
    "The scale",
    "No mask",
    "Softmax: scores become weights",
    "The value of every token",
    "The weighted sum",
]


def by_hand(**fields: Any) -> Trace:
    given = {"position": 1, "query": QUERY[None], "keys": KEYS[None], "values": VALUES[None], "scale": 0.5}
    return Trace(**given | fields)


def maps(heads: int = 1, key_heads: int = 1, **more: Any) -> Parameters:
    chance = np.random.default_rng(3)
    shapes = {"query": (2 * heads, 3), "key": (2 * key_heads, 3), "value": (key_heads, 3), "output": (3, heads)}
    return Parameters({f"{name}.weight": chance.normal(size=shape) for name, shape in shapes.items()} | more)


def walk(trace: Trace, layer: int = 1, head: int = 0) -> dict[str, Step]:
    return {step.title: step for step in head_steps(trace, layer, head, ("a", "b", "c"))}


def arrays(step: Step) -> dict[str, Any]:
    return {quantity.name: np.asarray(quantity.array) for quantity in step.quantities}


@pytest.mark.parametrize(
    ("fields", "before", "after"),
    [
        ({}, [], []),
        ({"mixed": np.ones((1, 1))}, [], []),
        ({"parameters": maps()}, [], []),
        ({"passed": X}, [], []),
        ({"residual": X}, ["What layer 1 reads"], []),
        ({"inner": X}, [], []),
        ({"left": X}, [], []),
        ({"embedding": {"passed": X}}, [], []),
        ({"embedding": {"token": X}}, ["The token becomes a vector"], []),
        (
            {"mixed": np.ones((1, 1)), "parameters": maps(), "added": {"attention": X}},
            [],
            ["All heads together: concatenation and W_O"],
        ),
        (
            {"residual": X, "passed": X, "added": {"attention": X}},
            ["What layer 1 reads"],
            ["Added to the residual stream"],
        ),
        ({"inner": X, "left": X, "added": {"feed_forward": X}}, [], ["The feed-forward network (MLP)"]),
    ],
)
def test_a_step_is_there_if_all_that_it_shows_is_known(fields: Any, before: list[str], after: list[str]) -> None:
    assert list(walk(by_hand(**fields))) == [*before, *PLAIN, *after]


def test_weights_of_a_model_that_computes_them_in_another_way_come_without_the_steps_to_them() -> None:
    steps = walk(by_hand(weights=np.array([[0.5, 0.25, 0.25]])))
    assert list(steps) == [*PLAIN[:2], "The weights", *PLAIN[6:]]
    assert_allclose(arrays(steps["The weights"])["weights"], [0.5, 0.25, 0.25])
    assert_allclose(arrays(steps["The weighted sum"])["mixed"], [2.0])
    assert "All queries at once" not in steps["The weighted sum"].why
    assert "All queries at once" in walk(by_hand())["The weighted sum"].why


class TestEmbedding:
    def told(self, **fields: Any) -> Step:
        return walk(by_hand(**fields))["The token becomes a vector"]

    @pytest.mark.parametrize(
        ("embedding", "formula"),
        [
            ({"token": X}, "x = E[token]"),
            ({"token": X, "passed": X}, "x = E[token]"),
            ({"token": X, "type": X, "position": X}, "x = E[token] + T[text] + P[position]"),
            ({"token": X, "position": X, "passed": 2 * X}, "x = E[token] + P[position]"),
            ({"token": X, "position": X, "passed": X}, "x = norm(E[token] + P[position])"),
            ({"token": X, "passed": X[:2]}, "x = W norm(E[token])"),
        ],
    )
    def test_its_formula_is_the_sum_of_its_parts_and_what_is_done_to_it(self, embedding: Any, formula: str) -> None:
        step = self.told(embedding=embedding)
        assert step.formula == formula
        names = [f"{name}_embedding" for name in embedding if name != "passed"]
        assert list(arrays(step)) == names + ["embedded"] * ("passed" in embedding)
        if "passed" in embedding:
            assert step.quantities[-1].shown == (len(names) > 1)

    def test_it_says_where_the_order_comes_in(self) -> None:
        added, later = "The vector of its position is added", "positions rotate the query and the keys"
        turned = {"turn": lambda x: x, "embedding": {"token": X}}
        for fields, said in (({"embedding": {"token": X, "position": X}}, added), (turned, later)):
            why = self.told(**fields).why
            assert (added in why, later in why) == (said == added, said == later)
        assert "order" not in self.told(embedding={"token": X}).why


@pytest.mark.parametrize(
    ("layer", "part", "fresh"), [(0, "attention", True), (1, "attention", False), (0, "cross_attention", False)]
)
def test_only_the_first_layer_reads_a_stream_to_which_nothing_was_added(layer: int, part: str, fresh: bool) -> None:
    step = walk(by_hand(residual=X, part=part), layer)[f"What layer {layer} reads"]
    assert ("Nothing has been added to it yet" in step.why) == fresh
    assert (step.formula, list(arrays(step))) == ("x", ["residual"])


def test_a_norm_before_the_layer_is_shown() -> None:
    steps = walk(by_hand(parameters=maps(), residual=X, input=X / 2))
    step = steps["What layer 1 reads"]
    assert step.formula == "x̂ = norm(x)" and "a norm brings it to a standard size" in step.why
    assert_allclose(arrays(step)["input"], X / 2)
    assert steps[PLAIN[0]].formula == "q = W_Q x̂" and steps[PLAIN[1]].formula == "k_j = W_K x̂_j"


@pytest.mark.parametrize(("passed", "formula"), [(X + 1, "x ← x + o"), ((X + 1) / 3, "x ← norm(x + o)")])
@pytest.mark.parametrize("more", [{}, {"feed_forward": 2 * X}])
def test_what_is_added_to_the_stream_is_measured_and_a_norm_after_it_said(
    passed: np.ndarray, formula: str, more: dict[str, np.ndarray]
) -> None:
    trace = by_hand(residual=X, passed=passed, added={"attention": np.ones(3)} | more)
    step = walk(trace)["Added to the residual stream"]
    assert (step.formula, "a norm then brings" in step.why) == (formula, "norm" in formula)
    assert ("Each part of a layer adds in this way" in step.why) == bool(more)
    found = arrays(step)
    assert_allclose(found["residual_length"], math.sqrt(14))
    assert_allclose(found["added_lengths"], [math.sqrt(3), 2 * math.sqrt(14)][: 1 + len(more)])


class TestMaps:
    def test_heads_that_share_keys_and_values_have_the_maps_of_their_group(self) -> None:
        parameters = maps(4, 2)
        many = by_hand(
            query=np.arange(8.0).reshape(4, 2), keys=np.stack([KEYS, KEYS + 1]), values=np.stack([VALUES, VALUES + 1]),
            parameters=parameters,
        )  # fmt: skip
        for head, own in ((0, 0), (1, 0), (2, 1), (3, 1)):
            steps = walk(many, head=head)
            found = {name: array for step in steps.values() for name, array in arrays(step).items()}
            words = {each.name: each.words for step in steps.values() for each in step.quantities}
            assert list(arrays(steps[PLAIN[0]])) == ["query_weight", "queries", "query"]
            assert_allclose(found["queries"], np.arange(8).reshape(4, 2))
            assert_allclose(found["query"], [2 * head, 2 * head + 1])
            assert_allclose(found["query_weight"], np.asarray(parameters["query.weight"])[2 * head : 2 * head + 2])
            assert_allclose(found["key_weight"], np.asarray(parameters["key.weight"])[2 * own : 2 * own + 2])
            assert_allclose(found["value_weight"], np.asarray(parameters["value.weight"])[own : own + 1])
            assert_allclose(found["keys"], KEYS + own)
            assert (words["query_weight"], words["key_weight"]) == (f"W_Q of head {head}", f"W_K of head {own}")
            assert f"this head uses those of key head {own}." in steps[PLAIN[1]].why
        assert "Groups of heads" not in walk(by_hand(parameters=maps()))[PLAIN[1]].why

    def test_biases_norms_and_rotations_stand_in_the_formulas(self) -> None:
        bare = walk(by_hand(parameters=maps()))
        assert list(arrays(bare[PLAIN[0]])) == ["query_weight", "query"]
        assert list(arrays(bare[PLAIN[1]])) == ["key_weight", "keys"]
        assert [bare[title].formula for title in (PLAIN[0], PLAIN[1], PLAIN[6])] == [
            "q = W_Q x",
            "k_j = W_K x_j",
            "v_j = W_V x_j",
        ]
        full = maps(**{"query.bias": np.ones(2), "value.bias": np.ones(1), "key_norm.weight": np.ones(2)})
        steps = walk(by_hand(parameters=full, turned_query=QUERY[None] + 1, turned_keys=KEYS[None] + 1))
        assert steps[PLAIN[0]].formula == "q = W_Q x + b_Q,  q' = R(position) q"
        assert steps[PLAIN[1]].formula == "k_j = norm(W_K x_j),  k'_j = R(j) k_j"
        assert steps[PLAIN[6]].formula == "v_j = W_V x_j + b_V"
        assert steps[PLAIN[2]].formula == "s_j = q' · k'_j = Σ_i q'_i k'_ji"
        assert "rotated by an angle" in steps[PLAIN[0]].why and "rotated" not in bare[PLAIN[0]].why
        assert_allclose(arrays(steps[PLAIN[0]])["turned_query"], QUERY + 1)
        assert_allclose(arrays(steps[PLAIN[2]])["scores"], (KEYS + 1) @ (QUERY + 1))
        assert "W_Q turns 3 numbers into 2 numbers" in bare[PLAIN[0]].why

    def test_cross_attention_reads_the_output_of_the_encoder(self) -> None:
        steps = walk(by_hand(parameters=maps(), part="cross_attention"))
        assert (steps[PLAIN[1]].formula, steps[PLAIN[6]].formula) == ("k_j = W_K h_j", "v_j = W_V h_j")
        assert "this is cross-attention" in steps[PLAIN[1]].why

    @pytest.mark.parametrize("biased", [True, False])
    def test_the_output_projection_has_its_bias_where_there_is_one(self, biased: bool) -> None:
        parameters = maps(2, 1, **({"output.bias": X} if biased else {}))
        mixed = np.array([[2.0], [3.0]])
        trace = by_hand(query=np.ones((2, 2)), parameters=parameters, mixed=mixed, added={"attention": X})
        step = walk(trace, head=1)["All heads together: concatenation and W_O"]
        assert step.formula == "o = W_O [z_0; z_1; …]" + " + b_O" * biased
        found = arrays(step)
        assert ("output_bias" in found) == biased
        output = np.asarray(parameters["output.weight"])  # [width, heads]
        assert_allclose(found["output_weight"], output[:, 1:])
        assert_allclose(found["head_output"], output[:, 1] * 3)
        assert_allclose(found["head_lengths"], np.linalg.norm(output * [2, 3], axis=0))
        assert step.quantities[-1].words == "what all heads add together" + ", with b_O" * biased


class TestWeighing:
    @pytest.mark.parametrize(
        ("scale", "formula", "said"),
        [
            (
                2**-0.5,
                "s_j ← s_j / √2",
                "divided by √d_k, here √2. The numbers of this head are not quite like that, so the spread below is "
                "another one.",
            ),
            (0.5, "s_j ← s_j / 2", "divided by 2."),
            (0.125, "s_j ← s_j / 8", "divided by 8."),
            (1, "s_j stays as it is", "If this model has a scale, the query or the keys include it already."),
        ],
    )
    def test_scores_are_divided_by_what_is_said(self, scale: float, formula: str, said: str) -> None:
        step = walk(by_hand(scale=scale))["The scale"]
        assert step.formula == formula and step.why.endswith(said)
        found = arrays(step)
        assert_allclose(found["scale_divisor"], 1 / scale)
        assert_allclose(found["spread_after"], found["spread_before"] * scale)

    def test_why_scores_are_not_scaled_depends_on_what_is_known(self) -> None:
        trained = walk(by_hand(scale=1, parameters=maps()))["The scale"].why
        assert trained == "This model does not scale its scores: W_Q and W_K were trained without a scale."
        one = by_hand(scale=1, query=QUERY[None, :1], keys=KEYS[None, :, :1], parameters=maps())
        assert walk(one)["The scale"].why.endswith("dividing by √d_k = 1 changes nothing.")

    @pytest.mark.parametrize(
        ("parameters", "title", "name"),
        [(None, "A bias is added to the scores", "bias"), (maps(), "Positions change the scores", "position_bias")],
    )
    def test_a_bias_is_added_and_is_said_to_be_of_positions_where_it_is_known(
        self, parameters: Parameters | None, title: str, name: str
    ) -> None:
        bias = np.array([[0.5, -1.0, 2.0]])
        found = arrays(walk(by_hand(bias=bias, parameters=parameters))[title])
        assert list(found) == [name, "biased_scores"]
        assert_allclose(found["biased_scores"], SCORES / 2 + bias[0])
        assert_allclose(found[name], bias[0])

    def test_a_sink_takes_a_share_that_goes_nowhere(self) -> None:
        steps = walk(by_hand(sink=np.array([0.25])))
        step = steps["Softmax: scores become weights"]
        found = arrays(step)
        shares = np.exp([*SCORES / 2, 0.25])
        assert "exp(sink − m)" in step.formula and "The attention weights sum to less than 1" in step.why
        assert_allclose(found["sink_score"], 0.25)
        assert_allclose(found["exponentials"], np.exp(SCORES / 2 - 2))
        assert_allclose(found["sum_of_exponentials"], shares.sum() / math.exp(2))
        assert_allclose(found["weights_plus_one"], shares[:3] / shares.sum())
        assert_allclose(found["weights_doubled"], shares[:3] ** 2 / (shares**2).sum())
        assert_allclose(found["sink_share"], shares[3] / shares.sum())
        assert_allclose(found["sum_of_weights"], 1 - shares[3] / shares.sum())
        plain = walk(by_hand())["Softmax: scores become weights"]
        assert "sink" not in plain.formula and "sink_share" not in arrays(plain)

    @pytest.mark.parametrize(
        ("allowed", "position", "said"),
        [
            ([True, True, False], 1, "the mask is causal"),
            ([True, False, False], 0, "the mask is causal"),
            ([True, True, False], 0, "a window around the query, or at a part of the text"),
            ([False, True, True], 1, "only looks back as far as its window"),
            ([False, False, True], 2, "only looks back as far as its window"),
            ([False, False, True], 1, "a window around the query, or at a part of the text"),
            ([False, True, False], 1, "a window around the query, or at a part of the text"),
        ],
    )
    def test_why_keys_are_hidden_is_guessed_from_which_they_are(
        self, allowed: list[bool], position: int, said: str
    ) -> None:
        seen = np.array(allowed)
        step = walk(by_hand(position=position, allowed=seen))["The mask"]
        assert said in step.why
        found = arrays(step)
        assert found["allowed"].tolist() == allowed
        shares = np.exp(SCORES / 2)
        assert_allclose(found["sum_if_zeroed_after"], shares[seen].sum() / shares.sum())

    def test_an_even_row_has_the_entropy_that_is_said_to_be_the_largest(self) -> None:
        even = by_hand(keys=np.ones((1, 3, 2)), allowed=np.array([True, True, False]))
        (entropy,) = (
            each for each in walk(even)["Softmax: scores become weights"].quantities if each.name == "entropy"
        )
        assert "1.00: the same on each visible token" in entropy.words
        assert entropy.array == pytest.approx(1)

    def test_what_adds_most_is_shown_of_the_keys_that_are_seen_the_largest_first(self) -> None:
        steps = walk(by_hand(allowed=np.array([True, True, False])))
        (parts,) = (each for each in steps[PLAIN[2]].quantities if each.name == "contributions")
        assert parts.rows == ("b", "a")
        assert_allclose(parts.array, [[0, 2], [1, 0]])

    def test_the_arrays_of_a_score_function_that_learns_are_listed(self) -> None:
        learned = {
            "query.weight": np.eye(2),
            "key.weight": np.eye(2),
            "key.bias": np.ones(2),
            "v": np.array([1.0, 2.0]),
        }
        trace = by_hand(score="additive", scale=1.0, score_parameters=Parameters(learned))
        step = walk(trace)[PLAIN[2]]
        names = ["score_query_weight", "score_key_weight", "score_key_bias", "score_v"]
        assert [each.name for each in step.quantities][:4] == names
        assert [each.shown for each in step.quantities][:4] == [True, True, False, True]
        units = np.tanh(QUERY + KEYS + 1) * [1.0, 2.0]
        assert_allclose(arrays(step)["scores"], units.sum(-1))
        assert "The scale" not in walk(trace)


class TestLengths:
    """Three tokens of weights .5, .3 and .2, whose values have the lengths 1, 10 and 2 after W_O."""

    WEIGHTS = np.array([[0.5, 0.3, 0.2]])
    OUTPUT = np.array([[3.0, 0.0], [4.0, 0.0], [0.0, 1.0]])  # [width, d], two columns of length 5 and 1
    VALUES = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, -2.0]])

    def mixed(self, values: np.ndarray, **fields: Any) -> Step:
        return walk(by_hand(values=values[None], weights=self.WEIGHTS, **fields))["The weighted sum"]

    def test_what_a_token_adds_is_as_long_as_its_weight_times_its_value_after_the_slice_of_its_head(self) -> None:
        other = np.full((3, 2), 7.0)
        parameters = maps(2, 1, **{"output.weight": np.c_[other, self.OUTPUT]})
        query, weights = np.stack([QUERY, QUERY]), np.repeat(self.WEIGHTS, 2, 0)
        trace = by_hand(query=query, values=self.VALUES[None], weights=weights, parameters=parameters)
        found = arrays(walk(trace, head=1)["The weighted sum"])
        assert_allclose(found["weights_of_values"], [0.5, 0.3, 0.2])
        assert_allclose(found["value_lengths"], [1, 10, 2])
        assert_allclose(found["weighted_lengths"], [0.5, 3, 0.4])

    def test_without_the_matrix_that_joins_heads_it_is_the_length_of_the_value_itself(self) -> None:
        step = self.mixed(self.VALUES)
        assert_allclose(arrays(step)["weighted_lengths"], [0.5, 0.6, 0.4])
        assert [each.words for each in step.quantities][1:3] == ["length of v_j", "length of w_j v_j"]

    @pytest.mark.parametrize(
        ("lengths", "said"),
        [
            (
                [1, 1, 1],
                "Here, with weights rounded to 2 decimals and lengths to 2, the tokens come in the same order by both.",
            ),
            ([1, 2, 1], "a has more weight than b (0.50 and 0.30), but adds less (0.50 and 0.60)."),
            ([1, 0.5, 1], "b has more weight than c (0.30 and 0.20), but adds less (0.15 and 0.20)."),
            ([0, 0, 0.01], "a has more weight than c (0.50 and 0.20), but adds less (0.0000 and 0.0020)."),
            ([0, 0, 0], "lengths to 2, the tokens come in the same order by both."),
            ([2, 2, 3.001], "lengths to 2, the tokens come in the same order by both."),  # 0.60 and 0.60
            ([0.02, 0.02, 0.03], "lengths to 3, the tokens come in the same order by both."),
        ],
    )
    def test_it_is_said_where_the_order_by_length_differs_from_that_by_weight(
        self, lengths: list[float], said: str
    ) -> None:
        assert self.mixed(np.array(lengths)[:, None]).why.endswith(said)


@pytest.mark.parametrize("turned", [False, True])
def test_of_the_largest_score_that_is_seen_each_product_is_shown(turned: bool) -> None:
    more = {"turned_query": QUERY[None] * 3, "turned_keys": KEYS[None] * 2, "parameters": maps()} if turned else {}
    step = walk(by_hand(allowed=np.array([True, True, False]), **more))[PLAIN[2]]
    (found,) = (each for each in step.quantities if each.name == "largest_score")
    times, mark = (6, "'") if turned else (1, "")
    assert found.rows == (f"q{mark}", f"k{mark} of b", "products") and found.whole
    assert_allclose(np.asarray(found.array)[2], np.array([0, 2]) * times)
    assert found.words.endswith(f"the products add up to {2 * times}.00")
    assert_allclose(np.prod(np.asarray(found.array)[:2], axis=0), np.asarray(found.array)[2])
