import json
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import attnviz
from attnviz.errors import ModelError, TextError, UsageError
from attnviz.models import builtin
from attnviz.models.model import Model
from attnviz.models.passages import Passage
from attnviz.records import Attention, Selection
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import transformer
from attnviz.text import visible
from attnviz.training.corpus import Split, examples
from attnviz.training.encoder.card import findings
from attnviz.training.encoder.evaluation import evaluate
from attnviz.vocabulary import Kind

FOLDER = builtin.find_folders()["builtin/encoder"]
SENTENCE = "The animal didn't cross the street because it was too {}"


@pytest.fixture(scope="module")
def model() -> Model:
    return builtin.load(FOLDER)


def weight(attention: Attention, query: str, key: str) -> np.ndarray:
    """What each head gives from one word to another: [layers, heads]."""
    (source,), (target,) = attention.words(query), attention.words(key)
    return attention.looks_at(source)[..., list(target.keys)].sum(-1)


def test_one_head_ties_it_to_the_animal_when_tired_and_to_the_street_when_wide(model):
    tired, wide = (model.attend(SENTENCE.format(adjective))[0] for adjective in ("tired", "wide"))
    to_animal = (weight(tired, "it", "animal") > 0.5) & (weight(tired, "it", "street") < 0.1)
    to_street = (weight(wide, "it", "street") > 0.5) & (weight(wide, "it", "animal") < 0.1)
    assert (to_animal & to_street).any()


def test_an_invented_noun_works_like_a_known_one(model):
    tired, wide = (model.attend(SENTENCE.format(a).replace("animal", "blicket"))[0] for a in ("tired", "wide"))
    to_blicket = (weight(tired, "it", "blicket") > 0.5) & (weight(tired, "it", "street") < 0.1)
    assert (to_blicket & (weight(wide, "it", "street") > 0.5)).any()


def test_the_card_says_what_is_measured_and_that_is_what_it_should_be(model):
    card = json.loads((FOLDER / builtin.CARD).read_text(encoding="utf-8"))
    assert card["measured"]["texts"] >= 1000
    found = findings(evaluate(FOLDER, card["measured"]["texts"]))
    assert found["measured"]["antecedent_named"] >= 0.95
    assert found["measured"]["pronoun_head"]["share"] >= 0.90
    for figure in ("antecedent_named", "masked_token_guessed"):
        assert found["measured"][figure] == pytest.approx(card["measured"][figure], abs=0.005)
    (head, written) = found["measured"]["pronoun_head"], card["measured"]["pronoun_head"]
    assert (head["layer"], head["head"]) == (written["layer"], written["head"])
    assert head["share"] == pytest.approx(written["share"], abs=0.005)
    for adjective, weights in card["measured"]["demo"].items():
        assert found["measured"]["demo"][adjective] == pytest.approx(weights, abs=0.01)
    for mine, written in zip(found["heads"], card["heads"], strict=True):
        assert mine["roles"] == pytest.approx(written["roles"], abs=0.01)


def test_the_weights_take_at_most_two_megabytes():
    assert (FOLDER / builtin.WEIGHTS).stat().st_size <= 2_000_000


def test_layers_heads_and_parameters_are_what_the_card_says(model):
    attention = model.attend("the cat sat")[0]
    stack = model.card.stacks[Kind.ENCODER]
    assert attention.shape[:2] == (len(stack.layers), stack.heads)
    assert model.card.parameters == sum(array.size for array in model.runner.parameters.arrays.values())


def test_numpy_and_torch_give_the_same_weights(model):
    reading = model.read(Passage(text="The keys to the cabinet are on the table, and nobody has seen them."))
    parameters = Parameters({name: torch.from_numpy(array) for name, array in model.runner.parameters.arrays.items()})
    seen = []
    transformer(
        torch.tensor(reading.ids), parameters, model.runner.shape, watch=lambda block: seen.append(block.weights)
    )
    attention = model.attend("The keys to the cabinet are on the table, and nobody has seen them.")[0]
    np.testing.assert_allclose(attention.weights, torch.stack(seen).numpy(), atol=1e-5)


def test_a_selection_is_a_part_of_the_whole_and_no_layer_above_it_runs(model):
    whole = model.attend("Mary lost her keys")[0]
    part = model.attend("Mary lost her keys", select=Selection(layers=(2, 0), heads=(5, 1)))[0]
    np.testing.assert_array_equal(part.weights, whole.weights[np.ix_([2, 0], [5, 1])])
    layers = []
    model.run([model.read(Passage(text="Mary"))], Selection(layers=(1,)), lambda block: layers.append(block.layer))
    assert layers == [1]


@pytest.mark.parametrize(
    ("select", "there"),
    [
        (Selection(layers=(4,)), "layers 0 to 3"),
        (Selection(heads=(0, 17)), "heads 0 to 5"),
        (Selection(kinds=(Kind.CROSS,)), "encoder"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(model, select, there):
    with pytest.raises(UsageError, match=there):
        model.attend("the cat", select=select)


def test_a_second_text_or_a_target_is_refused(model):
    with pytest.raises(UsageError, match="second text"):
        model.attend("one", pair="two")
    with pytest.raises(UsageError, match="decoder"):
        model.attend("one", target="un")


def test_it_reads_512_tokens_and_says_so_when_there_are_more(model):
    assert len(model.read(Passage(text="the " * 510)).tokens) == 512
    with pytest.raises(TextError, match=r"513 tokens.*at most 512"):
        model.read(Passage(text="the " * 511))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip))
def test_any_text_is_read_and_its_tokens_are_stretches_of_it(text):
    tokens = READER.read(Passage(text=text)).tokens
    assert tokens[0].special
    assert tokens[-1].special
    covered = set()
    for token in tokens[1:-1]:
        start, end = token.span
        assert token.text == visible(text[start:end])
        covered.update(range(start, end))
    assert covered >= {index for index, char in enumerate(text) if not char.isspace()}


READER = builtin.load(FOLDER)


@pytest.mark.parametrize("name", ["[CLS]", "[SEP]", "[MASK]", "[PAD]"])
def test_the_name_of_a_special_token_in_a_text_is_text(model, name):
    tokens = model.read(Passage(text=f"a {name} b")).tokens
    assert [token.special for token in tokens] == [True, *[False] * (len(tokens) - 2), True]


def test_case_is_kept_in_what_is_displayed(model):
    assert [token.text for token in model.read(Passage(text="THE Cat")).tokens[1:-1]] == ["THE", "Cat"]


def test_models_are_loaded_by_name():
    assert attnviz.load().card.name == attnviz.load("builtin/encoder").card.name == "builtin/encoder"
    with pytest.raises(ModelError, match="no-such-model"):
        attnviz.load("no-such-model", offline=True)


def test_held_out_texts_are_read_without_splitting_most_words(model):
    texts = [example.text for example in islice(examples(Split.TEST, 3), 100)]
    readings = [model.read(Passage(text=text)).tokens for text in texts]
    words = sum(len({token.word for token in tokens if token.word is not None}) for tokens in readings)
    pieces = sum(len(tokens) - 2 for tokens in readings)
    assert pieces < 1.2 * words
