"""The built-in decoder: what its heads do, what it writes, what it refuses."""

import json
import random
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attnviz
from attnviz.errors import TextError, UsageError
from attnviz.models import builtin
from attnviz.models.builtin.package import write_greedily
from attnviz.models.passages import Passage
from attnviz.records import Selection
from attnviz.reference.transformer import transformer
from attnviz.text import visible
from attnviz.training.corpus import Split, examples
from attnviz.training.corpus.lexicon import lexicon
from attnviz.training.decoder import EVALUATED_TEXTS
from attnviz.training.decoder.card import findings
from attnviz.training.decoder.evaluation import evaluate
from attnviz.vocabulary import Kind

FOLDER = builtin.find_folders()["builtin/decoder"]
MODEL = builtin.load(FOLDER)
LAYERS, HEADS = len(MODEL.card.stacks[Kind.DECODER].layers), MODEL.card.stacks[Kind.DECODER].heads


def best(scores: dict[tuple[int, int], list[float]]) -> float:
    """The mean of the head that has the highest."""
    return max(sum(weights) / len(weights) for weights in scores.values())


def scores_of(offsets: dict[str, int], ids: list[list[int]], first: int) -> dict[str, float]:
    """The best head's mean weight on the key so far from the query, for queries from `first` on."""
    found = {name: {(i, j): [] for i in range(LAYERS) for j in range(HEADS)} for name in offsets}
    for row in ids:
        seen = []
        transformer(
            np.array(row),
            MODEL.runner.parameters,
            MODEL.runner.shape,
            watch=lambda block, seen=seen: seen.append(block.weights),
        )
        for i, layer in enumerate(seen):
            for j, weights in enumerate(layer):
                for query in range(first, len(row)):
                    for name, offset in offsets.items():
                        found[name][i, j].append(weights[query][query + offset])
    return {name: best(scores) for name, scores in found.items()}


def twice(items: list[int]) -> list[int]:
    return [0, *items, *items]


@pytest.mark.parametrize("count", [25, 50])
def test_one_head_finds_what_came_after_a_random_piece_the_first_time_and_one_the_piece_before(count):
    chance, size = random.Random(97), MODEL.reader.package.text.tokenizer.get_vocab_size()
    ids = [twice(chance.sample(range(2, size), count)) for _ in range(7)]
    found = scores_of({"induction": 1 - count, "previous": -1}, ids, count + 1)
    assert found["induction"] > 0.5
    assert found["previous"] > 0.5


@pytest.mark.parametrize("pool", ["nouns", "verbs", "adjectives"])
def test_the_same_holds_for_random_words_read_as_a_text(pool):
    chance, words = random.Random(89), list(getattr(lexicon(), pool))
    followed, before = {}, {}
    for _ in range(7):
        text = " ".join(chance.sample(words, 29) * 2)
        (attention,) = MODEL.attend(text)
        period = (attention.shape[-1] - 1) // 2
        assert len(attention.query_tokens) == 1 + 2 * period
        for i in range(LAYERS):
            for j in range(HEADS):
                weights = attention.weights[i, j]
                for query in range(period + 1, 2 * period + 1):
                    followed.setdefault((i, j), []).append(weights[query, query - period + 1])
                    before.setdefault((i, j), []).append(weights[query, query - 1])
    assert best(followed) > 0.5
    assert best(before) > 0.5


def test_one_head_looks_at_the_token_before_in_ordinary_texts():
    texts = [example.text for example in islice(examples(Split.TEST, 11), 53)]
    before = {}
    for text in texts:
        weights = MODEL.attend(text)[0].weights
        for i in range(LAYERS):
            for j in range(HEADS):
                for query in range(1, weights.shape[-1]):
                    before.setdefault((i, j), []).append(weights[i, j, query, query - 1])
    assert best(before) > 0.5


def test_most_words_of_the_lexicon_are_one_token():
    words = lexicon()
    named = [*words.nouns, *words.verbs, *words.adjectives, *words.adverbs]
    assert sum(len(MODEL.reader.package.text.tokenizer.encode(word).ids) == 1 for word in named) > 0.95 * len(named)


def test_the_card_says_what_is_measured_and_that_is_what_it_should_be():
    card = json.loads((FOLDER / builtin.CARD).read_text(encoding="utf-8"))
    assert card["measured"]["texts"] == EVALUATED_TEXTS >= 1000
    found, written = findings(evaluate(FOLDER, 211))["measured"], card["measured"]
    assert found["perplexity"] == pytest.approx(written["perplexity"], rel=0.1)
    assert found["foretold"] == pytest.approx(written["foretold"], abs=0.03)
    assert found["previous_head"]["weight"] > 0.5
    for what in ("words", "pieces"):
        mine, cards = found["repeated"][what], written["repeated"][what]
        assert mine["foretold_first"] < 0.1
        assert mine["foretold_second"] > 0.8
        for head in ("induction_head", "previous_head"):
            assert mine[head]["weight"] > 0.5
            assert mine[head] == pytest.approx(cards[head], abs=0.03)


def test_the_files_take_at_most_two_megabytes():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 2_000_000


