"""The checks: figures that are published of models and need no data set, and how each is measured here.

A check is an entry of `CHECKS`: its model, its figures, who published them, the tolerance, and a function that measures
them. Heads are named `layer.head`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.errors import ModelError
from attnviz.measures.probes import Probe, Probed, Repeated
from attnviz.measures.totals import Totals
from attnviz.models import builtin
from attnviz.models.checkpoint.tensors import find_tensors
from attnviz.models.generated import Frame, repeat_ids
from attnviz.models.hub import weight_files
from attnviz.models.model import ALL, Model
from attnviz.models.passages import Passage
from attnviz.models.registry import locate
from attnviz.pipeline.generating import Generated
from attnviz.records import Claim

Figures = Mapping[str, float]


class Check(Claim, frozen=True, kw_only=True):
    """A claim, and a function that measures its figures with a model; it raises UsageError if the model has no such."""

    measure: Callable[[Model], Figures]


PUBLISHED: Mapping[str, Any] = json.loads((Path(__file__).parent / "published" / "gpt2.json").read_text("utf-8"))
"""Tables of numbers for each layer and head of GPT-2, and the ids of the two texts that they are of."""

_NO_FRAME = Frame((), ())
_EXACT = 0.0
_ROUNDED = 5e-4  # of what is published with three decimals
_SENTENCE = "The animal didn't cross the street because it was too {}"
_CARD = "the card of the model (CARD.md and card.json beside its weights)"
_DEMO = "TransformerLens@ea3989dd, demos/Exploratory_Analysis_Demo.ipynb"
_MAIN = "TransformerLens@aaf384f2, demos/Main_Demo.ipynb"


def _name_heads(table: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return the numbers of a table [layers, heads] by the names of the heads."""
    return {f"{layer}.{head}": number for layer, row in enumerate(table) for head, number in enumerate(row)}


def measure_diagonal(model: Model, offset: Callable[[Repeated], int]) -> Figures:
    """Return the mean weight of each head on a whole diagonal of the published texts, each said twice, without a start.

    `offset` says how far after a query the key stands in such a text.
    """
    texts: list[list[int]] = PUBLISHED["tokens"]
    probe = Probe("the mean of a diagonal", _DEMO, 2, lambda said: said.diagonal(offset(said)))
    readings = [repeat_ids(model, ids, probe.copies, _NO_FRAME) for ids in texts]
    found = model.reduce(readings, ALL, partial(Probed, wanted={"mean": probe}, tokens=len(texts[0])))
    tables = Totals.of(chain.from_iterable(found)).tables()
    return {f"{layer}.{head}": mean for table in tables for layer, head, mean in table.highest("mean", None)}


