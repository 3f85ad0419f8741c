"""The card of a built-in translator: what it is, how it was trained, what was measured; in JSON, and in prose."""

import numpy as np

from attnviz.training.course import Json, table
from attnviz.training.encoder.roles import share_at, strongest, telling
from attnviz.training.translation.evaluation import EXAMPLES, Figures
from attnviz.training.translation.roles import CONTENT
from attnviz.vocabulary import Kind

_ABOUT = """\
# {name}

{purpose} It has {parameters:,} parameters and a vocabulary of {vocabulary:,} subwords of both languages, and \
reads up to {positions} tokens.

## How it was trained

`python -m attnviz.training {model}` drew {training[texts]:,} English sentences with their French from a grammar and \
a lexicon of {training[lemmas]:,} English lemmas, and took {training[minutes]:.0f} minutes with {training[threads]} of \
a CPU's threads for {training[steps]:,} steps (seed {training[seed]}). It had one objective: to say the next piece of \
the French, given the pieces before it. No loss looked at attention weights: the patterns below are what training left.

`attnviz export "{example}" --model {name} --kind cross --layer {head[layer]} --head {head[head]} --layout head` draws \
an alignment as figure 3 of Bahdanau et al. 2015 does.
"""

_FINDINGS = """\
## What was measured

On {texts:,} held-out sentences (each has an adjective with a noun, or a verb with its subject or object, that were \
left out of training together), from the shipped weights (`--evaluate` measures them again):

- {exact:.1%} of the translations are the French to the letter, letter case aside; always the likeliest next piece is \
written;
- in layer {aligning_head[layer]} head {aligning_head[head]} of the cross-attention ({rank}), the word looked at most \
by the row that predicts the first piece of a French noun, adjective, verb, adverb or name is the word that it \
translates {aligning_head[share]:.1%} of the time, at {content_words:,} such words, the true French being read (the \
word at one fixed offset from its own place, the best one, is that {content_baseline:.1%} of the time).

What it writes:

{examples}

## What each head does

How often the head's strongest weight goes there: of all tokens for a place in the text; between the two texts of all \
words of the source, the end of which competes as a word of its own.

{heads}
"""

_LIMITS = """\
## What it is not

It is small, and knows only the words and the grammar that it was trained on: simple sentences of up to 15 words. It \
reads any text, but what it writes of other words, and what its heads do then, was not measured. It is no dictionary; \
it is there to show what attention between two texts is.
"""


def findings(figures: Figures) -> Json:
    """Return the figures as the card's JSON has them: what was `measured`, and what each of the `heads` does."""
    aligned = figures.roles[Kind.CROSS][CONTENT]
    aligning = strongest(aligned)
    return {
        "measured": {
            "texts": figures.texts,
            "content_words": figures.content_words,
            "content_baseline": round(figures.content_baseline, 4),
            "exact": round(figures.exact, 4),
            "aligning_head": aligning | {"share": share_at(aligned, aligning)},
            "examples": figures.examples,
        },
        "heads": [
            {"kind": kind.value} | (at := {"layer": layer, "head": head}) | {"roles": telling(roles, at)}
            for kind, roles in figures.roles.items()
            for layer, head in np.ndindex(next(iter(roles.values())).shape)
        ],
    }


def prose(card: Json) -> str:
    """Return the card in Markdown."""
    head, model = card["measured"]["aligning_head"], card["name"].removeprefix("builtin/")
    about = _ABOUT.format(**card, model=model, head=head, example=EXAMPLES[-1])
    return "\n".join((about, findings_in_words(card), _LIMITS))


def findings_in_words(found: Json) -> str:
    """Return what `findings` says, in Markdown."""
    crossing = sum(head["kind"] == Kind.CROSS.value for head in found["heads"])
    heads = (
        (head["kind"], head["layer"], head["head"], ", ".join(_share(*role) for role in head["roles"].items()) or "—")
        for head in found["heads"]
    )
    return _FINDINGS.format(
        **found["measured"]
        | {"examples": table(("English", "French"), found["measured"]["examples"])}
        | {"rank": "its only head" if crossing == 1 else f"the best of {crossing} heads, on these same texts"}
        | {"heads": table(("kind", "layer", "head", "roles"), heads)}
    )


def _share(role: str, share: float) -> str:
    return f"{role} {share:.0%}"
