"""Training the built-in encoder."""

from itertools import islice

import torch
from rich.progress import Progress
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy

from attnviz.reference.masks import padding
from attnviz.reference.parameters import Parameters
from attnviz.reference.transformer import Config, Positions, transformer
from attnviz.training import initial
from attnviz.training.corpus import Split, examples, lexicon_size
from attnviz.training.course import Trained, shape_of
from attnviz.training.encoder.batches import TEXTS, Batch, Places, Pronouns, batches
from attnviz.training.encoder.objectives import masked_scores, naming_scores
from attnviz.training.fitting import Learned, Losses, Recipe, Weights, fit
from attnviz.training.tokenizer import learn_tokenizer

CONFIG = Config(width=96, layers=4, heads=6, positions=Positions.ROTARY, activation="relu")
VOCABULARY = 4096
_VOCABULARY_TEXTS = 60_000
_POSITIONS = 512


def learn(recipe: Recipe, progress: Progress) -> Trained:
    """Return the tokenizer, learned first, and the weights."""
    drawn = islice(examples(Split.TRAIN, recipe.seed), _VOCABULARY_TEXTS)
    tokenizer = learn_tokenizer((example.text for example in drawn), VOCABULARY)
    return Trained(
        tokenizer=tokenizer,
        weights=train(tokenizer, recipe, progress),
        purpose="A small English encoder whose heads show what attention does.",
        config=shape_of(CONFIG),
        positions=_POSITIONS,
        texts=TEXTS,
        lexicon=lexicon_size(),
    )


def train(tokenizer: Tokenizer, recipe: Recipe, progress: Progress) -> Learned:
    """Return the learned arrays, by name, in half precision."""
    torch.manual_seed(recipe.seed)
    weights = initial_weights(CONFIG, tokenizer.get_vocab_size())
    drawn = batches(examples(Split.TRAIN, recipe.seed), tokenizer, recipe.seed)
    return fit(weights, drawn, losses, recipe, progress)


def initial_weights(config: Config, vocabulary: int) -> Weights:
    """Return the weights that training starts from."""
    width = config.width
    arrays = initial.embedding("embedding", vocabulary, width) | initial.stack(config)
    return initial.learnable(arrays | initial.linear("naming", width, width) | {"masked.bias": torch.zeros(vocabulary)})


def losses(batch: Batch, parameters: Parameters) -> Losses:
    """Cross-entropy of the masked tokens, and at each pronoun of the first piece of its antecedent."""
    ids, asked = torch.from_numpy(batch.ids), batch.pronouns
    vectors = transformer(ids, parameters, CONFIG, mask=padding(torch.from_numpy(batch.lengths)))
    masked = cross_entropy(masked_scores(_at(vectors, batch.masked), parameters), torch.from_numpy(batch.masked.ids))
    if not len(asked.rows):
        return {"masked": masked}
    named = naming_scores(_at(vectors, asked), ids[torch.from_numpy(asked.rows)], parameters)  # [pronouns, tokens]
    return {"masked": masked, "naming": cross_entropy(named, torch.from_numpy(asked.starts))}


def _at(vectors: torch.Tensor, places: Places | Pronouns) -> torch.Tensor:
    return vectors[torch.from_numpy(places.rows), torch.from_numpy(places.columns)]
