"""A reader of a lesson, who has its JSON and the formulas, and computes each array from those before it."""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

from attnviz.lessons import Lesson, encode_lesson

Arrays = dict[str, np.ndarray]

MISSING = -math.inf
"""What null is read as: the score of a hidden key, or the entropy of what is no distribution."""

LEARNED = {
    *(f"{part}_{what}" for part in ("query", "key", "value") for what in ("weight", "bias")),
    *("output_weight", "output_bias", "token_embedding"),
    *("score_query_weight", "score_query_bias", "score_key_weight", "score_key_bias", "score_v"),
}
"""What cannot be computed, because it was learned."""


def arrays_of(lesson: Lesson) -> Arrays:
    record = json.loads(encode_lesson(lesson, {}))
    return {
        name: np.array(held["values"], float if "allowed" not in name else bool).reshape(held["shape"])
        for name, held in nan_is_hidden(record["arrays"]).items()
    }


def nan_is_hidden(arrays: dict[str, Any]) -> dict[str, Any]:
    """JSON has null for the -∞ of a hidden score."""

    def mend(value: Any) -> Any:
        return [mend(each) for each in value] if isinstance(value, list) else MISSING if value is None else value

    return {name: held | {"values": mend(held["values"])} for name, held in arrays.items()}


def softmax(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def bits(weights: np.ndarray) -> float:
    return -sum(w * math.log2(w) for w in weights.tolist() if w > 0)


def turn(vector: np.ndarray, position: int) -> np.ndarray:
    """Turn the pairs (i, i + d/2) as complex numbers (Su et al. 2021)."""
    half = vector.shape[-1] // 2
    angles = position * 10000.0 ** (-np.arange(half) / half)
    turned = (vector[:half] + 1j * vector[half:]) * np.exp(1j * angles)
    return np.concatenate((turned.real, turned.imag))


def turn_each(vectors: np.ndarray) -> np.ndarray:
    return np.array([turn(vector, position) for position, vector in enumerate(vectors)])


def top(numbers: np.ndarray, seen: np.ndarray) -> list[int]:
    return sorted(np.flatnonzero(seen).tolist(), key=lambda key: -numbers[key])[:3]


class Reader:
    """What the reader of a lesson computes from the arrays `a`, for query i of head h."""

    def __init__(self, lesson: Lesson, head: int) -> None:
        self.a, self.i, self.head = arrays_of(lesson), lesson.position, head
        self.q = self.a.get("turned_query", self.a["query"])
        self.k = self.a.get("turned_keys", self.a["keys"])
        self.seen = self.a.get("allowed", np.ones(len(self.k), bool))
        self.additive = "score_v" in self.a

    def masked(self, scores: np.ndarray) -> np.ndarray:
        return np.where(self.seen, scores + self.bias(), -np.inf)

    def bias(self) -> np.ndarray:
        return self.a.get("position_bias", np.zeros(len(self.k)))

    def map(self, part: str, x: np.ndarray) -> np.ndarray:
        return x @ self.a[f"{part}_weight"].T + self.a.get(f"{part}_bias", 0)

    def units(self) -> np.ndarray:
        a = self.a
        asked = a["score_query_weight"] @ self.q + a.get("score_query_bias", 0)
        return np.tanh(asked + self.k @ a["score_key_weight"].T + a.get("score_key_bias", 0)) * a["score_v"]

    def scores(self) -> np.ndarray:
        return self.units().sum(-1) if self.additive else np.array([sum(self.q * key) for key in self.k])

    def scaled(self) -> np.ndarray:
        return self.scores() if self.additive else self.scores() / math.sqrt(len(self.q))

    def weights(self) -> np.ndarray:
        return softmax(self.masked(self.scaled()))

    def exponentials(self) -> np.ndarray:
        masked = self.masked(self.scaled())
        return np.array([math.exp(score - max(masked)) for score in masked])

    def largest_score(self) -> list[np.ndarray]:
        key = self.k[top(self.scores(), self.seen)[0]]
        return [self.q, key, self.q * key]

    def value_lengths(self) -> list[float]:
        """What goes on of each value: through W_O, where the lesson has one."""
        added = self.a["values"] @ self.a.get("output_weight", np.eye(self.a["values"].shape[-1])).T
        return [math.sqrt(sum(number**2 for number in row)) for row in added]

    def near(self) -> np.ndarray:
        keys = np.arange(len(self.k))
        return (np.abs(keys - min(self.i, len(keys) - 1)) < 2) & self.seen

    def reach(self) -> np.ndarray:
        unmasked = self.scaled() + self.bias()
        hard = np.eye(len(self.k))[np.where(self.seen, unmasked, -np.inf).argmax()]
        return np.array([self.weights(), hard, softmax(np.where(self.near(), unmasked, -np.inf))])

    def other_scores(self) -> np.ndarray:
        norms = np.linalg.norm(self.q) * np.linalg.norm(self.k, axis=-1)
        dot = self.k @ self.q
        return np.array([dot, dot / math.sqrt(len(self.q)), dot / norms, dot])

    def without_mask(self) -> np.ndarray:
        bare = softmax(self.scaled() + self.bias())
        rows = [self.weights(), bare]
        return np.array(rows if self.seen.all() else [*rows, np.where(self.seen, bare, 0)])

    def tiles(self) -> list[np.ndarray]:
        return [np.arange(len(self.k)) < end for end in range(2, len(self.k) + 2, 2)]

    def running(self, of: Callable[[np.ndarray, float], Any]) -> np.ndarray:
        masked = self.masked(self.scaled())
        return np.array([of(tile, masked[tile].max()) for tile in self.tiles()])

    def log_sum_exp(self) -> float:
        masked = self.masked(self.scaled())
        return float(masked.max() + np.log(np.exp(masked - masked.max()).sum()))

    def running_output(self, tile: np.ndarray, largest: float) -> np.ndarray:
        if math.isinf(largest):  # nothing is seen yet
            return np.zeros(self.a["values"].shape[-1])
        return softmax(self.masked(self.scaled())[tile]) @ self.a["values"][tile]


def share(tile_scores: np.ndarray, largest: float) -> float:
    return 0.0 if math.isinf(largest) else float(np.exp(tile_scores - largest).sum())


RULES: dict[str, Callable[[Reader], Any]] = {
    # the toy before its head
    "similarities": lambda r: r.a["vectors"] @ r.a["vectors"][r.i],
    "summed": lambda r: sum(s * x for s, x in zip(r.a["similarities"], r.a["vectors"], strict=True)),
    "parameter_free_weights": lambda r: softmax(r.a["similarities"]),
    "parameter_free_sum": lambda r: 1,
    "averaged": lambda r: r.a["parameter_free_weights"] @ r.a["vectors"],
    "placed": lambda r: r.a["vectors"] + r.a["position_vectors"],
    # the walk
    "query_input": lambda r: r.a.get("input", r.a.get("residual", r.a["key_inputs"][min(r.i, len(r.k) - 1)])),
    "query": lambda r: r.map("query", r.a["query_input"]),
    "turned_query": lambda r: turn(r.a["query"], r.i),
    "keys": lambda r: r.map("key", r.a["key_inputs"]),
    "turned_keys": lambda r: turn_each(r.a["keys"]),
    "scores": lambda r: r.scores(),
    "contributions": lambda r: (r.units() if r.additive else r.q * r.k)[top(r.scores(), r.seen)],
    "scaled_scores": lambda r: r.scaled(),
    "scale_divisor": lambda r: math.sqrt(len(r.q)),
    "spread_before": lambda r: r.scores()[r.seen].std(),
    "spread_after": lambda r: r.scores()[r.seen].std() / math.sqrt(len(r.q)),
    "biased_scores": lambda r: r.scaled() + r.bias(),
    "largest_score": lambda r: r.largest_score(),
    "sum_if_zeroed_after": lambda r: softmax(r.scaled() + r.bias())[r.seen].sum(),
    "masked_scores": lambda r: r.masked(r.scaled()),
    "exponentials": lambda r: r.exponentials(),
    "sum_of_exponentials": lambda r: sum(r.exponentials()),
    "weights_plus_one": lambda r: softmax(r.masked(r.scaled()) + 1),
    "weights_doubled": lambda r: np.exp(2 * r.masked(r.scaled())) / np.exp(2 * r.masked(r.scaled())).sum(),
    "weights": lambda r: r.weights(),
    "sum_of_weights": lambda r: 1,
    "entropy": lambda r: bits(r.weights()),
    "values": lambda r: r.map("value", r.a["key_inputs"]),
    "weighted_values": lambda r: (r.weights()[:, None] * r.a["values"])[top(r.weights(), r.seen)],
    "weights_of_values": lambda r: r.weights(),
    "value_lengths": lambda r: r.value_lengths(),
    "weighted_lengths": lambda r: [w * length for w, length in zip(r.weights(), r.value_lengths(), strict=True)],
    "mixed": lambda r: sum(w * v for w, v in zip(r.weights(), r.a["values"], strict=True)),
    "concatenated": lambda r: np.concatenate(list(r.a["heads"])),
    "head_output": lambda r: r.a["output_weight"] @ r.a["mixed"],
    "residual_after": lambda r: r.a.get("residual", r.a["query_input"]) + r.a["output"],
    "residual_length": lambda r: math.sqrt((r.a.get("residual", r.a["query_input"]) ** 2).sum()),
    "layer_output": lambda r: r.a["residual_after"] + r.a["feed_forward_output"],
    # the comparisons
    "matrix_scores": lambda r: r.a["matrix_queries"] @ r.k.T / math.sqrt(len(r.q)),
    "matrix_mixed": lambda r: r.a["matrix_weights"] @ r.a["values"],
    "running_maximum": lambda r: r.running(lambda tile, largest: largest),
    "running_sum": lambda r: r.running(lambda tile, largest: share(r.masked(r.scaled())[tile], largest)),
    "running_output": lambda r: r.running(r.running_output),
    "log_sum_exp": lambda r: r.log_sum_exp(),
    "recomputed_weights": lambda r: r.weights(),
    "recomputed_apart": lambda r: 0,
    "scores_by_function": lambda r: r.other_scores(),
    "weights_by_score": lambda r: [softmax(r.masked(s)) for s in r.other_scores()],
    "general_minus_dot": lambda r: 0,
    "weights_by_reach": lambda r: r.reach(),
    "taken_by_reach": lambda r: r.reach() @ r.a["values"],
    "weights_without_scale": lambda r: np.array([r.weights(), softmax(r.masked(r.scores()))]),
    "weights_without_mask": lambda r: r.without_mask(),
    "weights_without_mask_entropies": lambda r: [
        bits(row) if i < 2 else MISSING for i, row in enumerate(r.without_mask())
    ],
}


def check(reader: Reader, apart: Iterable[str] = (), **also: Callable[[Reader], Any]) -> None:
    """Hold each array to its rule; those that are kept `apart` are checked elsewhere."""
    rules = RULES | also
    for name, held in reader.a.items():
        if name in LEARNED or name in apart:
            continue
        if name.endswith("_sums"):
            expected: Any = reader.a[name.removesuffix("_sums")].sum(-1)
        elif name in rules:
            expected = rules[name](reader)
        elif name.endswith("_entropies"):
            expected = [bits(row) for row in reader.a[name.removesuffix("_entropies")]]
        else:
            raise KeyError(name)
        assert_allclose(held, expected, atol=6e-4, rtol=2e-4, err_msg=name)
