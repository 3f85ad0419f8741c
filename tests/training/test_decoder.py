import math
from itertools import islice, pairwise
from random import Random

import numpy as np
import pytest
import torch
from rich.progress import Progress

from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config, transformer
from attnviz.training.corpus import Split
from attnviz.training.decoder import batches as batching
from attnviz.training.decoder.batches import Rows, batches
from attnviz.training.decoder.evaluation import DUPLICATE, INDUCTION, PREVIOUS, said_twice
from attnviz.training.decoder.learning import CONFIG, initial_weights, losses, train
from attnviz.training.decoder.repetition import Teller, lemmas, succession
from attnviz.training.fitting import Recipe
from attnviz.training.tokenizer import SPOKEN, learn_writing_tokenizer

START = 0


def told(split: Split, count: int) -> list[str]:
    teller = Teller(split, 5)
    return [teller.text() for _ in range(count)]


TOKENIZER = learn_writing_tokenizer([*told(Split.TRAIN, 300), " ".join(lemmas())], 900)


def meetings(items) -> set:
    return set(pairwise([*items, items[0]]))


def test_words_strung_together_are_different_words_of_the_lexicon():
    words = succession(lemmas(), 47, Random(1), Split.TRAIN)
    assert len(set(words)) == 47
    assert set(words) <= set(lemmas())
    assert len(lemmas()) >= 500


@pytest.mark.parametrize("pool", [lemmas()[:97], range(2, 89)], ids=["words", "pieces"])
def test_no_two_words_that_meet_in_a_held_out_succession_meet_in_one_for_training(pool):
    trained = set().union(*(meetings(succession(pool, 13, Random(seed), Split.TRAIN)) for seed in range(701)))
    held_out = set().union(*(meetings(succession(pool, 13, Random(seed), Split.TEST)) for seed in range(101)))
    assert len(trained) > 4000
    assert len(held_out) > 400
    assert trained.isdisjoint(held_out)


def test_texts_come_again_from_the_same_seed_and_split_only():
    assert told(Split.TRAIN, 23) == told(Split.TRAIN, 23)
    assert told(Split.TRAIN, 23) != told(Split.TEST, 23)


def test_some_texts_are_said_twice_and_some_names_come_again():
    texts = told(Split.TRAIN, 499)
    twice = sum(text[: len(text) // 2] == text[len(text) // 2 + 1 :] for text in texts)
    assert 0.2 < twice / len(texts) < 0.35
    subjects = [[" ".join(sentence.split()[:2]) for sentence in text.split(". ")] for text in texts]
    assert sum(len(set(names)) < len(names) for names in subjects) > 20


def test_every_row_starts_with_start_and_nothing_asks_for_it():
    for batch in islice(batches(TOKENIZER, 3, 3), 7):
        rows, tokens = batch.ids.shape
        assert rows * tokens == batching.TOKENS
        assert batch.asked.shape == (rows, tokens - 1)
        assert (batch.ids[:, 0] == START).all()
        assert (batch.ids[:, 1:] >= len(SPOKEN)).all()


def test_texts_are_asked_for_whole():
    assert Rows(TOKENIZER, 3).batch(1.0).asked.all()


def test_of_what_chance_has_strung_together_only_what_was_said_before_is_asked_for():
    asked = 0
    for batch in (Rows(TOKENIZER, seed).batch(0.0) for seed in range(5)):
        for ids, wanted in zip(batch.ids.tolist(), batch.asked.tolist(), strict=True):
            for place, want in enumerate(wanted, 1):
                if want:
                    assert (ids[place - 1], ids[place]) in pairwise(ids[:place]), "the two have met before"
            asked += sum(wanted)
    assert asked > 0.3 * 5 * batching.TOKENS


def test_batches_begin_with_repetition_and_go_on_with_texts():
    shares = [batch.asked.mean() for batch in islice(batches(TOKENIZER, 3, 11), 22)]
    assert np.mean(shares[:11]) < np.mean(shares[11:]) - 0.1


def test_training_from_the_same_seed_gives_the_same_weights():
    quiet = Progress(disable=True)
    one, two, other = (train(TOKENIZER, Recipe(steps=2, seed=seed), quiet) for seed in (1, 1, 2))
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


def test_the_loss_is_the_mean_surprise_at_the_tokens_asked_for():
    batch = Rows(TOKENIZER, 7).batch(0.5)
    with torch.no_grad():
        torch.manual_seed(3)
        arrays = initial_weights(CONFIG, TOKENIZER.get_vocab_size())
        found = losses(batch, Parameters(arrays))["next token"].item()
        surprises = []
        for ids, asked in zip(torch.from_numpy(batch.ids), batch.asked, strict=True):
            vectors = transformer(ids, Parameters(arrays), CONFIG)
            hidden = vectors @ arrays["next.weight"].T + arrays["next.bias"]
            chances = torch.softmax(hidden @ arrays["embedding.weight"].T + arrays["embedding.bias"], -1)
            surprises += [-math.log(chances[i, ids[i + 1]]) for i in np.flatnonzero(asked)]
    assert found == pytest.approx(np.mean(surprises), abs=1e-4)


class Made:
    """A decoder of seeded weights, none of them trained."""

    shape = Config(width=12, layers=2, heads=3, causal=True, norm_embedding=True)

    def __init__(self) -> None:
        torch.manual_seed(7)
        arrays = {name: array.detach().numpy() for name, array in initial_weights(self.shape, 31).items()}
        positions = np.random.default_rng(7).normal(size=(41, 12)).astype(np.float32)
        self.parameters = Parameters(arrays | {"positions.weight": positions})


def test_the_weights_of_a_sequence_said_twice_are_those_that_loops_add_up():
    ids, model = [4, 19, 2, 11, 23, 7, 29], Made()
    seen = []
    transformer(
        np.array([START, *ids, *ids]), model.parameters, model.shape, watch=lambda block: seen.append(block.weights)
    )
    found = said_twice(model, ids).weights
    for layer, weights in enumerate(seen):
        for head, rows in enumerate(weights):
            before = [rows[query, query - 1] for query in range(1, 15)]
            followed, same = [], []
            for query in range(8, 15):  # the second time
                once = 1 + ids.index(ids[query - 8])
                followed.append(rows[query, once + 1])
                same.append(rows[query, once])
            assert found[PREVIOUS][layer, head] == pytest.approx(np.mean(before), rel=1e-5)
            assert found[INDUCTION][layer, head] == pytest.approx(np.mean(followed), rel=1e-5)
            assert found[DUPLICATE][layer, head] == pytest.approx(np.mean(same), rel=1e-5)
