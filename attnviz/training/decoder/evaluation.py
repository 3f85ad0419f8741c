"""The evaluation of the built-in decoder on texts that it was not trained on, from its shipped weights."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tokenizers import Tokenizer

from attnviz.models.builtin.package import Package
from attnviz.models.builtin.stack import START, load, score_next
from attnviz.models.stack_runner import StackRunner
from attnviz.reference.arrays import Array
from attnviz.reference.transformer import transformer
from attnviz.training.corpus import Split, examples
from attnviz.training.decoder.repetition import lemmas, succession
from attnviz.training.encoder.evaluation import attend_each
from attnviz.training.encoder.roles import Baseline, RoleTally, Shares
from attnviz.training.tokenizer import SPOKEN

INDUCTION, PREVIOUS, DUPLICATE = "induction", "previous token", "duplicate token"
_SEED = 2
_COUNTS = 25, 50  # of what is said twice, at least and at most
_FAR_COUNTS = 100, 100  # farther than training ever had it


class Repeated(Struct, frozen=True, kw_only=True):
    """The measurements on random items that are said twice.

    `weights` is the mean weight of each head from a token said again: to what followed it the first time (`INDUCTION`,
    the prefix matching of Olsson et al. 2022), to itself the first time (`DUPLICATE`), and from any token to the one
    before it (`PREVIOUS`). `first` and `second` are how many tokens are foretold the first time and the second.
    """

    weights: dict[str, Shares]
    first: float
    second: float


class Figures(Struct, frozen=True, kw_only=True):
    """The measurements on held-out texts; all accuracies, shares and weights are between 0 and 1.

    `perplexity` is that of a token, `roles` how often each head fills each role, `baselines` how often a fixed offset
    does, `previous` the mean weight of each
    head on the token before. As many sequences as there are `texts` were said twice: of `words`, of `pieces`, and of
    words that come again from `far`, farther than the training ever had it.
    """

    texts: int
    tokens: int
    perplexity: float
    foretold: float
    roles: dict[str, Shares]
    baselines: dict[str, Baseline]
    previous: Shares
    words: Repeated
    pieces: Repeated
    far: Repeated


def evaluate(folder: Path, texts: int) -> Figures:
    """Return all figures of the decoder in a folder, on `texts` held-out examples and as many things said twice."""
    model, package = load(folder), Package.of(folder)
    tokenizer, stack = package.text.tokenizer, package.stack
    tally, surprises, hits, previous = RoleTally(), list[Array](), list[Array](), list[Array]()
    held_out = list(islice(examples(Split.TEST, _SEED), texts))
    for example, attention in zip(held_out, attend_each(model, held_out), strict=True):
        tally.add(example, attention)
        previous.append(_on(attention.weights, np.arange(1, attention.shape[-1]), -1))
        ids = tokenizer.encode(example.text).ids
        scores = _run(stack, ids)[1]
        surprises.append(_surprise(scores, ids))
        hits.append(scores.argmax(-1) == ids)
    return Figures(
        texts=texts,
        tokens=sum(map(len, hits)),
        perplexity=float(np.exp(np.concatenate(surprises).mean())),
        foretold=float(np.concatenate(hits).mean()),
        roles=tally.shares(),
        baselines=tally.baselines(),
        previous=np.concatenate(previous, axis=-1).mean(-1),
        words=_repeated(stack, texts, _words(tokenizer), _COUNTS),
        pieces=_repeated(stack, texts, _pieces(tokenizer), _COUNTS),
        far=_repeated(stack, texts, _words(tokenizer), _FAR_COUNTS),
    )


_Strung = Callable[[int, Random], Sequence[int]]
"""The ids of so many different items that chance has strung together."""


def _words(tokenizer: Tokenizer) -> _Strung:
    pool = lemmas()
    return lambda count, rng: tokenizer.encode(" ".join(succession(pool, count, rng, Split.TEST))).ids


def _pieces(tokenizer: Tokenizer) -> _Strung:
    pool = range(len(SPOKEN), tokenizer.get_vocab_size())
    return lambda count, rng: succession(pool, count, rng, Split.TEST)


def _repeated(stack: StackRunner, sequences: int, strung: _Strung, counts: tuple[int, int]) -> Repeated:
    rng = Random(_SEED)
    told = [said_twice(stack, strung(rng.randint(*counts), rng)) for _ in range(sequences)]
    return Repeated(
        weights={name: np.mean([one.weights[name] for one in told], axis=0) for name in told[0].weights},
        first=float(np.mean([one.first for one in told])),
        second=float(np.mean([one.second for one in told])),
    )


def said_twice(stack: StackRunner, ids: Sequence[int]) -> Repeated:
    """Measure one sequence of so many ids and the same again; what comes first then is not to be foretold."""
    count, twice = len(ids), [*ids, *ids]
    weights, scores = _run(stack, twice)
    again, hits = np.arange(count + 1, 2 * count + 1), scores.argmax(-1) == twice
    return Repeated(
        weights={
            INDUCTION: _on(weights, again, 1 - count).mean(-1),
            DUPLICATE: _on(weights, again, -count).mean(-1),
            PREVIOUS: _on(weights, np.arange(1, 2 * count + 1), -1).mean(-1),
        },
        first=float(hits[:count].mean()),
        second=float(hits[count + 1 :].mean()),
    )


def _on(weights: NDArray[np.float32], queries: NDArray[np.intp], offset: int) -> NDArray[np.float32]:
    """Return the weight of each query on the key so far from it: [layers, heads, queries]."""
    found: NDArray[np.float32] = weights[..., queries, queries + offset]
    return found


def _run(stack: StackRunner, ids: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return all weights [layers, heads, tokens, tokens], and the scores of what each id could be [ids, vocabulary]."""
    seen: list[Array] = []
    vectors = transformer(
        np.array([START, *ids]), stack.parameters, stack.shape, watch=lambda block: seen.append(block.weights)
    )
    return np.stack(seen), score_next(vectors[:-1], stack.parameters)


def _surprise(scores: NDArray[np.float32], ids: Sequence[int]) -> NDArray[np.float32]:
    """-log of the probability of each id, in nats."""
    highest = scores.max(-1)
    total: NDArray[np.float32] = np.log(np.exp(scores - highest[:, None]).sum(-1)) + highest
    return total - scores[np.arange(len(ids)), ids]
