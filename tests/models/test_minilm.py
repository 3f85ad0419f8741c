"""A real pretrained model: all-MiniLM-L6-v2, as the package of the extra `locate_minilm` carries it."""

import hashlib

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose

import attnviz
from attnviz.models.registry import locate_minilm

SENTENCE = "The animal didn't cross the street because it was too tired"
SHA_256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.fixture(scope="module")
def by_transformers():
    """The tokenizer, and the network in double precision with its eager attention."""
    folder = locate_minilm()
    network = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float64)
    return transformers.AutoTokenizer.from_pretrained(folder), network.eval()


def test_its_weights_are_those_that_the_readme_speaks_of():
    assert hashlib.sha256((locate_minilm() / "model.safetensors").read_bytes()).hexdigest() == SHA_256


@pytest.mark.parametrize(("layer", "head", "expected"), [(5, 11, 0.647), (3, 1, 0.640)])
def test_two_heads_tie_it_to_the_animal(layer, head, expected):
    (attention,) = attnviz.load("minilm").attend(SENTENCE)
    (it,), (animal,) = attention.words("it"), attention.words("animal")
    weights = attention.looks_at(it)[..., list(animal.keys)].sum(-1)
    assert weights[layer, head] == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        (SENTENCE, None),
        (SENTENCE, "It had walked all day."),
        ("naïve 東京 🙂 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 [MASK] unbelievably", None),
        ("a cat " * 250, None),
    ],
    ids=["sentence", "pair", "scripts", "long"],
)
def test_it_is_what_transformers_computes(text, pair, by_transformers):
    (attention,) = attnviz.load("minilm", engine="reference").attend(text, pair)
    tokenizer, model = by_transformers
    inputs = tokenizer(text, pair, return_tensors="pt")
    with torch.no_grad():
        expected = torch.cat(model(**inputs, output_attentions=True).attentions).numpy()
    assert_allclose(attention.weights, expected, atol=1e-5)
    assert len(attention.key_tokens) == expected.shape[-1]
    assert np.isclose(attention.weights.sum(-1), 1, atol=1e-5).all()
