"""Weights computed elsewhere, made into records."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from transformers import BertConfig, BertModel, MarianConfig, MarianModel

from attnviz.errors import RecordError
from attnviz.records import Attention
from attnviz.vocabulary import Engine, Kind
from tests.build import distributions

NAMES = "the", "old", "cat", "saw", "it", "run", "by"
OTHERS = "le", "vieux", "chat"


@pytest.mark.parametrize("axes", [(), (5,), (2, 5)], ids=["one head", "a layer", "layers"])
def test_missing_axes_are_one_layer_and_one_head(axes: tuple[int, ...]) -> None:
    weights = distributions(*axes, 7, 7)
    made = Attention.from_array(weights, NAMES)
    assert made.shape == (*(1, 1)[len(axes) :], *axes, 7, 7)
    assert_allclose(made.weights.reshape(weights.shape), weights)
    assert [token.text for token in made.key_tokens] == list(NAMES)
    assert [token.word for token in made.key_tokens] == list(range(7))
    assert (made.kind, made.engine) == (Kind.ENCODER, Engine.UNKNOWN)


def test_the_tuple_that_transformers_returns_is_a_record() -> None:
    torch.manual_seed(3)
    config = BertConfig(
        hidden_size=20,
        num_attention_heads=5,
        num_hidden_layers=3,
        intermediate_size=11,
        vocab_size=50,
        attn_implementation="eager",
    )
    with torch.no_grad():
        returned = BertModel(config).eval()(torch.arange(7)[None], output_attentions=True).attentions
    made = Attention.from_array(returned, NAMES, model="bert")
    assert made.shape == (3, 5, 7, 7)
    assert_allclose(made.head(2, 4), returned[2][0, 4].numpy())


def test_what_an_encoder_decoder_returns_makes_a_record_of_each_kind() -> None:
    torch.manual_seed(3)
    config = MarianConfig(
        d_model=12,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=3,
        decoder_attention_heads=2,
        encoder_ffn_dim=11,
        decoder_ffn_dim=11,
        vocab_size=50,
        decoder_vocab_size=50,
        pad_token_id=0,
        decoder_start_token_id=0,
        attn_implementation="eager",
    )
    ids = {"input_ids": torch.arange(7)[None], "decoder_input_ids": torch.arange(3)[None]}
    with torch.no_grad():
        found = MarianModel(config).eval()(**ids, output_attentions=True)
    encoder = Attention.from_array(found.encoder_attentions, NAMES)
    decoder = Attention.from_array(found.decoder_attentions, OTHERS)
    cross = Attention.from_array(found.cross_attentions, OTHERS, NAMES)
    assert [each.kind for each in (encoder, decoder, cross)] == [Kind.ENCODER, Kind.DECODER, Kind.CROSS]
    assert [each.shape for each in (encoder, decoder, cross)] == [(2, 3, 7, 7), (3, 2, 3, 3), (3, 2, 3, 7)]


def test_what_lies_in_bfloat16_is_read() -> None:
    weights = torch.full((7, 7), 1 / 8).bfloat16()
    with pytest.raises(RecordError, match=r"sums to 0\.875"):
        Attention.from_array(weights, NAMES)
    assert Attention.from_array(weights, NAMES, sink=True).weights.dtype == np.float32


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (np.ones(7), "not the shape"),
        (distributions(1, 1, 1, 7, 7), "not the shape"),
        ((distributions(2, 5, 7, 7),), "take one text"),
        ((distributions(1, 5, 7, 7), distributions(1, 3, 7, 7)), "equal layers"),
        (distributions(7, 5), "but the axes name"),
        (-distributions(7, 7), "sums to -1"),
    ],
)
def test_what_is_no_attention_is_refused(weights: object, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        Attention.from_array(weights, NAMES)


def test_a_record_shows_what_it_is_of_and_not_its_numbers() -> None:
    assert repr(Attention.from_array(distributions(5, 7, 7), NAMES, model="mine")) == (
        "Attention(mine, encoder, 1 layers × 5 heads, 7 queries × 7 keys)"
    )
