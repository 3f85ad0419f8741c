from itertools import islice

import numpy as np
import pytest
from rich.progress import Progress

from attnviz.models.builtin import find_folders
from attnviz.models.builtin.package import Package
from attnviz.records import Attention
from attnviz.reference.parameters import Parameters
from attnviz.text import Segment, make_special_token
from attnviz.training.corpus import Example, Link, Relation, Split, examples
from attnviz.training.corpus.handwritten import read_sentences
from attnviz.training.encoder.batches import batches, joined, masked, padded
from attnviz.training.encoder.learning import train
from attnviz.training.encoder.objectives import naming_scores
from attnviz.training.encoder.roles import Baseline, RoleTally, telling
from attnviz.training.fitting import Recipe
from attnviz.training.tokenizer import CLS, MASK, PAD, SEP, SPECIAL, learn_tokenizer
from tests.build import looking_at, record

TOKENIZER = Package.of(find_folders()["builtin/encoder"]).text.tokenizer


def drawn(count: int) -> list[Example]:
    return list(islice(examples(Split.TRAIN, 5), count))


def said(batch, row: int, column: int) -> str:
    return TOKENIZER.decode([int(batch.ids[row, column])])


def test_each_pronoun_of_a_batch_is_tied_to_the_pieces_of_its_antecedent():
    texts = drawn(97)
    batch = padded(texts, TOKENIZER)
    links = [
        (row, text.text[slice(*link.source)].lower(), text.text[slice(*link.target)].lower())
        for row, text in enumerate(texts)
        for link in text.links
        if link.relation is Relation.PRONOUN_ANTECEDENT
    ]
    asked = batch.pronouns
    found = zip(asked.rows, asked.columns, asked.starts, asked.ends, strict=True)
    for (row, pronoun, antecedent), (at, column, start, end) in zip(links, found, strict=True):
        assert at == row
        assert said(batch, at, column) == pronoun
        assert "".join(said(batch, at, piece) for piece in range(start, end)) == antecedent


def test_padding_fills_what_the_lengths_leave():
    batch = padded(drawn(7), TOKENIZER)
    for ids, length in zip(batch.ids, batch.lengths, strict=True):
        assert ids[0] == SPECIAL.index(CLS)
        assert ids[length - 1] == SPECIAL.index(SEP)
        assert (ids[length:] == SPECIAL.index(PAD)).all()
        assert not (ids[:length] == SPECIAL.index(PAD)).any()


def test_masking_hides_15_percent_four_fifths_of_it_behind_mask_and_keeps_what_stood_there():
    whole = padded(drawn(499), TOKENIZER)
    hidden = masked(whole, TOKENIZER, np.random.default_rng(1))
    places = hidden.masked.rows, hidden.masked.columns
    assert len(hidden.masked.ids) / (whole.ids >= len(SPECIAL)).sum() == pytest.approx(0.15, abs=0.01)
    assert (hidden.ids[places] == SPECIAL.index(MASK)).mean() == pytest.approx(0.8, abs=0.04)
    assert (hidden.masked.ids == whole.ids[places]).all()
    changed = hidden.ids != whole.ids
    changed[places] = False
    assert not changed.any()


def test_no_pronoun_is_asked_for_an_antecedent_when_either_is_hidden():
    hidden = masked(padded(drawn(199), TOKENIZER), TOKENIZER, np.random.default_rng(1))
    covered = set(zip(hidden.masked.rows, hidden.masked.columns, strict=True))
    asked = hidden.pronouns
    assert covered.isdisjoint(zip(asked.rows, asked.columns, strict=True))
    assert covered.isdisjoint(zip(asked.rows, asked.starts, strict=True))


def test_the_links_of_joined_texts_still_name_the_same_words():
    parts = drawn(300)
    long = joined(iter(parts))
    words = [(link.relation, long.text[slice(*link.source)], long.text[slice(*link.target)]) for link in long.links]
    once = [
        (link.relation, part.text[slice(*link.source)], part.text[slice(*link.target)])
        for part in parts
        for link in part.links
    ]
    assert len(words) > 20
    assert words == once[: len(words)]


