"""What the sentences of a lesson claim, held against its numbers."""

import math

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.testing import assert_allclose

import attnviz
from attnviz.errors import UsageError
from attnviz.lessons import Lesson, Step, WhatIf
from attnviz.lessons.explaining import HeadQuery, explain_head
from attnviz.lessons.toy import MASKS, NAMES, Toy, explain_toy
from attnviz.lessons.wording import explain_rotation
from attnviz.models.passages import Passage
from attnviz.reference.scores import SCORES, Sizes
from attnviz.reference.trace import Trace
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
    lesson = explain_toy(Toy(mask="causal", query=4), WhatIf())
    assert (
        "This layer has a mask, but it hides no key from this query." in step(lesson, "The mask hides nothing here").why
    )
    assert "No mask" in [each.title for each in explain_toy(Toy(), WhatIf()).steps]


@pytest.mark.parametrize(("mask", "query"), [("none", 4), ("causal", 3), ("window", 4), ("prefix", 3)])
def test_the_toy_explains_the_last_vector_from_which_something_is_hidden(mask: str, query: int) -> None:
    lesson = explain_toy(Toy(mask=mask), WhatIf())
    assert (lesson.position, lesson.query) == (query, NAMES[query])
    assert (numbers(lesson, "weights").min() == 0) == (mask != "none")
    assert Toy(vectors=np.eye(3, 2), names=("a", "b", "c")).query == 2
    assert Toy(vectors=np.eye(2), names=("a", "b"), mask="window").query == 1  # which hides nothing of two
    assert Toy(mask=mask, query=1).query == 1


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


def why(lesson: Lesson, title: str) -> str:
    return step(lesson, title).why


