import numpy as np
import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PreTrainedModel,
)

from attnviz.errors import UsageError
from attnviz.measures.circuits import score_copying
from attnviz.models.base import Card, Stack
from attnviz.models.pretrained.circuits import join_network_words, read_circuit
from attnviz.vocabulary import Kind

WORDS, WIDTH, LAYERS, HEADS, DEPTH = 61, 24, 2, 4, 6


def networks() -> dict[str, PreTrainedModel]:
    torch.manual_seed(0)
    shared = {"vocab_size": WORDS, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    return {
        "gpt2": GPT2LMHeadModel(GPT2Config(vocab_size=WORDS, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS)),
        "neox": GPTNeoXForCausalLM(GPTNeoXConfig(**shared, intermediate_size=32)),
        "opt": OPTForCausalLM(OPTConfig(**shared, ffn_dim=32, word_embed_proj_dim=WIDTH)),
        "llama": LlamaForCausalLM(LlamaConfig(**shared, intermediate_size=32, num_key_value_heads=2)),
    }


def moved(name: str, network: PreTrainedModel, layer: int, head: int) -> np.ndarray:
    """What one head does to every word, through the modules themselves: [words, words], biases taken out again."""
    embedding = network.get_input_embeddings().weight.detach()
    body = network.base_model
    own = slice(head * DEPTH, (head + 1) * DEPTH)
    with torch.no_grad():
        if name == "gpt2":
            attention = body.h[layer].attn
            values, out = attention.c_attn(embedding) - attention.c_attn.bias, attention.c_proj
            values = values[:, 2 * WIDTH :][:, own]
        elif name == "neox":
            attention = body.layers[layer].attention
            fused = attention.query_key_value(embedding) - attention.query_key_value.bias
            values, out = fused.view(WORDS, HEADS, 3, DEPTH)[:, head, 2], attention.dense
        elif name == "opt":
            attention = body.decoder.layers[layer].self_attn
            values, out = (attention.v_proj(embedding) - attention.v_proj.bias)[:, own], attention.out_proj
        else:
            attention, group = body.layers[layer].self_attn, slice(head // 2 * DEPTH, (head // 2 + 1) * DEPTH)
            values, out = attention.v_proj(embedding)[:, group], attention.o_proj
        whole = torch.zeros(WORDS, WIDTH)
        whole[:, own] = values
        written = out(whole) - (0 if out.bias is None else out.bias)
        return (written @ network.get_output_embeddings().weight.T).numpy()


@pytest.mark.parametrize("name", ["gpt2", "neox", "opt", "llama"])
def test_copying_is_that_of_what_the_network_does_to_every_word(name: str) -> None:
    network = networks()[name]
    card = Card(name=name, purpose="", stacks={Kind.DECODER: Stack(tuple(range(LAYERS)), HEADS)}, parameters=0,
                positions=None, config={})  # fmt: skip
    words = join_network_words(network, None, card)
    for layer in range(LAYERS):
        for head, score in enumerate(score_copying(read_circuit(network, card, Kind.DECODER, layer), words)):
            eigenvalues = np.linalg.eigvals(moved(name, network, layer, head).astype(float))
            assert score == pytest.approx(eigenvalues.sum().real / np.abs(eigenvalues).sum(), abs=1e-3)


def test_a_network_whose_maps_are_spelled_in_another_way_is_refused() -> None:
    card = Card(name="odd", purpose="", stacks={Kind.DECODER: Stack((0,), 1)}, parameters=0, positions=None, config={})
    with pytest.raises(UsageError, match="cannot be read from its weights"):
        read_circuit(torch.nn.Linear(3, 3), card, Kind.DECODER, 0)  # type: ignore[arg-type]
