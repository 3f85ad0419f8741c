"""The card of a built-in model: what it is, how it was trained, what was measured; in JSON, and from that in prose."""

import numpy as np

from attnviz.training.course import Json, table
from attnviz.training.encoder.evaluation import DEMO, Figures
from attnviz.training.encoder.roles import PRONOUN, list_best, share_at, strongest, telling, write_best

_ABOUT = """\
# {name}

{purpose} It has {config[layers]} layers of {config[heads]} heads, {parameters:,} parameters and a vocabulary of \
{vocabulary:,} subwords, and reads up to {positions} tokens.

## How it was trained

`python -m attnviz.training encoder` drew {training[texts]:,} texts from a grammar and a lexicon of \
{training[lemmas]:,} lemmas, and took {training[minutes]:.0f} minutes with {training[threads]} of a CPU's threads for \
{training[steps]:,} steps (seed {training[seed]}). It had two objectives: to guess the tokens that were masked, \
and to name the antecedent (its first piece) at each pronoun, among the words of its text. No loss looked at attention \
weights: the patterns below are what training left.
"""

_FINDINGS = """\
## What was measured

On {texts:,} held-out texts with {pronouns:,} pronouns (their nouns stand in no training text with a pronoun, or their \
combination of frame, adjective and noun class was left out of training), from the shipped weights, by \
`python -m attnviz.training encoder --evaluate`:

- the antecedent is named at {antecedent_named:.1%} of the pronouns, as the first choice among the words of the text;
- {masked_token_guessed:.1%} of the masked tokens are guessed;
- in layer {pronoun_head[layer]} head {pronoun_head[head]}, the word that a pronoun looks at most is its antecedent \
{pronoun_head[share]:.1%} of the time (of all heads the best, on these same texts).

A sentence to look at, which is none of these texts: what *it* looks at in "{sentence}", layer {demo_head[layer]} \
head {demo_head[head]}:

{demo}

## Outside the grammar

On sentences written by hand, with one pronoun each: everyday ones, and pairs in the manner of Winograd that differ in \
the one word which decides.

{handwritten}

## What heads do

How often the strongest weight of a word, among words that are not special tokens, goes where a relation says, on the \
held-out texts; n is the number of such words. Beside it stands what needs no model: the word at one fixed offset, the \
best one for this relation. Head and offset were both chosen on these texts.

{best}

## What each head does

How often the head's strongest weight goes there: of all tokens for a place in the text, of all words that are not \
special tokens for a relation between words. What a fixed offset does as often is left out.

{heads}
"""

_LIMITS = """\
## What it is not

It is small, and knows English only as far as its grammar goes: short sentences about people, animals and things. It \
reads any text, but what its heads do with rare words, other languages or more than a few sentences was not measured. \
It is no source of facts and no judge of meaning; it is there to show what attention is.
"""


def findings(figures: Figures) -> Json:
    """Return the figures as the card's JSON has them: what was `measured`, and what each of the `heads` does."""
    tired, wide = figures.demo["tired"], figures.demo["wide"]
    tells = np.minimum(tired["animal"] - tired["street"], wide["street"] - wide["animal"])
    pronoun_head, demo_head = strongest(figures.roles[PRONOUN]), strongest(tells)
    return {
        "measured": {
            "texts": figures.texts,
            "pronouns": figures.pronouns,
            "antecedent_named": figures.named,
            "masked_token_guessed": figures.masked,
            "pronoun_head": pronoun_head | {"share": share_at(figures.roles[PRONOUN], pronoun_head)},
            "demo_head": demo_head,
            "demo": {
                adjective: {noun: share_at(weights, demo_head) for noun, weights in nouns.items()}
                for adjective, nouns in figures.demo.items()
            },
        },
        "handwritten": {
            kind: {
                "texts": found.texts,
                "antecedent_named": round(found.named, 4),
                "pronoun_head": share_at(found.looked_at, pronoun_head),
                "first_noun": round(found.first, 4),
            }
            for kind, found in figures.handwritten.items()
        },
        "roles": list_best(figures.roles, figures.baselines),
        "heads": [
            (at := {"layer": layer, "head": head}) | {"roles": telling(figures.roles, at, figures.baselines)}
            for layer, head in np.ndindex(tells.shape)
        ],
    }


def prose(card: Json) -> str:
    """Return the card in Markdown."""
    return "\n".join((_ABOUT.format(**card), findings_in_words(card), _LIMITS))


def findings_in_words(found: Json) -> str:
    """Return what `findings` says, in Markdown."""
    demo = found["measured"]["demo"]
    heads = [
        (head["layer"], head["head"], ", ".join(f"{role} {share:.0%}" for role, share in head["roles"].items()) or "—")
        for head in found["heads"]
    ]
    return _FINDINGS.format(
        **found["measured"]
        | {"sentence": DEMO.format("…")}
        | {"demo": table(("…", *demo["tired"]), ((word, *nouns.values()) for word, nouns in demo.items()))}
        | {"heads": table(("layer", "head", "roles"), heads)}
        | {"best": write_best(found["roles"])}
        | {"handwritten": _write_natural(found["handwritten"], found["measured"]["pronoun_head"])}
    )


def _write_natural(found: Json, head: Json) -> str:
    name = f"layer {head['layer']} head {head['head']} looks at it most"
    shares = "antecedent_named", "pronoun_head", "first_noun"
    rows = ((kind, one["texts"], *(f"{one[share]:.0%}" for share in shares)) for kind, one in found.items())
    return table(("sentences", "n", "the antecedent is named", name, "it is the first noun"), rows)
