from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.reference.parameters import Parameters
from attnviz.reference.recurrent import attend, decode, encode, gru, run_gru
from attnviz.reference.scores import SCORES
from tests.reference.randomized import random_array, randomize

BATCH, SOURCES, TARGETS, EMBEDDING, WIDTH, INNER, VOCABULARY = 2, 7, 5, 3, 11, 13, 17  # of each axis a different prime
LENGTHS = np.array([7, 4])
REAL = np.arange(SOURCES) < LENGTHS[:, None]  # [batch, sources]

DIRECTIONS = pytest.mark.parametrize(("backward", "suffix"), [(False, ""), (True, "_reverse")])

Make = Callable[..., Any]


def random_ids(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, VOCABULARY, size=shape)


def torch_gru() -> torch.nn.GRU:
    return randomize(torch.nn.GRU(EMBEDDING, WIDTH, batch_first=True, bidirectional=True))


def arrays_of(module: torch.nn.GRU, suffix: str, prefix: str = "") -> dict[str, np.ndarray]:
    names = {"input": "ih", "state": "hh"}
    return {
        f"{prefix}{part}.{kind}": getattr(module, f"{kind}_{name}_l0{suffix}").numpy()
        for part, name in names.items()
        for kind in ("weight", "bias")
    }


def learned() -> dict[str, np.ndarray]:
    """A whole encoder-decoder with random arrays, the encoder's being those of `torch_gru`."""
    module = torch_gru()
    shapes = {
        "embedding.weight": (VOCABULARY, EMBEDDING),
        "embedding.bias": (VOCABULARY,),
        "attention.query.weight": (INNER, WIDTH),
        "attention.key.weight": (INNER, 2 * WIDTH),
        "attention.v": (INNER,),
        "start.weight": (WIDTH, WIDTH),
        "start.bias": (WIDTH,),
        "decoder.token.weight": (3 * WIDTH, EMBEDDING),
        "decoder.token.bias": (3 * WIDTH,),
        "decoder.context.weight": (3 * WIDTH, 2 * WIDTH),
        "decoder.state.weight": (3 * WIDTH, WIDTH),
        "decoder.state.bias": (3 * WIDTH,),
        "readout.weight": (2 * EMBEDDING, 3 * WIDTH + EMBEDDING),
        "readout.bias": (2 * EMBEDDING,),
    }
    arrays = {name: random_array(*shape, seed=seed) * 0.5 for seed, (name, shape) in enumerate(shapes.items())}
    return arrays | arrays_of(module, "", "encoder.forward.") | arrays_of(module, "_reverse", "encoder.backward.")


def parameters(array: Make, arrays: dict[str, np.ndarray]) -> Parameters:
    return Parameters({name: array(values) for name, values in arrays.items()})


def decoded_by_torch(ids: np.ndarray, encoded: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [batch, targets, vocabulary] and weights [batch, targets, sources], by torch's own parts."""
    w = {name: torch.from_numpy(values) for name, values in learned().items()}
    h, x = torch.from_numpy(encoded), w["embedding.weight"][torch.from_numpy(ids)]
    cell = torch.nn.GRUCell(EMBEDDING + 2 * WIDTH, WIDTH).requires_grad_(False)
    cell.weight_ih[:] = torch.cat((w["decoder.token.weight"], w["decoder.context.weight"]), -1)
    cell.bias_ih[:] = w["decoder.token.bias"]
    cell.weight_hh[:], cell.bias_hh[:] = w["decoder.state.weight"], w["decoder.state.bias"]
    s = torch.tanh(h[:, 0, WIDTH:] @ w["start.weight"].T + w["start.bias"])
    logits, weights = [], []
    for y in x.unbind(1):
        both = torch.einsum("iw,bw->bi", w["attention.query.weight"], s)[:, None]
        both = both + torch.einsum("iw,bsw->bsi", w["attention.key.weight"], h)
        scores = torch.einsum("i,bsi->bs", w["attention.v"], torch.tanh(both))
        weights.append(torch.softmax(scores.masked_fill(~torch.from_numpy(REAL), -torch.inf), -1))
        context = torch.einsum("bs,bsw->bw", weights[-1], h)
        s = cell(torch.cat((y, context), -1), s)
        hidden = torch.cat((s, y, context), -1) @ w["readout.weight"].T + w["readout.bias"]
        maxout = torch.nn.functional.max_pool1d(hidden, 2)
        logits.append(maxout @ w["embedding.weight"].T + w["embedding.bias"])
    return torch.stack(logits, 1), torch.stack(weights, 1)


def test_a_step_is_that_of_a_torch_gru_cell(array: Make) -> None:
    module, x, state = torch_gru(), random_array(BATCH, EMBEDDING), random_array(BATCH, WIDTH)
    arrays = arrays_of(module, "")
    cell = torch.nn.GRUCell(EMBEDDING, WIDTH).requires_grad_(False)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in module.state_dict().items()}, strict=False)
    given = array(x @ arrays["input.weight"].T + arrays["input.bias"])
    after = gru(given, array(state), parameters(array, arrays).within("state"))
    assert_allclose(np.asarray(after), cell(torch.from_numpy(x), torch.from_numpy(state)), atol=1e-6)


def test_an_update_gate_of_1_keeps_the_state_and_one_of_0_forgets_it(array: Make) -> None:
    state, weight = random_array(BATCH, WIDTH), np.zeros((3 * WIDTH, WIDTH), np.float32)
    given = array(np.zeros((BATCH, 3 * WIDTH), np.float32))
    for gate, expected in ((100, state), (-100, np.zeros_like(state))):
        bias = np.repeat([0, gate, 0], WIDTH).astype(np.float32)
        linear = parameters(array, {"weight": weight, "bias": bias})
        assert_allclose(np.asarray(gru(given, array(state), linear)), expected)


