"""What config.json says of small models: of each axis another size, most of them primes."""

SIZES = {
    "vocab_size": 11,
    "hidden_size": 24,
    "intermediate_size": 13,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "max_position_embeddings": 47,
}
"""In the words of most families."""

GPT = {"vocab_size": 11, "n_embd": 24, "n_layer": 5, "n_head": 6, "n_positions": 47}
"""In those of GPT-2."""

BART = {
    "vocab_size": 11,
    "d_model": 24,
    "encoder_layers": 5,
    "decoder_layers": 3,
    "encoder_attention_heads": 6,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 13,
    "decoder_ffn_dim": 13,
    "max_position_embeddings": 47,
}
"""In those of BART, whose two sides have sizes of their own."""
