"""The walk through a head, held to the transformer that it explains, to PyTorch, and to cases worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.errors import UsageError
from attnviz.lessons import Axis, Quantity, Variant, WhatIf, compare, head_steps
from attnviz.lessons.toy import MASKS, POSITIONS, VECTORS, Toy, explain_toy
from attnviz.records import Block
from attnviz.reference.head_steps import Numbers, entropy
from attnviz.reference.layer_trace import LayerNotes, trace_layer
from attnviz.reference.parameters import Parameters
from attnviz.reference.trace import Trace
from attnviz.reference.transformer import Config, Norm, Positions, transformer
from attnviz.vocabulary import Kind

LAYERS, HEADS, TOKENS, DEPTH, INNER, VOCABULARY, SOURCES = 3, 6, 7, 4, 13, 11, 5
WIDTH = HEADS * DEPTH
NAMES = tuple("abcdefg")
IDS = np.random.default_rng(3).integers(0, VOCABULARY, TOKENS)
CONTEXT = np.random.default_rng(5).normal(size=(SOURCES, WIDTH)).astype(np.float32)

SHAPES: dict[str, dict[str, Any]] = {
    "encoder": {"positions": Positions.LEARNED},
    "post-norm": {"positions": Positions.SINUSOIDAL, "norm_first": False, "norm_embedding": True},
    "rotary": {"positions": Positions.ROTARY},
    "causal": {"positions": Positions.ROTARY, "causal": True},
    "windowed": {"positions": Positions.LEARNED, "causal": True, "windows": (None, 3, 2)},
    "grouped": {"positions": Positions.ROTARY, "causal": True, "key_heads": 2, "norm": Norm.RMS, "gated": True},
    "alibi": {"positions": Positions.ALIBI},
    "relative": {"positions": Positions.RELATIVE, "causal": True},
}
every_shape = pytest.mark.parametrize(
    "shape", [Config(width=WIDTH, layers=LAYERS, heads=HEADS, **s) for s in SHAPES.values()], ids=SHAPES
)


def random_parameters(config: Config, *, biased: bool = True) -> Parameters:
    rng = np.random.default_rng(7)
    arrays: dict[str, Any] = {
        "embedding.weight": rng.normal(size=(VOCABULARY, WIDTH)),
        "positions.weight": rng.normal(size=(TOKENS, WIDTH)),
        "relative.weight": rng.normal(size=(8, HEADS)),
    }
    norms = ["norm", "embedding_norm"]
    for layer in range(LAYERS):
        norms += [f"layers.{layer}.{part}_norm" for part in config.sublayers]
        for part in config.sublayers[:-1]:
            for name in ("query", "key", "value", "output"):
                rows = (config.key_heads or HEADS) * DEPTH if name in ("key", "value") else WIDTH
                arrays[f"layers.{layer}.{part}.{name}.weight"] = rng.normal(size=(rows, WIDTH)) / 2
                if biased:
                    arrays[f"layers.{layer}.{part}.{name}.bias"] = rng.normal(size=rows)
        for name, size in {"up": (INNER, WIDTH), "gate": (INNER, WIDTH), "down": (WIDTH, INNER)}.items():
            arrays[f"layers.{layer}.feed_forward.{name}.weight"] = rng.normal(size=size) / 3
    for name in norms:
        arrays |= {f"{name}.weight": rng.normal(size=WIDTH), f"{name}.bias": rng.normal(size=WIDTH)}
    return Parameters({name: array.astype(np.float32) for name, array in arrays.items()})


def run(config: Config, layer: int, query: int, ids: Any = IDS) -> tuple[Trace, Any, dict[str, Any]]:
    """A trace, the weights [heads, keys] of its query, and everything else of its layer that was noted."""
    watched: dict[int, Any] = {}
    notes = LayerNotes(layer)
    parameters = random_parameters(config)

    def watch(block: Block) -> None:
        if not config.crosses or block.kind is Kind.CROSS:
            watched[block.layer] = block.weights

    context = CONTEXT if config.crosses else None
    transformer(ids, parameters, config, context=context, watch=watch, note=notes.take, depth=layer + 1)
    trace = trace_layer(notes, parameters, config, query, context=context)
    return trace, watched[layer][:, query], notes.parts


def quantities(trace: Trace, head: int, names: tuple[str, ...] = NAMES, layer: int = 1) -> dict[str, Quantity]:
    return {quantity.name: quantity for step in head_steps(trace, layer, head, names) for quantity in step.quantities}


def compared(trace: Trace, head: int, **what_if: Any) -> dict[str, Quantity]:
    def never(variant: Variant) -> Any:
        raise AssertionError("nothing asked for another run")

    steps = compare(trace, head, WhatIf(**what_if), never, NAMES)
    return {quantity.name: quantity for step in steps for quantity in step.quantities}


@every_shape
@pytest.mark.parametrize(("layer", "head", "query"), [(0, 0, 0), (1, 1, 6), (2, 4, 4)])
def test_the_weights_explained_are_those_of_the_transformer(shape: Config, layer: int, head: int, query: int) -> None:
    trace, weights, notes = run(shape, layer, query)
    told = quantities(trace, head, layer=layer)
    expected = np.zeros(TOKENS)
    expected[: weights.shape[-1]] = weights[head]
    assert_allclose(told["weights"].array, expected, atol=1e-6)
    assert told["sum_of_weights"].array == pytest.approx(1, abs=1e-6)
    assert_allclose(told["mixed"].array, notes["attention.mixed"][head, query], atol=1e-5)


def test_the_weights_of_cross_attention_are_explained() -> None:
    shape = Config(width=WIDTH, layers=LAYERS, heads=HEADS, causal=True, crosses=True, positions=Positions.ROTARY)
    trace, weights, _ = run(shape, 1, 4)
    told = quantities(trace, 2, NAMES[:SOURCES])
    assert_allclose(told["weights"].array, weights[2], atol=1e-6)
    assert told["keys"].array.shape == (SOURCES, DEPTH)
    assert told["added_lengths"].rows == ("self-attention", "cross-attention", "feed-forward")


@every_shape
def test_what_each_dimension_adds_sums_to_the_largest_scores(shape: Config) -> None:
    trace, weights, _ = run(shape, 1, 5)
    told = quantities(trace, 2)
    seen = [key for key, weight in enumerate(weights[2]) if weight > 0]
    largest = sorted(seen, key=lambda key: -told["scores"].array[key])[:3]
    assert told["contributions"].rows == tuple(NAMES[key] for key in largest)
    assert_allclose(told["contributions"].array.sum(-1), told["scores"].array[largest], rtol=1e-5)


@every_shape
def test_scores_scale_and_mask_are_the_steps_from_query_and_keys_to_weights(shape: Config) -> None:
    trace, _, _ = run(shape, 2, 3)
    told = {name: np.asarray(quantity.array) for name, quantity in quantities(trace, 4, layer=2).items()}
    query = told.get("turned_query", told["query"])
    keys = told.get("turned_keys", told["keys"])
    assert_allclose(told["scores"], [sum(q * k for q, k in zip(query, key, strict=True)) for key in keys], rtol=1e-4)
    assert_allclose(told["scaled_scores"], told["scores"] / math.sqrt(DEPTH), rtol=1e-5)
    biased = told.get("biased_scores", told["scaled_scores"])
    window = {"causal": range(4), "windowed": range(2, 4), "grouped": range(4), "relative": range(4)}
    seen = window.get(
        next(name for name, s in SHAPES.items() if Config(width=WIDTH, layers=3, heads=6, **s) == shape), range(TOKENS)
    )
    assert_allclose(told["masked_scores"], [biased[key] if key in seen else -np.inf for key in range(TOKENS)])
    assert_allclose(told["weights"], torch.softmax(torch.from_numpy(told["masked_scores"]), -1), atol=1e-6)


@every_shape
def test_the_heads_add_up_to_what_attention_adds(shape: Config) -> None:
    trace, _, notes = run(shape, 1, 4)
    told = quantities(trace, 0)
    added = sum(quantities(trace, head)["head_output"].array for head in range(HEADS)) + told["output_bias"].array
    assert_allclose(added, notes["attention.output"][4], atol=1e-4)
    assert_allclose(told["output"].array, notes["attention.output"][4])
    assert_allclose(told["residual_after"].array, notes["attention.passed"][4], atol=1e-5)
    assert_allclose(told["head_lengths"].array[2], np.linalg.norm(quantities(trace, 2)["head_output"].array), rtol=1e-5)


def test_the_embedding_is_told_in_its_parts() -> None:
    trace, _, notes = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS, positions=Positions.LEARNED), 0, 3)
    told = quantities(trace, 0, layer=0)
    assert_allclose(told["token_embedding"].array + told["position_embedding"].array, told["embedded"].array)
    assert_allclose(told["embedded"].array, told["residual"].array)
    assert_allclose(told["residual"].array, notes["attention.residual"][3])


@every_shape
def test_general_with_the_product_of_the_maps_is_dot(shape: Config) -> None:
    trace, _, _ = run(shape, 1, 5)
    told = compared(trace, 3, scores=("dot", "general"))
    dot, general = told["weights_by_score"].array
    assert_allclose(general, dot, atol=1e-4)
    assert told["general_minus_dot"].array < 1e-4
    assert told["weights_by_score"].axes == (Axis.PARTS, Axis.KEYS)


@pytest.mark.parametrize(
    ("shape", "formulas"),
    [
        ("encoder", ("x = E[token] + P[position]", "x̂ = norm(x)", "q = W_Q x̂ + b_Q", "s_j = q · k_j", "x ← x + o")),
        ("post-norm", ("x = norm(E[token] + P[position])", "q = W_Q x + b_Q", "v_j = W_V x_j", "x ← norm(x + o)")),
        (
            "rotary",
            ("x = E[token]", "q' = R(position) q", "s_j = q' · k'_j", "s_j ← s_j / √4", "o = W_O [z_0; z_1; …] + b_O"),
        ),
        ("alibi", ("s_j ← s_j + b(j − i)",)),
        ("causal", ("s_j ← −∞ where the query may not look",)),
    ],
)
def test_a_formula_says_what_the_model_does(shape: str, formulas: tuple[str, ...]) -> None:
    trace, _, _ = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS, **SHAPES[shape]), 0, 3)
    told = [step.formula for step in head_steps(trace, 0, 2, NAMES)]
    for formula in formulas:
        assert any(formula in each for each in told), (formula, told)


def test_of_what_is_hidden_nothing_is_said_to_be_large() -> None:
    trace, _, _ = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS, **SHAPES["windowed"]), 2, 5)
    told = quantities(trace, 0, layer=2)
    assert set(told["contributions"].rows) == set(told["weighted_values"].rows) == {"e", "f"}  # a window of two
    assert "1.00: the same on each visible token" in told["entropy"].words
    assert told["spread_after"].array == pytest.approx(told["scaled_scores"].array[4:6].std())


def test_tokens_of_one_name_are_told_apart_by_their_positions() -> None:
    trace, _, _ = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS), 1, 4)
    told = quantities(trace, 2, ("the",) * TOKENS)
    assert all(row in {f"{key} the" for key in range(TOKENS)} for row in told["contributions"].rows)


def test_weights_that_do_not_follow_from_scores_are_shown_as_they_are() -> None:
    trace, weights, _ = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS), 1, 4)
    own = np.full_like(weights, 1 / TOKENS)
    trace = replace(trace, weights=own)
    told = quantities(trace, 2)
    assert_array_equal(told["weights"].array, own[2])
    assert_allclose(told["mixed"].array, told["values"].array.mean(0), atol=1e-6)
    assert "scores" not in told
    with pytest.raises(UsageError, match="do not follow from scores"):
        compared(trace, 2, no_scale=True)


def test_there_is_no_general_form_where_queries_and_keys_are_normed() -> None:
    shape = Config(width=WIDTH, layers=LAYERS, heads=HEADS, positions=Positions.NONE, norm_heads=True)
    parameters = random_parameters(shape)
    norms = {
        f"layers.{i}.attention.{n}_norm.weight": np.ones(DEPTH, np.float32) for i in range(3) for n in ("query", "key")
    }
    parameters = Parameters({**parameters.arrays, **norms})
    notes = LayerNotes(0)
    transformer(IDS, parameters, shape, note=notes.take, depth=1)
    with pytest.raises(UsageError, match="go through a norm"):
        compared(trace_layer(notes, parameters, shape, 2), 0, scores=("general",))


@every_shape
def test_other_scores_are_those_of_torch_on_the_same_queries_and_keys(shape: Config) -> None:
    trace, weights, _ = run(shape, 1, 5)
    numbers = Numbers.of(trace, 2)
    query, keys, masked, biased = (
        torch.from_numpy(np.asarray(a)) for a in (numbers.query, numbers.keys, numbers.masked, numbers.biased)
    )
    hidden = torch.isinf(masked)
    bias = biased - torch.from_numpy(np.asarray(numbers.scaled))
    told = compared(trace, 2, scores=("cosine", "scaled-dot", "dot"), no_scale=True)
    plain = {
        "cosine": torch.cosine_similarity(query[None], keys),
        "scaled-dot": keys @ query / DEPTH**0.5,
        "dot": keys @ query,
    }
    for row, scores in zip(told["weights_by_score"].array, plain.values(), strict=True):
        expected = torch.softmax((scores + bias).masked_fill(hidden, -math.inf), -1)
        assert_allclose(row, expected, atol=1e-5)
    assert_allclose(told["weights_without_scale"].array[1], told["weights_by_score"].array[2], atol=1e-6)
    assert told["weights_by_score_entropies"].array[1] == pytest.approx(entropy(weights[2]), abs=1e-4)


@pytest.mark.parametrize("name", ["additive", "location"])
def test_scores_that_nobody_trained_are_refused(name: str) -> None:
    trace, _, _ = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS), 0, 0)
    with pytest.raises(UsageError, match=f"{name} scores need parameters that this head has not learned"):
        compared(trace, 0, scores=(name,))


def test_without_the_mask_hidden_keys_get_weight_and_zeros_afterwards_do_not_mend_it() -> None:
    trace, _, _ = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS, causal=True, positions=Positions.LEARNED), 1, 2)
    told = compared(trace, 3, no_mask=True)
    masked, bare, zeroed = told["weights_without_mask"].array
    assert (masked[3:] == 0).all() and (bare[3:] > 0).all()
    assert_array_equal(zeroed, [*bare[:3], 0, 0, 0, 0])
    sums = told["weights_without_mask_sums"].array
    assert sums[:2] == pytest.approx([1, 1], abs=1e-6) and sums[2] < 0.999
    assert sums[2] == pytest.approx(quantities(trace, 3)["sum_if_zeroed_after"].array, abs=1e-6)


@every_shape
@pytest.mark.parametrize("tile", [1, 3, 7, 100])
def test_the_online_softmax_comes_to_the_same_weights_and_sum(shape: Config, tile: int) -> None:
    trace, weights, _ = run(shape, 1, 4)
    told = compared(trace, 5, tile=tile)
    masked = torch.from_numpy(np.asarray(Numbers.of(trace, 5).masked))
    steps = math.ceil(TOKENS / tile)
    assert told["running_maximum"].array.shape == told["running_sum"].array.shape == (steps,)
    for step in range(steps):
        seen = masked[: (step + 1) * tile]
        assert told["running_maximum"].array[step] == seen.max()
        expected = 0 if torch.isinf(seen.max()) else torch.exp(seen - seen.max()).sum()
        assert told["running_sum"].array[step] == pytest.approx(float(expected), rel=1e-5)
    assert told["log_sum_exp"].array == pytest.approx(float(torch.logsumexp(masked, -1)), abs=1e-5)
    assert_allclose(told["recomputed_weights"].array[: weights.shape[-1]], weights[5], atol=1e-5)
    assert_allclose(told["running_output"].array[-1], Numbers.of(trace, 5).mixed, atol=1e-5)


def sunk() -> tuple[Trace, np.ndarray, float]:
    """A trace whose head 2 has a sink of score 0.7, the scores of its keys, and what softmax divides by."""
    trace, _, _ = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS, **SHAPES["causal"]), 1, 4)
    scores = Numbers.of(trace, 2).masked.astype(float)
    return (
        replace(trace, sink=np.linspace(-3, 0.7, 3)[[0, 1, 2, 0, 1, 2]]),
        scores,
        math.exp(0.7) + np.exp(scores).sum(),
    )


def test_a_sink_is_a_term_of_softmax_that_belongs_to_no_token() -> None:
    trace, scores, total = sunk()
    steps = list(head_steps(trace, 1, 2, NAMES))
    explained = quantities(trace, 2)
    assert_allclose(explained["weights"].array, np.exp(scores) / total, atol=1e-6)
    assert_allclose(explained["sink_share"].array, math.exp(0.7) / total, atol=1e-6)
    assert_allclose(explained["sum_of_weights"].array + explained["sink_share"].array, 1, atol=1e-6)
    formula = "w_j = exp(s_j − m) / (exp(sink − m) + Σ_k exp(s_k − m)),  m = max(sink, max_k s_k)"
    assert formula in [step.formula for step in steps]
    assert not any("sums to 1" in step.why for step in steps)


@pytest.mark.parametrize("tile", [1, 3, 11])
def test_a_sink_takes_its_share_in_what_is_compared_as_well(tile: int) -> None:
    trace, scores, total = sunk()
    with_sink = compared(trace, 2, tile=tile, no_mask=True, no_scale=True)
    bare = np.exp(Numbers.of(trace, 2).biased.astype(float))
    assert_allclose(with_sink["recomputed_weights"].array, np.exp(scores) / total, atol=1e-6)
    assert_allclose(with_sink["running_output"].array[-1], Numbers.of(trace, 2).mixed, atol=1e-5)
    assert_allclose(with_sink["weights_without_mask"].array[1], bare / (math.exp(0.7) + bare.sum()), atol=1e-6)
    unscaled = np.exp(scores / trace.scale)
    assert_allclose(with_sink["weights_without_scale"].array[1], unscaled / (math.exp(0.7) + unscaled.sum()), atol=1e-6)


def test_of_a_model_of_which_only_the_sum_is_known_no_bias_is_said_to_be_for_distances() -> None:
    trace, _, _ = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS, **SHAPES["alibi"]), 1, 4)
    for parameters, formula, name in (
        (trace.parameters, "s_j ← s_j + b(j − i)", "position_bias"),
        (None, "s_j ← s_j + b_j", "bias"),
    ):
        known = replace(trace, parameters=parameters)
        assert formula in [step.formula for step in head_steps(known, 1, 2, NAMES)]
        assert_array_equal(quantities(known, 2)[name].array, trace.bias[2])


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (range(0, 5), "A model that predicts the next token must not look ahead"),
        (range(2, 7), "This layer only looks back as far as its window."),
        (range(2, 5), "only looks at a window around the query, or at a part of the text"),
        (
            range(0, 6),
            "only looks at a window around the query, or at a part of the text",
        ),  # an encoder's window at the start
        ((0, 4, 5, 6), "only looks at a window around the query, or at a part of the text"),
    ],
)
def test_why_keys_are_hidden_is_said_as_far_as_it_follows_from_which_are(seen: Any, why: str) -> None:
    trace, _, _ = run(Config(width=WIDTH, layers=LAYERS, heads=HEADS, **SHAPES["encoder"]), 1, 4)
    steps = head_steps(replace(trace, allowed=np.isin(np.arange(TOKENS), seen)), 1, 2, NAMES)
    assert why in next(step.why for step in steps if step.title == "The mask")


def test_additive_scores_are_explained_by_the_units_of_their_network() -> None:
    rng = np.random.default_rng(11)
    width, inner, count = 5, 13, 7
    learned = {"query.weight": (inner, width), "query.bias": (inner,), "key.weight": (inner, 2 * width), "v": (inner,)}
    parameters = Parameters({name: rng.normal(size=size) for name, size in learned.items()})
    query, keys = rng.normal(size=(1, width)), rng.normal(size=(1, count, 2 * width))
    trace = Trace(position=0, query=query, keys=keys, values=keys, score="additive", score_parameters=parameters)
    told = quantities(trace, 0)
    t = {name: torch.from_numpy(array) for name, array in parameters.arrays.items()}
    asked = torch.nn.functional.linear(torch.from_numpy(query[0]), t["query.weight"], t["query.bias"])
    units = torch.tanh(asked + torch.from_numpy(keys[0]) @ t["key.weight"].T) * t["v"]
    assert_allclose(told["scores"].array, units.sum(-1), rtol=1e-6)
    assert_allclose(told["weights"].array, torch.softmax(units.sum(-1), -1), rtol=1e-6)
    largest = torch.argsort(-units.sum(-1))[:3]
    assert_allclose(told["contributions"].array, units[largest], rtol=1e-6)
    assert "scaled_scores" not in told
    other = compared(trace, 0, scores=("additive", "dot", "general"))["weights_by_score"].array
    assert_allclose(other[0], told["weights"].array)
    mapped = torch.nn.functional.linear(torch.from_numpy(keys[0]), t["key.weight"])
    assert_allclose(other[1], torch.softmax(mapped @ asked, -1), rtol=1e-5)
    biased = Parameters({**parameters.arrays, "key.bias": rng.normal(size=inner)})
    same = compared(replace(trace, score_parameters=biased), 0, scores=("dot", "general"))
    assert same["general_minus_dot"].array < 1e-12


def test_entropy_is_in_bits() -> None:
    assert entropy(np.array([0.5, 0.25, 0.25, 0.0])) == pytest.approx(1.5)
    assert entropy(np.array([0.0, 1.0])) == 0


def toy_quantities(what_if: WhatIf | None = None, **changes: Any) -> dict[str, Any]:
    lesson = explain_toy(Toy(**changes), what_if or WhatIf())
    return {quantity.name: quantity.array for quantity in lesson.quantities()}


def test_the_toy_begins_with_a_case_that_can_be_worked_out_by_hand() -> None:
    told = toy_quantities(vectors=np.array([[1.0, 2.0], [0.0, 3.0], [-1.0, 1.0]]), names=("a", "b", "c"), query=1)
    assert told["similarities"].tolist() == [6, 9, 3]
    assert told["summed"].tolist() == [6 * 1 + 0 - 3, 12 + 27 + 3]
    shares = np.array([math.exp(6), math.exp(9), math.exp(3)]) / (math.exp(6) + math.exp(9) + math.exp(3))
    assert_allclose(told["parameter_free_weights"], shares)
    assert_allclose(told["averaged"], shares @ [[1, 2], [0, 3], [-1, 1]])


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("mask", MASKS)
def test_the_toys_heads_are_those_of_torch(heads: int, mask: str) -> None:
    toy = Toy(heads=heads, mask=mask, query=3, head=heads - 1)
    told = toy_quantities(heads=heads, mask=mask, query=3, head=heads - 1)
    parameters = {name: torch.from_numpy(array) for name, array in toy.parameters().arrays.items()}
    module = torch.nn.MultiheadAttention(4, heads, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([parameters[f"{part}.weight"] for part in ("query", "key", "value")]))
        module.in_proj_bias.copy_(torch.cat([parameters[f"{part}.bias"] for part in ("query", "key", "value")]))
        module.out_proj.weight.copy_(parameters["output.weight"])
        module.out_proj.bias.copy_(parameters["output.bias"])
    at = np.arange(5)
    seen = {
        "none": at[:, None] >= -1 + 0 * at,
        "causal": at[None] <= at[:, None],
        "window": np.abs(at[None] - at[:, None]) < 2,
        "prefix": (at[None] <= at[:, None]) | (at[None] < 2),
    }[mask]
    x = torch.from_numpy(VECTORS)
    with torch.no_grad():
        written, weights = module(x, x, x, attn_mask=torch.from_numpy(~seen), average_attn_weights=False)
    assert_allclose(told["weights"], weights[heads - 1, 3], atol=1e-6)
    assert_allclose(told["output"], written[3], atol=1e-6)


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_toy_without_positions_does_not_see_the_order(positions: str) -> None:
    told = toy_quantities(WhatIf(order=(3, 0, 4, 2, 1)), positions=positions, heads=2, query=1)
    changes = told["largest_change"]
    assert (changes[0] < 1e-12) == (positions == "none")
    assert changes[-1] < 1e-12


def test_under_a_causal_mask_the_order_is_seen_even_without_positions() -> None:
    told = toy_quantities(WhatIf(order=(3, 0, 4, 2, 1)), positions="sinusoidal", mask="causal", query=1)
    as_it_is, no_positions, nor_mask = told["largest_change"]
    assert as_it_is > 1e-3 and no_positions > 1e-3 and nor_mask < 1e-12


def test_the_toys_untrained_scores_say_that_they_are() -> None:
    lesson = explain_toy(Toy(heads=2), WhatIf(scores=("dot", "additive", "location")))
    step = lesson.steps[-1]
    assert "parameters of additive and location are random numbers" in step.why
    rows = {quantity.name: quantity.array for quantity in step.quantities}["weights_by_score"]
    assert_allclose(rows.sum(-1), 1)
    assert any("random numbers (seed 1)" in note for note in lesson.notes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "cannot be split among 3 heads"),
        ({"heads": 4, "positions": "rotary"}, "Rotary positions rotate pairs"),
        ({"heads": 2, "head": 2}, "no head 2"),
    ],
)
def test_a_toy_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Toy(**changes)


def test_names_of_quantities_are_unique_in_a_lesson() -> None:
    every = WhatIf(
        scores=("dot", "general"), no_scale=True, no_mask=True, no_positions=True, order=(1, 0, 2, 3, 4), tile=2
    )
    lesson = explain_toy(Toy(positions="rotary", mask="causal", heads=2), every)
    names = [quantity.name for quantity in lesson.quantities()]
    assert len(names) == len(set(names)) > 30
    for quantity in lesson.quantities():
        assert np.ndim(quantity.array) == len(quantity.axes), quantity.name