def test_no_token_looks_at_what_comes_after_it():
    (attention,) = MODEL.attend("Mary saw the dog and the dog saw Mary.")
    assert attention.kind is Kind.DECODER
    for query, row in enumerate(np.moveaxis(attention.weights, 2, 0)):
        assert (row[..., query + 1 :] == 0).all()
    np.testing.assert_allclose(attention.weights.sum(-1), 1, atol=1e-5)


def test_what_comes_later_changes_nothing_before_it():
    short, long = (MODEL.attend(text)[0].weights for text in ("the red car", "the red car stopped at night"))
    count = short.shape[-1]
    np.testing.assert_allclose(long[..., :count, :count], short, atol=1e-6)


@pytest.mark.parametrize("text", ["The cat sat", "Mary met Tom. Mary met", "xqzv", "猫が座った", "👩🏽‍🚀 and 🙂"])
def test_it_writes_the_likeliest_token_again_and_again(text):
    ids = list(MODEL.read(Passage(text=text)).ids)
    given_ids = len(ids)
    arrays = MODEL.runner.parameters
    for _ in range(5):
        vector = transformer(np.array(ids), arrays, MODEL.runner.shape)[-1]
        hidden = arrays["next.weight"] @ vector + arrays["next.bias"]
        ids.append(int(np.argmax(arrays["embedding.weight"] @ hidden + arrays["embedding.bias"])))
    reading = MODEL.read(Passage(text=text, generate=5))
    assert list(reading.ids) == ids
    assert reading.written_from == given_ids
    assert [token.position for token in reading.tokens] == list(range(given_ids + 5))


def test_what_was_written_is_a_segment_of_its_own():
    reading = MODEL.read(Passage(text="The dog saw the cat. The dog saw", generate=4))
    text = reading.passage.target
    assert reading.passage.written
    assert text == text.strip() == text.lower()
    segments = [token.segment for token in reading.tokens[1:]]
    assert segments == sorted(segments)
    assert segments.count(1) == 4
    for token in reading.tokens[reading.written_from :]:
        assert token.text == visible(text[slice(*token.span)])


def test_the_rows_that_wrote_know_what_they_gave():
    (attention,) = MODEL.attend("The dog saw the cat. The dog saw", generate=3)
    tokens = attention.query_tokens
    assert attention.shape[-2:] == (len(tokens), len(tokens))
    given, wrote = tokens[:-4], tokens[-4:-1]
    assert [token.predicts for token in given] == [None] * len(given)
    assert [token.predicts for token in wrote] == [token.text for token in tokens[-3:]]


def test_it_says_again_what_was_said():
    words = "lamp river teacher cheese violin rabbit garden pencil"
    reading = MODEL.read(Passage(text=f"{words} {words} lamp river teacher", generate=3))
    assert reading.passage.target == "cheese violin rabbit"


def test_greedy_writing_stops_at_the_end_and_leaves_it_out():
    counted = iter([7, 5, 3, 2])
    assert write_greedily(lambda ids: next(counted), [11], 9, end=3) == ([7, 5], True)
    assert write_greedily(lambda ids: len(ids), [11, 13], 3, end=None) == ([2, 3, 4], False)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip))
def test_any_text_is_read_and_its_tokens_are_stretches_of_it(text):
    start, *tokens = MODEL.read(Passage(text=text)).tokens
    assert start.special
    assert start.text == "[START]"
    covered = set()
    for token in tokens:
        first, last = token.span
        assert token.text == (visible(text[first:last]) or "␣"), "a blank before bytes is a piece of its own"
        covered.update(range(first, last))
    assert covered >= {index for index, char in enumerate(text) if not char.isspace()}


@pytest.mark.parametrize("name", ["[START]", "[END]"])
def test_the_name_of_a_special_token_in_a_text_is_text(name):
    tokens = MODEL.read(Passage(text=f"a {name} b")).tokens
    assert [token.special for token in tokens] == [True, *[False] * (len(tokens) - 1)]


def test_a_second_text_or_a_target_is_refused():
    with pytest.raises(UsageError, match="no second text: it is a decoder"):
        MODEL.attend("one", pair="two")
    with pytest.raises(UsageError, match="no target"):
        MODEL.attend("one", target="un")


def test_there_must_be_room_for_the_text_and_for_what_is_written():
    assert len(MODEL.read(Passage(text="the " * 511)).ids) == 512
    with pytest.raises(TextError, match=r"513 tokens.*at most 512"):
        MODEL.read(Passage(text="the " * 512))
    assert len(MODEL.read(Passage(text="the " * 508, generate=3)).ids) == 512
    with pytest.raises(TextError, match="room for 3 new ones, and 4"):
        MODEL.read(Passage(text="the " * 508, generate=4))


def test_a_selection_is_a_part_of_the_whole():
    whole = MODEL.attend("Mary lost her keys")[0]
    part = MODEL.attend("Mary lost her keys", select=Selection(layers=(1, 0), heads=(3, 1)))[0]
    np.testing.assert_array_equal(part.weights, whole.weights[np.ix_([1, 0], [3, 1])])


def test_it_is_loaded_by_name():
    model = attnviz.load("builtin/decoder")
    assert model.card.name == "builtin/decoder"
    assert model.card.parameters == sum(array.size for array in model.runner.parameters.arrays.values())
