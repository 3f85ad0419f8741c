"""What the sentences of a lesson claim, held against its numbers."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

import attnviz
from attnviz.lessons import Lesson, Step, WhatIf
from attnviz.lessons.explaining import HeadQuery, explain_head
from attnviz.lessons.toy import MASKS, NAMES, Toy, explain_toy
from attnviz.models.passages import Passage
from attnviz.vocabulary import Kind

ORDER = (3, 0, 4, 2, 1)
CAUSAL = "must not look ahead, or it could copy the answer"


def step(lesson: Lesson, title: str) -> Step:
    (found,) = [each for each in lesson.steps if each.title == title]
    return found


def numbers(lesson: Lesson, name: str) -> np.ndarray:
    return next(np.asarray(each.array) for each in lesson.quantities() if each.name == name)


def explained(model: str, text: str, kind: Kind, what_if: WhatIf) -> Lesson:
    loaded = attnviz.load(model)
    place = HeadQuery(kind=kind, layer=0, head=0, query=2)
    return explain_head(loaded, loaded.read(Passage(text=text)), place, what_if)


@pytest.mark.parametrize(
    ("mask", "query", "hidden", "reason"),
    [
        ("causal", 1, [2, 3, 4], CAUSAL),
        ("window", 0, [2, 3, 4], "In a window, a query only sees tokens that are near"),
        ("window", 3, [0, 1], "In a window, a query only sees tokens that are near"),
        ("prefix", 1, [2, 3, 4], "The first 2 tokens, the prefix, are given"),
        ("prefix", 3, [4], "The first 2 tokens, the prefix, are given"),
    ],
)
def test_the_toy_gives_each_mask_its_own_reason(mask: str, query: int, hidden: list[int], reason: str) -> None:
    lesson = explain_toy(Toy(mask=mask, query=query), WhatIf())
    assert np.flatnonzero(~numbers(lesson, "allowed")).tolist() == hidden
    why = step(lesson, "The mask").why
    assert reason in why
    assert (CAUSAL in why) == (mask == "causal")


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("query", range(5))
def test_only_where_keys_are_hidden_weight_is_said_to_go_to_them_without_the_mask(mask: str, query: int) -> None:
    lesson = explain_toy(Toy(mask=mask, query=query), WhatIf(no_mask=True))
    rows, sums = numbers(lesson, "weights_without_mask"), numbers(lesson, "weights_without_mask_sums")
    why = step(lesson, "Without the mask").why
    if np.array_equal(rows[0], rows[1]):
        assert why == "No key is hidden from this query, so its weights are the same without a mask."
        assert len(rows) == 2
    else:
        assert "keys that it must not see" in why
        assert len(rows) == 3
        assert sums[2] < sums[0] - 1e-3


def test_a_mask_that_hides_nothing_from_the_last_token_is_not_said_to_be_absent() -> None:
    lesson = explain_toy(Toy(mask="causal"), WhatIf())
    assert (
        "This layer has a mask, but it hides no key from this query." in step(lesson, "The mask hides nothing here").why
    )
    assert "No mask" in [each.title for each in explain_toy(Toy(), WhatIf()).steps]


def test_the_toy_explains_its_last_vector_unless_told_otherwise() -> None:
    assert explain_toy(Toy(mask="causal"), WhatIf()).query == NAMES[-1]
    assert numbers(explain_toy(Toy(mask="causal"), WhatIf()), "weights").min() > 0
    assert Toy(vectors=np.eye(3, 2), names=("a", "b", "c")).query == 2


@pytest.mark.parametrize(("heads", "depth"), [(1, "4 numbers"), (2, "2 numbers"), (4, "1 number")])
def test_one_number_is_not_several(heads: int, depth: str) -> None:
    lesson = explain_toy(Toy(heads=heads), WhatIf())
    assert f"W_Q turns 4 numbers into {depth}; each" in step(lesson, "The query of this token").why


def test_a_head_of_one_number_is_said_to_be_scaled_by_1() -> None:
    lesson = explain_toy(Toy(heads=4), WhatIf())
    assert_allclose(numbers(lesson, "scaled_scores"), numbers(lesson, "scores"))
    assert step(lesson, "The scale").why.endswith("dividing by √d_k = 1 changes nothing.")


def test_of_a_toy_nobody_says_that_it_was_trained() -> None:
    what_if = WhatIf(scores=("dot", "cosine"))
    of_toy = explain_toy(Toy(), what_if)
    assert not [each.why for each in of_toy.steps if "trained" in each.why]
    assert "not trained" in of_toy.notes[0]
    of_model = explained("builtin", "Mary lost her keys", Kind.ENCODER, what_if)
    assert "It was trained with scaled-dot scores." in of_model.steps[-1].why


def test_cosine_weights_are_as_close_together_as_is_said() -> None:
    lesson = explain_toy(Toy(heads=2, head=1), WhatIf(scores=("cosine",)))
    assert "no visible key gets more than e² ≈ 7.4 times the weight of another" in lesson.steps[-1].why
    (weights,) = numbers(lesson, "weights_by_score")
    assert weights.max() <= math.e**2 * weights.min()
    biased = explain_toy(Toy(heads=2, positions="alibi"), WhatIf(scores=("cosine",)))
    assert "e²" not in biased.steps[-1].why  # a bias comes on top


def test_a_recurrent_model_is_said_to_know_the_order_from_its_networks() -> None:
    lesson = explained("builtin/bahdanau", "The red car is fast", Kind.CROSS, WhatIf(order=(3, 0, 2, 1, 4, 5)))
    why = step(lesson, "The tokens in another order").why
    assert numbers(lesson, "largest_change")[0] > 0.1
    assert "its networks read one token after the other" in why
    assert "mask" not in why and "equivariant" not in why and "cannot be run" not in why


@pytest.mark.parametrize("mask", ["none", "causal"])
def test_a_mask_is_named_as_a_sign_of_the_order_only_where_there_is_one(mask: str) -> None:
    lesson = explain_toy(Toy(mask=mask, positions="rotary", query=1), WhatIf(order=ORDER))
    why = step(lesson, "The tokens in another order").why
    assert ("mask" in why) == (mask == "causal")
    assert "permutation-equivariant" in why
    assert numbers(lesson, "largest_change")[-1] < 1e-12  # with neither positions nor a mask