@DIRECTIONS
def test_reading_in_one_direction_is_torchs_gru(array: Make, backward: bool, suffix: str) -> None:
    module, x = torch_gru(), random_array(BATCH, SOURCES, EMBEDDING)
    states = run_gru(array(x), parameters(array, arrays_of(module, suffix)), backward=backward)
    expected = module(torch.from_numpy(x))[0][..., WIDTH * backward :][..., :WIDTH]
    assert_allclose(np.asarray(states), expected, atol=1e-6)


def test_the_encoder_reads_in_both_directions_and_padding_changes_nothing(array: Make) -> None:
    module, ids, arrays = torch_gru(), random_ids(BATCH, SOURCES), learned()
    encoded = np.asarray(encode(array(ids), parameters(array, arrays), array(LENGTHS)))
    assert encoded.shape == (BATCH, SOURCES, 2 * WIDTH)
    for row, length in enumerate(LENGTHS):
        expected = module(torch.from_numpy(arrays["embedding.weight"][ids[row, :length]]))[0]
        assert_allclose(encoded[row, :length], expected, atol=1e-6)


def test_the_scores_are_those_of_the_additive_score_function(array: Make) -> None:
    attention = parameters(array, learned()).within("attention")
    queries, encoded = random_array(BATCH, TARGETS, WIDTH), array(random_array(BATCH, SOURCES, 2 * WIDTH))
    expected = np.asarray(SCORES["additive"](array(queries), encoded, attention))  # [batch, targets, sources]
    keys = encoded @ attention["key.weight"].mT
    for row in range(TARGETS):
        found = attend(array(queries[:, row]), keys, encoded, attention, None)
        assert_allclose(np.asarray(found["scores"]), expected[:, row], atol=1e-5)


def test_what_the_decoder_gives_and_looks_at_is_what_torchs_own_parts_give(array: Make) -> None:
    ids, encoded, seen = random_ids(BATCH, TARGETS), random_array(BATCH, SOURCES, 2 * WIDTH), []
    logits = decode(
        array(ids),
        array(encoded),
        parameters(array, learned()),
        array(LENGTHS),
        watch=seen.append,
    )
    expected, weights = decoded_by_torch(ids, encoded)
    assert_allclose(np.asarray(logits), expected, atol=1e-5)
    (block,) = seen
    watched = block.weights
    assert (block.rows.start, block.keys.start) == (0, 0)
    assert watched.shape == (BATCH, 1, TARGETS, SOURCES)
    assert_allclose(np.asarray(watched)[:, 0], weights, atol=1e-6)


def test_rows_sum_to_1_and_padding_gets_no_weight(array: Make) -> None:
    seen = []
    decode(
        array(random_ids(BATCH, TARGETS)),
        array(random_array(BATCH, SOURCES, 2 * WIDTH)),
        parameters(array, learned()),
        array(LENGTHS),
        watch=lambda block: seen.append(np.asarray(block.weights)),
    )
    assert_allclose(seen[0].sum(-1), 1, atol=1e-6)
    assert_array_equal((seen[0] > 0).all((1, 2)), REAL)


def test_a_row_looks_before_the_decoder_reads_its_own_token(array: Make) -> None:
    ids, encoded = random_ids(TARGETS), array(random_array(SOURCES, 2 * WIDTH))
    other = ids.copy()
    other[3] = (ids[3] + 1) % VOCABULARY
    seen: list[np.ndarray] = []
    for target in (ids, other):
        watch = lambda block: seen.append(np.asarray(block.weights)[0])  # noqa: E731
        decode(array(target), encoded, parameters(array, learned()), watch=watch)
    assert_array_equal(seen[0][:4], seen[1][:4])
    assert (seen[0][4] != seen[1][4]).all()


def test_what_is_noted_leads_from_query_to_context(array: Make) -> None:
    told: dict[str, np.ndarray] = {}
    own, ids, encoded = parameters(array, learned()), random_ids(TARGETS), random_array(SOURCES, 2 * WIDTH)
    decode(array(ids), array(encoded), own, note=lambda name, values: told.update({name: np.asarray(values)}))
    arrays = learned()
    read: dict[str, np.ndarray] = {}
    encode(array(ids), own, note=lambda name, values: read.update({name: np.asarray(values)}))
    for found in (read, told):
        assert_array_equal(found["embedding.token"], arrays["embedding.weight"][ids])
    noted = {name.removeprefix("attention."): values for name, values in told.items()}
    assert noted["query"].shape == (TARGETS, WIDTH)
    assert_allclose(noted["query"][1:], noted["state"][:-1])
    assert_array_equal(noted["key"], encoded)
    assert_array_equal(noted["value"], encoded)
    assert_allclose(noted["projected_query"], noted["query"] @ arrays["attention.query.weight"].T, atol=1e-5)
    assert_allclose(noted["projected_key"], encoded @ arrays["attention.key.weight"].T, atol=1e-5)
    inside = np.tanh(noted["projected_query"][:, None] + noted["projected_key"][None])  # [targets, sources, inner]
    assert_allclose(noted["scores"], (inside * arrays["attention.v"]).sum(-1), atol=1e-5)
    exponentials = np.exp(noted["scores"])
    assert_allclose(noted["weights"], exponentials / exponentials.sum(-1, keepdims=True), atol=1e-6)
    assert_allclose(noted["mixed"], noted["weights"] @ encoded, atol=1e-5)
