"""Training the built-in decoder."""

from collections.abc import Iterator
from random import Random

import torch
from rich.progress import Progress
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy

from attnviz.models.builtin.stack import score_next
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config, Positions, transformer
from attnviz.training import initial
from attnviz.training.corpus import Split, lexicon_size
from attnviz.training.course import Trained, shape_of
from attnviz.training.decoder.batches import LENGTHS, REPEATING, ROWS, Batch, batches
from attnviz.training.decoder.repetition import Teller, lemmas
from attnviz.training.fitting import Learned, Losses, Recipe, Weights, fit
from attnviz.training.tokenizer import learn_writing_tokenizer

CONFIG = Config(
    width=96, layers=2, heads=4, causal=True, positions=Positions.ROTARY, activation="relu", norm_embedding=True
)
RECIPE = Recipe(steps=4500)
VOCABULARY = 4096
_VOCABULARY_TEXTS = 20_000
_VOCABULARY_LEMMAS = 15  # in each of as many texts again, so that every lemma becomes one piece
_QUIET = 0.3  # how much less a layer writes at first than it reads, so that tokens can be told apart above it


def learn(recipe: Recipe, progress: Progress) -> Trained:
    """Return the tokenizer, learned first, and the weights."""
    tokenizer = learn_writing_tokenizer(_vocabulary_texts(recipe.seed), VOCABULARY)
    return Trained(
        tokenizer=tokenizer,
        weights=train(tokenizer, recipe, progress),
        purpose="A small English decoder whose heads find what comes again.",
        config=shape_of(CONFIG),
        positions=LENGTHS[-1],
        texts=ROWS,
        lexicon=lexicon_size(),
    )


def _vocabulary_texts(seed: int) -> Iterator[str]:
    teller, rng, words = Teller(Split.TRAIN, seed), Random(seed), lemmas()
    for _ in range(_VOCABULARY_TEXTS):
        yield teller.text()
        yield " ".join(rng.choices(words, k=_VOCABULARY_LEMMAS))


def train(tokenizer: Tokenizer, recipe: Recipe, progress: Progress) -> Learned:
    """Return the learned arrays, by name, in half precision."""
    torch.manual_seed(recipe.seed)
    weights = initial_weights(CONFIG, tokenizer.get_vocab_size())
    drawn = batches(tokenizer, recipe.seed, round(REPEATING * recipe.steps))
    return fit(weights, drawn, losses, recipe, progress)


def initial_weights(config: Config, vocabulary: int) -> Weights:
    """Return the weights that training starts from."""
    width = config.width
    arrays = initial.embedding("embedding", vocabulary, width) | {"embedding.bias": torch.zeros(vocabulary)}
    arrays |= initial.norm("embedding_norm", width) | initial.linear("next", width, width) | initial.stack(config)
    written = (name for name in arrays if name.endswith((".output.weight", ".down.weight")))
    return initial.learnable(arrays | {name: arrays[name] * _QUIET for name in written})


def losses(batch: Batch, parameters: Parameters) -> Losses:
    """Cross-entropy of each token that is asked for, the tokens before it being the true ones."""
    ids, asked = torch.from_numpy(batch.ids), torch.from_numpy(batch.asked)
    vectors = transformer(ids[:, :-1], parameters, CONFIG)  # [rows, tokens - 1, width]
    return {"next token": cross_entropy(score_next(vectors[asked], parameters), ids[:, 1:][asked])}
