"""Small models of every type that transformers knows, held to their own weights: `python -m tests.tools.zoo`."""