@pytest.mark.usefixtures("small_batches")
def test_batches_come_again_from_the_same_seed():
    one, two = (next(batches(examples(Split.TRAIN, 1), TOKENIZER, seed)) for seed in (1, 1))
    np.testing.assert_array_equal(one.ids, two.ids)


@pytest.mark.usefixtures("small_batches")
def test_training_from_the_same_seed_gives_the_same_weights():
    tokenizer = learn_tokenizer((example.text for example in drawn(500)), 600)
    quiet = Progress(disable=True)
    one, two, other = (train(tokenizer, Recipe(steps=2, seed=seed), quiet) for seed in (1, 1, 2))
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


def test_naming_lets_only_the_words_of_the_text_compete():
    parameters = Parameters(
        {
            "embedding.weight": np.eye(7, 5, dtype=np.float32),
            "naming.weight": np.eye(5, dtype=np.float32),
            "naming.bias": np.zeros(5, np.float32),
        }
    )
    vector = np.array([[0, 9, 0, 0, 3]], np.float32)  # most like token 1, a special one, then like token 4
    scores = naming_scores(vector, np.array([[1, 4, 5]]), parameters)
    np.testing.assert_array_equal(scores, [[-np.inf, 3, 0]])


def attention(text: str, strongest: list[int]) -> Attention:
    """One head whose queries each give 0.8 to one key; the rest goes evenly to all."""
    segment = Segment(text)
    tokens = (make_special_token(CLS, 0), *(segment.token(span, i) for i, span in enumerate(segment.words, 1)))
    return record(names=tokens, weights=looking_at(strongest))


def test_roles_are_counted_by_where_the_strongest_weight_goes():
    link = Link(Relation.ADJECTIVE_NOUN, (0, 3), (11, 14))
    tally = RoleTally()
    tally.add(Example("big fluffy dog", (link,), "test"), attention("big fluffy dog", [0, 3, 1, 2]))
    shares = {role: share.item() for role, share in tally.shares().items()}
    assert shares["adjective to noun"] == 1
    assert shares["noun to adjective"] == 0
    assert shares["previous token"] == pytest.approx(2 / 3)
    assert shares["next token"] == 0
    assert shares[CLS] == 0


def test_the_baseline_of_a_role_is_the_best_fixed_offset_over_all_texts():
    tally = RoleTally()
    for text, source, target in (
        ("big red dog", (0, 3), (8, 11)),
        ("big old cat", (0, 3), (8, 11)),
        ("big dog", (0, 3), (4, 7)),
    ):
        link = Link(Relation.ADJECTIVE_NOUN, source, target)
        tally.add(Example(text, (link,), "test"), attention(text, [0] * (len(text.split()) + 1)))
    baselines = tally.baselines()
    assert baselines["adjective to noun"] == Baseline(n=3, offset=2, share=2 / 3)
    assert baselines["noun to adjective"] == Baseline(n=3, offset=-2, share=2 / 3)
    assert set(baselines) == {"adjective to noun", "noun to adjective"}


def test_a_role_that_a_fixed_offset_fills_as_often_is_not_a_heads():
    roles = {
        "adjective to noun": np.array([[0.9]]),
        "next token": np.array([[0.8]]),
        "noun to adjective": np.array([[0.4]]),
    }
    head = {"layer": 0, "head": 0}
    assert telling(roles, head, {"adjective to noun": Baseline(7, 1, 0.9)}) == {"next token": 0.8}
    assert telling(roles, head, {"adjective to noun": Baseline(7, 1, 0.8)}) == {
        "adjective to noun": 0.9,
        "next token": 0.8,
    }


@pytest.mark.parametrize(("kind", "count"), [("natural", 60), ("winograd", 20)])
def test_the_pronoun_and_the_antecedent_of_each_sentence_written_by_hand_are_marked(kind, count):
    sentences = read_sentences(kind)
    assert len({sentence.example.text for sentence in sentences}) == count
    for sentence in sentences:
        (link,) = sentence.example.links
        pronoun, antecedent = (sentence.example.text[slice(*span)] for span in (link.source, link.target))
        assert pronoun in {"it", "they", "them", "he", "him", "his", "she", "her", "their"}
        assert antecedent[0].isupper() or antecedent.islower()
    if kind == "winograd":
        assert sum(sentence.first for sentence in sentences) == count / 2
