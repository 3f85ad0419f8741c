"""Training a built-in translator, whatever its network."""

from collections.abc import Callable
from itertools import islice

import torch
from msgspec import Struct
from rich.progress import Progress
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy

from attnviz.models.builtin.encoder_decoder import Network
from attnviz.reference.parameters import Parameters
from attnviz.training.corpus import Split
from attnviz.training.corpus.french import lemmas, pairs
from attnviz.training.course import Json, Trained
from attnviz.training.fitting import Learned, Losses, Recipe, Weights, fit
from attnviz.training.tokenizer import learn_writing_tokenizer
from attnviz.training.translation.batches import IGNORED, PAIRS, Batch, batches

POSITIONS = 256
_VOCABULARY_PAIRS = 40_000


class Design(Struct, frozen=True, kw_only=True):
    """A network to be trained: what it starts from, given the size of its `vocabulary`, and what its card calls it."""

    network: Network
    initial_weights: Callable[[int], Weights]
    purpose: str
    config: Json
    vocabulary: int

    def learn(self, recipe: Recipe, progress: Progress) -> Trained:
        """Return the tokenizer of both languages, learned first, and the weights."""
        drawn = islice(pairs(Split.TRAIN, recipe.seed), _VOCABULARY_PAIRS)
        texts = (text for pair in drawn for text in (pair.english, pair.french))
        tokenizer = learn_writing_tokenizer(texts, self.vocabulary)
        return Trained(
            tokenizer=tokenizer,
            weights=self.train(tokenizer, recipe, progress),
            purpose=self.purpose,
            config=self.config,
            positions=POSITIONS,
            texts=PAIRS,
            lexicon=lemmas(),
        )

    def train(self, tokenizer: Tokenizer, recipe: Recipe, progress: Progress) -> Learned:
        """Return the learned arrays, by name, in half precision."""
        torch.manual_seed(recipe.seed)
        weights = self.initial_weights(tokenizer.get_vocab_size())
        drawn = batches(pairs(Split.TRAIN, recipe.seed), tokenizer, recipe.seed)
        return fit(weights, drawn, self.losses, recipe, progress)

    def losses(self, batch: Batch, parameters: Parameters) -> Losses:
        """Cross-entropy of each piece of the target and of its end, the pieces before it being the true ones."""
        sources, lengths, targets, wanted = (
            torch.from_numpy(ids) for ids in (batch.sources, batch.lengths, batch.targets, batch.wanted)
        )
        encoded = self.network.encode(sources, parameters, lengths)
        logits = self.network.decode(targets, encoded, parameters, lengths)  # [pairs, targets, vocabulary]
        return {"next piece": cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)}