def _score(model: Model, text: str, *, bos: bool = True) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Return the ids of a text, and the logarithms of the probabilities of what comes next: [tokens, words]."""
    reading = model.read(Passage(text=text, bos=bos, added_tokens=bos))
    logits = model.runner.score_words(reading).astype(np.float64)
    above = logits - logits.max(-1, keepdims=True)
    return reading.ids, above - np.log(np.exp(above).sum(-1, keepdims=True))


def _find_id(model: Model, word: str) -> int:
    """Return the id of a word; raise ModelError if it is no single token of the model."""
    ids = model.read(Passage(text=word, added_tokens=False)).ids
    if len(ids) != 1:
        raise ModelError(f"{word!r} is {len(ids)} tokens of {model.card.name}, and the published figures take one.")
    return ids[0]


def measure_probabilities(model: Model, text: str, words: Sequence[str]) -> Figures:
    """Return how probable each of some words is after a text that begins with the start token, in percent."""
    _, scores = _score(model, text)
    return {word: 100 * float(np.exp(scores[-1, _find_id(model, word)])) for word in words}


def measure_gaps(model: Model, texts: Mapping[str, tuple[str, bool]], right: str, wrong: str) -> Figures:
    """Return for each text by how much the logit of one word after it is above that of another.

    A text is given with whether it begins with the start token.
    """
    ids = _find_id(model, right), _find_id(model, wrong)
    scores = {name: _score(model, text, bos=bos)[1][-1] for name, (text, bos) in texts.items()}
    return {name: float(each[ids[0]] - each[ids[1]]) for name, each in scores.items()}


def measure_loss(model: Model, text: str) -> Figures:
    """Return the mean cross-entropy of the tokens of a text after the start token, in nats."""
    ids, scores = _score(model, text)
    return {text: -float(scores[np.arange(len(ids) - 1), ids[1:]].mean())}


def count_parameters(model: Model) -> Figures:
    """Return how many numbers the weights in the files of a model are."""
    tensors = find_tensors(weight_files(locate(model.card.name)))
    return {"parameters": sum(tensor.size for tensor in tensors.values())}


def measure_link(model: Model, text: str, query: str, key: str) -> Figures:
    """Return the weight of each head from one word of a text to another."""
    (attention,) = model.attend(text)
    (one,), (other,) = attention.words(query), attention.words(key)
    return _name_heads(attention.looks_at(one)[..., list(other.keys)].sum(-1).tolist())


def measure_pronoun(model: Model, head: str) -> Figures:
    """Return the weight of a head from *it* to both nouns, in both sentences of the card."""
    return {
        f"{last}: it → {noun}": measure_link(model, _SENTENCE.format(last), "it", noun)[head]
        for last in ("tired", "wide")
        for noun in ("animal", "street")
    }


def measure_repetition(model: Model) -> Figures:
    """Return the induction and the previous-token score of each head, as `heads --probe` has them for 37 tokens."""
    names = "induction", "previous_token"
    (table,) = Generated(probes=names, tokens=37).tables(model)
    return {f"{name} {layer}.{head}": mean for name in names for layer, head, mean in table.highest(name, None)}


def count_translations(model: Model, examples: Sequence[tuple[str, str]]) -> Figures:
    """Return for each English text 1 where the model writes this French to the letter, else 0."""
    written = {text: model.read(Passage(text=text)).passage.target for text, _ in examples}
    return {text: float(written[text] == french) for text, french in examples}


_GPT2 = "openai-community/gpt2"


def _check_diagonals() -> Iterator[Check]:
    """Yield the checks of the heads of GPT-2 small, each of which is a whole diagonal of its weights."""
    offsets: Mapping[str, tuple[str, Callable[[Repeated], int]]] = {
        "previous_token": ("the token before", lambda said: -1),
        "duplicate_token": ("the same token in the first copy", lambda said: -said.tokens),
        "induction": ("the token after the same one in the first copy", lambda said: 1 - said.tokens),
    }
    for name, (key, offset) in offsets.items():
        yield Check(
            name=f"gpt2-{name.replace('_', '-')}",
            model=_GPT2,
            how=f"mean weight on {key}: the whole diagonal, two texts of 100 random tokens said twice, no start token",
            source=f"{_DEMO}, cells 98 and 100",
            tolerance=1e-3,
            published=_name_heads(PUBLISHED[name]),
            measure=partial(measure_diagonal, offset=offset),
        )


def _check_names() -> Iterator[Check]:
    """Yield the checks of what GPT-2 small says next; how TransformerLens changes its weights changes none of them."""
    likely = {" Mary": 70.07, " the": 4.67, " John": 4.54, " them": 4.11, " his": 2.73}
    story = "After John and Mary went to the store, {} gave a bottle of milk to"
    yield Check(
        name="gpt2-next-word",
        model=_GPT2,
        how=f"percent of each next word after {story.format('John')!r}, with a start token",
        source=f"{_DEMO}, cell 20",
        tolerance=0.05,
        published=likely,
        measure=partial(measure_probabilities, text=story.format("John"), words=[*likely]),
    )
    stories = {f"{name} gave": (story.format(name), True) for name in ("Mary", "John")}
    yield Check(
        name="gpt2-names",
        model=_GPT2,
        how=f"logit of ' John' less that of ' Mary' after {story.format('…')!r}, with a start token",
        source=f"{_MAIN}, cell 35",
        tolerance=5e-3,
        published={"Mary gave": 4.276, "John gave": -2.738},
        measure=partial(measure_gaps, texts=stories, right=" John", wrong=" Mary"),
    )
    shops = "Claire and Mary went to the shops, then Mary gave a bottle of milk to"
    both = {"with": (shops, True), "without": (shops, False)}
    yield Check(
        name="gpt2-start-token",
        model=_GPT2,
        how=f"logit of ' Claire' less that of ' Mary' after {shops!r}, with a start token and without",
        source=f"{_MAIN}, cell 95",
        tolerance=5e-3,
        published={"with": 6.754, "without": 2.782},
        measure=partial(measure_gaps, texts=both, right=" Claire", wrong=" Mary"),
    )


def _check_losses() -> Iterator[Check]:
    """Yield the checks of the loss of a short text, for some decoders."""
    losses = {
        _GPT2: 5.331856,
        "EleutherAI/gpt-neo-125M": 4.900552,
        "facebook/opt-125m": 6.159054,
        "bigscience/bloom-560m": 5.237126,
        "EleutherAI/pythia-70m": 4.659345,
    }
    text = "Hello world!"
    for model, loss in losses.items():
        yield Check(
            name=f"{model.partition('/')[2].lower()}-loss",
            model=model,
            how=f"mean cross-entropy in nats of {text!r} after a start token",
            source="TransformerLens, tests/acceptance/test_hooked_transformer.py (which asserts that it is no larger)",
            tolerance=1e-3,
            published={text: loss},
            measure=partial(measure_loss, text=text),
        )


def _check_builtin() -> Iterator[Check]:
    """Yield the checks of the models that come with the package, whose cards have the figures."""
    for name, folder in builtin.find_folders().items():
        card = json.loads((folder / builtin.CARD).read_text("utf-8"))
        yield _check_parameters(name, card["parameters"])
        for what, check in _CARD_CHECKS.items():
            if what in card["measured"]:
                yield check(name, card["measured"])


def _check_card(
    model: str,
    what: str,
    how: str,
    published: Figures,
    measure: Callable[[Model], Figures],
    tolerance: float = _EXACT,
) -> Check:
    """Return the check of figures that the card of a built-in model has."""
    name = f"{model.partition('/')[2]}-{what}"
    return Check(
        name=name, model=model, how=how, source=_CARD, tolerance=tolerance, published=published, measure=measure
    )


def _check_parameters(model: str, parameters: int) -> Check:
    how = "how many numbers the file of weights holds"
    return _check_card(model, "parameters", how, {"parameters": parameters}, count_parameters)


def _check_pronoun(model: str, measured: Mapping[str, Any]) -> Check:
    head = "{layer}.{head}".format(**measured["demo_head"])
    demo: Mapping[str, Figures] = measured["demo"]
    how = f"weight of head {head} from 'it', in {_SENTENCE.format('tired (wide)')!r}"
    published = {f"{last}: it → {noun}": weight for last, nouns in demo.items() for noun, weight in nouns.items()}
    return _check_card(model, "pronoun", how, published, partial(measure_pronoun, head=head), _ROUNDED)


def _check_repetition(model: str, measured: Mapping[str, Any]) -> Check:
    pieces = measured["repeated"]["pieces"]
    best = {"induction": pieces["induction_head"], "previous_token": pieces["previous_head"]}
    how = (
        "best heads of two probes, for 37 random pieces said twice; the card has 25 to 50 others, so the figures are "
        "those of another sample"
    )
    published = {"{} {layer}.{head}".format(name, **one): one["weight"] for name, one in best.items()}
    return _check_card(model, "repetition", how, published, measure_repetition, 0.02)


def _check_examples(model: str, measured: Mapping[str, Any]) -> Check:
    examples = [(english, french) for english, french in measured["examples"]]
    how = "1 where the French that the model writes is that of the card to the letter"
    published = dict.fromkeys((english for english, _ in examples), 1.0)
    return _check_card(model, "examples", how, published, partial(count_translations, examples=examples))


_CARD_CHECKS: Mapping[str, Callable[[str, Mapping[str, Any]], Check]] = {
    "demo": _check_pronoun,
    "repeated": _check_repetition,
    "examples": _check_examples,
}
"""The check for each part of what a card says was measured."""

_MINILM = Check(
    name="minilm-pronoun",
    model="minilm",
    how=f"weight from 'it' to 'animal' in {_SENTENCE.format('tired')!r}, the head of each layer that has most",
    source="transformers 5.23 and PyTorch 2.13 in float64, output_attentions=True; ours",
    tolerance=1e-4,
    published={"0.6": 0.223982, "1.3": 0.159005, "2.5": 0.152209, "3.1": 0.639665, "4.3": 0.234408, "5.11": 0.646607},
    measure=partial(measure_link, text=_SENTENCE.format("tired"), query="it", key="animal"),
)

CHECKS: dict[str, Check] = {
    check.name: check for check in (*_check_builtin(), _MINILM, *_check_diagonals(), *_check_names(), *_check_losses())
}
"""All checks by name, those of models that come in packages first; one of your own is an entry more."""
