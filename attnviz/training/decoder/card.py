"""The card of the built-in decoder: what it is, how it was trained, what was measured; in JSON, and in prose."""

import numpy as np

from attnviz.training.course import Json, table
from attnviz.training.decoder.batches import repeated_rows
from attnviz.training.decoder.evaluation import DUPLICATE, INDUCTION, PREVIOUS, Figures, Repeated
from attnviz.training.encoder.roles import Shares, list_best, share_at, strongest, telling, write_best

_ABOUT = """\
# {name}

{purpose} It has {config[layers]} layers of {config[heads]} heads, {parameters:,} parameters and a vocabulary of \
{vocabulary:,} subwords, one for each of the lexicon's lemmas among them, and reads up to {positions} tokens. \
`attnviz show "The cat sat" --model {name} --generate 5` lets it write.

## How it was trained

`python -m attnviz.training decoder` drew some {training[texts]:,} rows of 32 to 512 tokens from a grammar and a \
lexicon of {training[lemmas]:,} lemmas, and took {training[minutes]:.0f} minutes with {training[threads]} of a CPU's \
threads for {training[steps]:,} steps (seed {training[seed]}). It had one objective: to foretell the \
next token. Some rows were texts, said once or twice, or sentences about people and things that come again; the others \
were words, or pieces of words, that chance had strung together, said two to four times, where it was asked for what \
comes next from the second time on. The first steps were mostly of these. No loss looked at attention weights: the \
patterns below are what training left.
"""

_FINDINGS = """\
## What was measured

From the shipped weights, by `python -m attnviz.training decoder --evaluate`, on {texts:,} held-out texts with \
{tokens:,} tokens (with a noun that stands in no text of the grammar's with a pronoun that it was trained on, or a \
combination of frame, adjective and noun class left out of training), each said once:

- the perplexity of a token is {perplexity:.1f}, and {foretold:.1%} of the tokens are foretold;
- layer {previous_head[layer]} head {previous_head[head]} has a mean weight of {previous_head[weight]:.2f} on the \
token before.

In the training, {repeated_rows:.0%} of the rows were of what is said again, the very form of what follows: these \
figures say how well the model does what it was trained to do.

On {texts:,} sequences of 25 to 50 different words of the lexicon, as many of pieces of the vocabulary, and as \
many of 100 words, which is farther than the training ever repeated (50), each said twice (no two that meet in one of \
these met in a sequence of the training):

{repeated}

Induction is the mean weight from a token said again to what followed it the first time (Olsson et al. 2022: prefix \
matching), previous token that of any token to the one before it, both of the best head.

## What heads do

How often the strongest weight of a word, among words that are not special tokens, goes where a relation says, in the \
held-out texts; n is the number of such words. Beside it stands what needs no model: the word at one fixed offset, the \
best one for this relation. Head and offset were both chosen on these texts.

{best}

## What each head does

How often its strongest weight goes there: in the texts, of all tokens for a place, of all words that are not special \
tokens for a relation between words; what a fixed offset does as often is left out. Then, in the words said twice, the \
mean weight on the token before, on the same token the first time, and on what followed that.

{heads}
"""

_LIMITS = """\
## What it is not

It is small, and knows English only as far as its grammar goes. It goes on with any text, in lower case and without \
end, but what it writes is rarely sensible beyond a sentence. Its heads find what comes again \
after up to some 50 tokens, and much less what comes later: see the table. Other words and languages were not \
measured. It is there to show what attention is.
"""

_TESTS = "induction", "previous"


def findings(figures: Figures) -> Json:
    """Return the figures as the card's JSON has them: what was `measured`, and what each of the `heads` does."""
    return {
        "measured": {
            "repeated_rows": round(repeated_rows(), 3),
            "texts": figures.texts,
            "tokens": figures.tokens,
            "perplexity": round(figures.perplexity, 2),
            "foretold": round(figures.foretold, 4),
            "previous_head": _best(figures.previous),
            "repeated": {
                "words": _repeated(figures.words),
                "pieces": _repeated(figures.pieces),
                "100 words": _repeated(figures.far),
            },
        },
        "roles": list_best(figures.roles, figures.baselines),
        "heads": [
            (at := {"layer": layer, "head": head})
            | {"roles": telling(figures.roles, at, figures.baselines)}
            | {"repeated": {name: share_at(weights, at) for name, weights in figures.words.weights.items()}}
            for layer, head in np.ndindex(figures.previous.shape)
        ],
    }


def _best(weights: Shares) -> Json:
    head = strongest(weights)
    return {**head, "weight": share_at(weights, head)}


def _repeated(found: Repeated) -> Json:
    return {
        "foretold_first": round(found.first, 4),
        "foretold_second": round(found.second, 4),
        "induction_head": _best(found.weights[INDUCTION]),
        "previous_head": _best(found.weights[PREVIOUS]),
    }


def prose(card: Json) -> str:
    """Return the card in Markdown."""
    return "\n".join((_ABOUT.format(**card), findings_in_words(card), _LIMITS))


def findings_in_words(found: Json) -> str:
    """Return what `findings` says, in Markdown."""
    measured = found["measured"]
    repeated = (
        (
            *(what, f"{one['foretold_first']:.2%}", f"{one['foretold_second']:.1%}"),
            *("{weight:.2f} (layer {layer} head {head})".format(**one[f"{test}_head"]) for test in _TESTS),
        )
        for what, one in measured["repeated"].items()
    )
    heads = (
        (
            *(head["layer"], head["head"]),
            ", ".join(f"{role} {share:.0%}" for role, share in head["roles"].items()) or "—",
            *(f"{head['repeated'][name]:.2f}" for name in (PREVIOUS, DUPLICATE, INDUCTION)),
        )
        for head in found["heads"]
    )
    header = "said twice", "foretold the first time", "foretold the second", *_TESTS
    return _FINDINGS.format(
        **measured
        | {"repeated": table(header, repeated)}
        | {"best": write_best(found["roles"])}
        | {"heads": table(("layer", "head", "roles", PREVIOUS, DUPLICATE, INDUCTION), heads)}
    )