def test_every_walk_says_whether_it_is_self_attention_or_cross_attention() -> None:
    key = "The key of every token"
    nothing = WhatIf()
    assert "this is self-attention" in why(explain_toy(Toy(), nothing), key)
    assert "this is self-attention" in why(explained("builtin", "Mary lost her keys", Kind.ENCODER, nothing), key)
    for name in ("builtin/translator", "builtin/bahdanau"):
        assert "this is cross-attention" in why(explained(name, "The red car is fast", Kind.CROSS, nothing), key)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_toy_counts_its_heads_and_what_each_has(heads: int) -> None:
    lesson = explain_toy(Toy(heads=heads), WhatIf())
    told = why(lesson, "All heads together: concatenation and W_O")
    assert numbers(lesson, "heads").shape == (heads, 4 // heads)
    if heads == 1:
        assert "one head here" in told and "Several heads would look for several things at once" in told
    else:
        assert f"{heads} heads look for {heads}" in told
        assert f"each has only {4 // heads} number{'s' * (heads < 4)} for a vector" in told


@pytest.mark.parametrize(("mask", "position"), [("none", "none"), ("causal", "none"), ("none", "alibi")])
def test_what_is_added_to_scores_is_in_the_formula_of_the_matrices_where_it_is(mask: str, position: str) -> None:
    lesson = explain_toy(Toy(mask=mask, positions=position), WhatIf(matrices=True))
    last = lesson.steps[-1]
    added = (mask, position) != ("none", "none")
    assert last.formula == f"Z = A V,  A = softmax(Q Kᵀ / √d_k{' + M' * added})"
    assert ("M is what is added" in last.why) == added
    scores, weights = numbers(lesson, "matrix_scores"), numbers(lesson, "matrix_weights")
    plain = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    assert np.allclose(plain, weights) == (not added)


def test_hard_attention_is_one_hot_and_local_attention_sees_one_key_on_each_side() -> None:
    lesson = explain_toy(Toy(query=2), WhatIf(hard=True))
    told = lesson.steps[-1].why
    soft, hard, local = numbers(lesson, "weights_by_reach")
    assert "its weights are one-hot" in told and sorted(hard)[-2:] == [0, 1] and hard.argmax() == soft.argmax()
    assert "here 1 on each side" in told and np.flatnonzero(local).tolist() == [1, 2, 3]
    assert (soft > 0).all()


def test_without_the_scale_the_largest_weight_is_larger_as_is_said() -> None:
    lesson = explained("builtin", "Mary lost her keys", Kind.ENCODER, WhatIf(no_scale=True))
    scaled, bare = numbers(lesson, "weights_without_scale")
    spread = numbers(lesson, "spread_before"), numbers(lesson, "spread_after")
    assert "scores lie further apart, and softmax gives more weight to the largest" in lesson.steps[-1].why
    assert bare.max() > scaled.max() and spread[0] == pytest.approx(4 * spread[1])


@pytest.mark.parametrize("heads", [1, 2])
def test_by_how_much_scores_are_divided_is_said_of_the_width_of_a_head(heads: int) -> None:
    lesson = explain_toy(Toy(heads=heads), WhatIf())
    depth = 4 // heads
    assert f"So scores are divided by √d_k, here √{depth}." in why(lesson, "The scale")
    assert numbers(lesson, "scale_divisor") == pytest.approx(math.sqrt(depth))


@pytest.mark.parametrize(
    ("positions", "said"), [("learned", "this one is random"), ("sinusoidal", "sines and cosines")]
)
def test_positions_that_are_added_are_said_to_be_what_they_are(positions: str, said: str) -> None:
    lessons = [explain_toy(Toy(positions=positions, seed=seed), WhatIf()) for seed in (1, 2)]
    assert said in why(lessons[0], "Positions are added")
    one, other = (numbers(lesson, "position_vectors") for lesson in lessons)
    assert np.array_equal(one, other) == (positions == "sinusoidal")  # random ones depend on the seed


def test_a_vector_in_three_roles_is_said_where_the_formula_has_it_three_times() -> None:
    three = step(explain_toy(Toy(), WhatIf()), "With softmax")
    assert three.formula.count("X") == 3 and "X stands here in three roles" in three.why


def test_the_time_of_the_online_softmax_is_not_said_to_shrink() -> None:
    told = explain_toy(Toy(), WhatIf(tile=2)).steps[-1].why
    assert "memory for N queries grows as N, not N²" in told and "The time stays N²" in told


def test_the_online_softmax_shrinks_the_old_sums_as_is_said_and_ends_with_the_log_of_all() -> None:
    toy = Toy(query=0, vectors=np.array([[1.0, 0], [0, 1], [2, 0], [0, 2]]), names=("a", "b", "c", "d"), seed=3)
    lesson = explain_toy(toy, WhatIf(tile=2))
    told = lesson.steps[-1].why
    (_, last), (old, new) = (numbers(lesson, f"running_{name}") for name in ("maximum", "sum"))
    scores = numbers(lesson, "masked_scores")
    assert "the old l and the old weighted sum are made smaller to match" in told
    assert new == pytest.approx(old * math.exp(scores[:2].max() - last) + np.exp(scores[2:] - last).sum())
    assert "log-sum-exp, which is ln Σ exp(s_j) = m + ln l" in told
    assert numbers(lesson, "log_sum_exp") == pytest.approx(math.log(np.exp(scores).sum())) == last + math.log(new)


def test_additive_scores_are_weighed_against_products_only_where_they_are_shown() -> None:
    for scores in (("dot",), ("dot", "additive")):
        told = explain_toy(Toy(), WhatIf(scores=scores)).steps[-1].why
        assert ("faster and need less memory" in told) == ("additive" in scores)
        assert ("about d times the memory, however long the text is" in told) == ("additive" in scores)
    for tokens in (1, 7, 5000):
        sizes = Sizes(queries=tokens, keys=tokens, query_width=11, key_width=11)
        wide, narrow = (SCORES[name].memory(sizes) for name in ("additive", "dot"))
        assert narrow == tokens**2 and (wide - narrow) / (11 * tokens**2) == pytest.approx(1, abs=2 / tokens + 1e-9)


def test_what_general_scores_are_made_from_is_said_so_that_they_can_be_computed() -> None:
    lesson = explain_toy(Toy(), WhatIf(scores=("dot", "general")))
    a = {each.name: np.asarray(each.array) for each in lesson.quantities()}
    told = lesson.steps[-1]
    assert "general: x_i W x_j" in told.formula
    assert "each vector gets a 1 as its last number, and each map one more column, its bias" in told.why
    q_map, k_map = (np.c_[a[f"{part}_weight"], a[f"{part}_bias"]] for part in ("query", "key"))
    with_one = np.c_[a["key_inputs"], np.ones(5)]
    assert_allclose(with_one[4] @ q_map.T @ k_map @ with_one.T, a["scores"])
    bare = a["query_input"] @ a["query_weight"].T @ a["key_weight"] @ a["key_inputs"].T
    assert np.ptp(bare - a["scores"]) > 0.1  # without the biases, the weights are others too
    turned = explain_toy(Toy(positions="rotary"), WhatIf(scores=("general",))).steps[-1].why
    assert "each distance has a W of its own" in turned and "distance" not in told.why


@pytest.mark.parametrize(("heads", "pairs"), [(1, [(0, 2), (1, 3)]), (2, [(0, 1)])])
def test_which_numbers_rotary_positions_pair_is_what_they_do(heads: int, pairs: list[tuple[int, int]]) -> None:
    lesson = explain_toy(Toy(heads=heads, positions="rotary", query=3), WhatIf())
    told = why(lesson, "The query of this token")
    before, after = numbers(lesson, "query"), numbers(lesson, "turned_query")
    for one, other in pairs:
        assert f"{one} and {other}" in told
        assert math.hypot(before[one], before[other]) == pytest.approx(math.hypot(after[one], after[other]))
    (one, other) = pairs[0]
    assert "an angle of 1 (in radians) from each position to the next" in told
    turned = complex(before[one], before[other]) * complex(math.cos(3), math.sin(3))
    assert complex(after[one], after[other]) == pytest.approx(turned)


def test_a_model_pairs_the_two_halves_of_a_query() -> None:
    lesson = explained("builtin", "Mary lost her keys", Kind.ENCODER, WhatIf())
    told = why(lesson, "The query of this token")
    assert "Pairs are the numbers 0 and 8, 1 and 9, …;" in told
    before, after = numbers(lesson, "query"), numbers(lesson, "turned_query")
    assert_allclose(np.hypot(before[:8], before[8:]), np.hypot(after[:8], after[8:]), rtol=1e-5)


def test_neighbours_are_called_pairs_where_they_are_turned_together() -> None:
    angles = np.arange(3)[:, None] * [0.5, 0.25]

    def turn(vectors: np.ndarray) -> np.ndarray:
        turned = (vectors[..., ::2] + 1j * vectors[..., 1::2]) * np.exp(1j * angles)
        return np.stack((turned.real, turned.imag), -1).reshape(vectors.shape)

    trace = Trace(position=1, query=np.ones((1, 4)), keys=np.ones((1, 3, 4)), values=np.ones((1, 3, 4)), turn=turn)
    assert "the numbers 0 and 1, 2 and 3, …; the first turns by an angle of 0.5 " in explain_rotation(trace)
    assert explain_rotation(replace(trace, turn=None)) == ""
    assert explain_rotation(replace(trace, keys=np.ones((1, 1, 4)))) == ""  # one token, at position 0, is not turned


@pytest.mark.parametrize(("query", "hides"), [(1, True), (4, False)])
def test_the_spread_is_said_to_be_that_of_visible_keys_only_where_some_are_hidden(query: int, hides: bool) -> None:
    lesson = explain_toy(Toy(mask="causal", query=query), WhatIf())
    words = next(each.words for each in lesson.quantities() if each.name == "spread_before")
    assert ("of the visible keys" in words) == hides
    assert numbers(lesson, "spread_before") == pytest.approx(numbers(lesson, "scores")[: query + 1].std())


@pytest.mark.parametrize("depth", [16, 256])
def test_a_sum_of_products_varies_by_the_root_of_their_number_as_is_said(depth: int) -> None:
    chance = np.random.default_rng(5)
    scores = (chance.normal(size=(4000, depth)) * chance.normal(size=(4000, depth))).sum(-1)
    assert scores.std() == pytest.approx(math.sqrt(depth), rel=0.05)
    told = why(explained("builtin", "Mary lost her keys", Kind.ENCODER, WhatIf()), "The scale")
    assert "independent, with mean 0 and standard deviation 1, then such a sum has standard deviation √d_k." in told
    assert "So scores are divided by √d_k, here √16." in told


def test_a_row_from_which_weights_were_taken_has_no_entropy() -> None:
    lesson = explain_toy(Toy(mask="causal", query=1), WhatIf(no_mask=True))
    entropies = numbers(lesson, "weights_without_mask_entropies")
    assert np.isnan(entropies).tolist() == [False, False, True]
    assert "have no entropy" in lesson.steps[-1].why


@pytest.mark.parametrize(
    ("scores", "named", "bahdanau"),
    [
        (("location",), "location scores need parameters", False),
        (("location", "dot", "additive"), "location and additive scores need parameters", True),
    ],
)
def test_all_scores_that_were_not_learned_are_named_at_once(
    scores: tuple[str, ...], named: str, bahdanau: bool
) -> None:
    with pytest.raises(UsageError, match=named) as raised:
        explained("builtin", "Mary lost her keys", Kind.ENCODER, WhatIf(scores=scores))
    assert ("builtin/bahdanau has learned additive scores" in str(raised.value)) == bahdanau
    assert f"leave {'them' if bahdanau else 'it'} out" in str(raised.value)


def test_the_languages_of_a_translator_are_named_where_it_reads_a_target() -> None:
    english_to_french = "translates English to French"
    of_translator = explained("builtin/translator", "The red car is fast", Kind.CROSS, WhatIf())
    assert any(english_to_french in note for note in of_translator.notes)
    assert explained("builtin", "Mary lost her keys", Kind.ENCODER, WhatIf()).notes == ()


def test_a_mask_of_the_toy_is_explained_even_where_it_hides_nothing() -> None:
    told = why(explain_toy(Toy(mask="causal", query=4), WhatIf()), "The mask hides nothing here")
    assert CAUSAL in told


def test_the_rows_of_matrices_have_the_names_of_their_tokens() -> None:
    lesson = explained("builtin/translator", "The red car is fast", Kind.CROSS, WhatIf(matrices=True))
    (rows,) = {each.rows for each in lesson.quantities() if each.name == "matrix_weights"}
    assert rows[1] == "1 la" and rows[2] == f"2 {lesson.query}, this one"


def test_a_norm_at_the_start_is_explained_where_the_formula_has_one() -> None:
    for model, kind in (("builtin", Kind.ENCODER), ("builtin/decoder", Kind.DECODER)):
        start = explained(model, "The old man saw", kind, WhatIf()).steps[0]
        assert ("a norm brings the vector to a standard size" in start.why) == ("norm(" in start.formula)


def test_a_feed_forward_network_is_a_step_where_there_is_one() -> None:
    title = "The feed-forward network (MLP)"
    lesson = explained("builtin", "Mary lost her keys", Kind.ENCODER, WhatIf())
    assert f"maps it to {numbers(lesson, 'feed_forward_inner').size} numbers" in why(lesson, title)
    assert title not in [each.title for each in explain_toy(Toy(), WhatIf()).steps]
    of_bahdanau = explained("builtin/bahdanau", "The red car is fast", Kind.CROSS, WhatIf())
    assert title not in [each.title for each in of_bahdanau.steps]


def test_the_mask_of_a_decoder_is_called_causal_and_its_attention_masked() -> None:
    lesson = explained("builtin/decoder", "The old man saw", Kind.DECODER, WhatIf())
    told = why(lesson, "The mask")
    assert "the mask is causal" in told and "This is called masked attention." in told
    assert np.flatnonzero(numbers(lesson, "allowed")).tolist() == [0, 1, 2]
    lost = explain_toy(Toy(mask="causal", query=1), WhatIf())
    assert (
        "the share that the hidden keys had taken would be lost" in why(lost, "The mask")
        and numbers(lost, "sum_if_zeroed_after") < 0.99
    )


def test_the_maps_of_a_toy_have_the_size_that_keeps_vectors_as_long_as_they_are_and_biases_are_small() -> None:
    toys = [Toy(seed=seed, vectors=np.eye(16), names=tuple("abcdefghijklmnop")).parameters() for seed in range(20)]
    for part in ("query", "key", "value", "output"):
        weights = np.array([toy[f"{part}.weight"] for toy in toys])
        biases = np.array([toy[f"{part}.bias"] for toy in toys])
        assert weights.std() == pytest.approx(1 / 4, rel=0.05)  # 1 / √width
        assert biases.std() == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize(("heads", "head"), [(1, 0), (2, 0), (2, 1), (4, 1)])
def test_the_slope_of_alibi_is_said_and_where_it_changes_nothing_why(heads: int, head: int) -> None:
    lesson = explain_toy(Toy(positions="alibi", heads=heads, head=head), WhatIf(no_positions=True))
    told = why(lesson, "Positions change the scores")
    slope = 2 ** (-8 * (head + 1) / heads)
    assert f"here the slope is {slope:.4g}. Head h of n, counted from 0, has the slope 2^(−8(h+1)/n)" in told
    with_bias, without = numbers(lesson, "weights_without_positions")
    hardly = "So flat a slope hardly changes a weight" in told
    assert hardly == (abs(with_bias - without).max() < 0.005) == (slope < 0.02)


KINDS = "learned", "sinusoidal", "rotary", "alibi", "none"


@pytest.mark.parametrize(("query", "key"), [(0, 1), (1, 0), (4, 3)])
@pytest.mark.parametrize("mask", ["none", "causal"])
def test_the_same_pair_one_place_further_has_the_same_score_where_only_distances_count(
    query: int, key: int, mask: str
) -> None:
    toy = Toy(positions=KINDS[0], others=KINDS[1:], heads=2, query=query, mask=mask)
    lesson = explain_toy(toy, WhatIf())
    told = lesson.steps[-1]
    assert told.title == "The same pair, one place further" and lesson.walked == len(lesson.steps) - 1
    assert f"The query is {NAMES[query]} and the key {NAMES[key]}." in told.why
    here, further, changes = (numbers(lesson, f"pair_{name}") for name in ("scores", "scores_further", "changes"))
    assert all(each.rows == KINDS for each in told.quantities)
    for kind, score in zip(KINDS, here, strict=True):
        alone = explain_toy(Toy(positions=kind, heads=2, query=query, mask=mask), WhatIf())
        name = "biased_scores" if kind == "alibi" else "scaled_scores"
        assert score == pytest.approx(numbers(alone, name)[key])
    assert_allclose(changes, further - here, atol=1e-11)
    assert dict(zip(KINDS, changes != 0, strict=True)) == {
        "learned": True, "sinusoidal": True, "rotary": False, "alibi": False, "none": False,
    }  # fmt: skip


def test_learned_and_sinusoidal_positions_one_place_further_are_those_of_the_next_place() -> None:
    toy = Toy(positions="learned", others=("sinusoidal",), query=2)
    p, lesson = toy.parameters(), explain_toy(toy, WhatIf())
    table = np.random.default_rng(toy.seed).normal(0, 1, (6, 4))
    waves = [[math.sin(t), math.cos(t), math.sin(t / 100), math.cos(t / 100)] for t in range(6)]
    for positions, score in zip((table, np.array(waves)), numbers(lesson, "pair_scores_further"), strict=True):
        q = p["query.weight"] @ (toy.vectors[2] + positions[3]) + p["query.bias"]
        k = p["key.weight"] @ (toy.vectors[1] + positions[2]) + p["key.bias"]
        assert score == pytest.approx(q @ k / 2)
    products = np.array(waves) @ np.array(waves).T
    assert_allclose(np.diag(products, 1), products[0, 1])  # of two waves, the distance alone counts


def test_other_scores_are_shown_and_products_are_said_to_be_those_of_mapped_vectors_where_they_are() -> None:
    names = "dot", "scaled-dot", "cosine", "general", "additive"
    lesson = explained("builtin/bahdanau", "The red car is fast", Kind.CROSS, WhatIf(scores=names))
    a, told = {each.name: np.asarray(each.array, float) for each in lesson.quantities()}, lesson.steps[-1]
    q = a["score_query_weight"] @ a["query"] + a.get("score_query_bias", 0)
    k = a["keys"] @ a["score_key_weight"].T + a.get("score_key_bias", 0)
    dot = k @ q
    lengths = np.linalg.norm(q) * np.linalg.norm(k, axis=-1)
    expected = [dot, dot / math.sqrt(len(q)), dot / lengths, dot, np.tanh(q + k) @ a["score_v"]]
    assert_allclose(a["scores_by_function"], expected, rtol=1e-4)
    sizes = a["query"].size, a["keys"].shape[1], q.size
    assert sizes == (128, 256, 128)
    assert "q has 128 numbers and k 256" in told.why and "W_q q and W_k k, which both have 128 numbers." in told.why
    assert told.formula.startswith(
        "dot: (W_q q)·(W_k k);  scaled-dot: (W_q q)·(W_k k) / √d_k;  cosine: (W_q q)·(W_k k)"
    )
    of_products = explain_toy(Toy(), WhatIf(scores=("dot", "cosine"))).steps[-1]
    assert "W_q" not in of_products.formula + of_products.why
