"""Weights computed elsewhere, made into records."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from transformers import BertConfig, BertModel, MarianConfig, MarianModel

from attnviz.errors import RecordError, UsageError
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
    made = Attention.from_array(weights, NAMES, sink=True)
    assert (made.weights.dtype, made.precision) == (np.float32, "bfloat16")


def test_a_tuple_of_layers_has_the_precision_of_its_layers() -> None:
    for count in (1, 2):
        layers = tuple(distributions(1, 5, 7, 7).astype(np.float16) for _ in range(count))
        made = Attention.from_array(layers, NAMES)
        assert (made.shape, made.precision) == ((count, 5, 7, 7), "float16")


def test_a_kind_is_one_of_three() -> None:
    with pytest.raises(UsageError, match=r"Kind\.CROSS"):
        Attention.from_array(distributions(7, 7), NAMES, kind="encoder")  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([[1.0], [0.5, 0.5]], "rows of one length"),
        ([["a", "b"]], "only real numbers"),
        ([[1j, 0]], "only real numbers"),
        (np.array([["a", 1]], object), "real numbers in rows"),
        ([[True, False]], "only real numbers"),
        (np.zeros((0, 7, 7)), "at least one number"),
    ],
    ids=["ragged", "strings", "complex", "objects", "truth values", "empty"],
)
def test_what_is_no_array_of_numbers_is_refused(weights: object, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        Attention.from_array(weights, NAMES)


def test_the_advice_to_take_one_text_is_for_batches_alone() -> None:
    for axes, advised in ((1, False), (5, True)):
        with pytest.raises(RecordError) as raised:
            Attention.from_array(np.ones((7,) * axes), NAMES)
        assert str(raised.value).endswith(": take one text of a batch.") == advised


@pytest.mark.parametrize("given", [object, np.float64, np.float16, int], ids=str)
def test_numbers_of_any_type_become_those_of_a_record(given: type) -> None:
    made = Attention.from_array(np.array([[1, 0], [0, 1]]).astype(given), ["a", "b"])
    assert made.weights.dtype == np.float32
    assert made.weights[0, 0].tolist() == [[1, 0], [0, 1]]
    assert made.precision == ("float16" if given is np.float16 else "float32")


def looking(*ahead: tuple[int, int, int, int]) -> np.ndarray:
    """Weights of 2 layers of 3 heads over 5 tokens that look back, but for these (layer, head, query, key)."""
    weights = np.tril(np.ones((2, 3, 5, 5)))
    for place in ahead:
        weights[place] = 1
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize("ahead", [(0, 0, 3, 4), (1, 2, 0, 1), (1, 0, 0, 4)])
def test_where_nobody_says_the_kind_one_look_ahead_makes_an_encoder(ahead: tuple[int, int, int, int]) -> None:
    names = NAMES[:5]
    assert Attention.from_array(looking(), names).kind is Kind.DECODER
    assert Attention.from_array(looking(ahead), names).kind is Kind.ENCODER
    assert Attention.from_array(looking(ahead), names, kind=Kind.DECODER).kind is Kind.DECODER
    assert Attention.from_array(looking(), names, NAMES[2:]).kind is Kind.CROSS


def test_one_token_that_sees_itself_is_of_an_encoder_and_two_that_look_back_are_of_a_decoder() -> None:
    assert Attention.from_array([[1.0]], ["a"]).kind is Kind.ENCODER
    assert Attention.from_array([[1.0, 0], [0.5, 0.5]], ["a", "b"]).kind is Kind.DECODER


def test_a_record_shows_what_it_is_of_and_not_its_numbers() -> None:
    assert repr(Attention.from_array(distributions(5, 7, 7), NAMES, model="mine")) == (
        "Attention(mine, encoder, 1 layers × 5 heads, 7 queries × 7 keys)"
    )
