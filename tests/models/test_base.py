"""What all models have in common, seen in one that computes even weights."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from attnviz.errors import UsageError
from attnviz.measures.reducers import Block
from attnviz.models.base import Card, Each, Model, Stack
from attnviz.models.reading import Passage, Reading
from attnviz.records import Selection
from attnviz.text import By, Segment, Token, special_token
from attnviz.vocabulary import Kind

HEADS = 3


def words(text: str, number: int = 0, first: int = 0) -> tuple[Token, ...]:
    segment = Segment(text, number)
    return tuple(segment.token(span, position) for position, span in enumerate(segment.words, first))


class Even(Model):
    """Looks evenly at everything; its tokens are words."""

    def __init__(self, *kinds: Kind) -> None:
        stacks = {kind: Stack((1, 4), HEADS) for kind in kinds}
        self.card = Card(name="even", purpose="", stacks=stacks, parameters=0, positions=None, config={})

    def read(self, passage: Passage) -> Reading:
        self.accept(passage)
        tokens = words(passage.text)
        if passage.generate:
            whole = tokens + words("purred too", 1, len(tokens))
            passage = replace(passage, target="purred too", written=True)
            return Reading(passage=passage, ids=(), tokens=whole, written_from=len(tokens))
        if passage.target is None:
            return Reading(passage=passage, ids=(), tokens=tokens)
        target = Reading(passage=passage, ids=(), tokens=(special_token("<s>", 0), *words(passage.target, 1, 1)))
        return Reading(passage=passage, ids=(), tokens=tokens, target=target)

    def run(self, readings: Sequence[Reading], select: Selection, each: Each) -> None:
        import numpy as np

        for text, reading in enumerate(readings):
            for kind, wanted in self.wanted(select).items():
                queries, keys = map(len, reading.axes(kind))
                for layer in wanted.layers:
                    weights = np.full((len(wanted.heads), queries, keys), 1 / keys, np.float32)
                    each(Block.starting(kind, layer, wanted.heads, 0, weights, text))


TRANSLATOR = Even(Kind.ENCODER, Kind.DECODER, Kind.CROSS)


def predicted(tokens: tuple[Token, ...]) -> list[tuple[str, str | None]]:
    return [(token.text, token.predicts) for token in tokens]


def test_an_encoder_decoder_gives_one_record_a_kind_each_between_its_own_tokens():
    encoder, decoder, cross = TRANSLATOR.attend("the cat sat", target="die Katze")
    source, target = ["the", "cat", "sat"], ["<s>", "die", "Katze"]
    for found, kind, queries, keys in (
        (encoder, Kind.ENCODER, source, source),
        (decoder, Kind.DECODER, target, target),
        (cross, Kind.CROSS, target, source),
    ):
        assert found.kind is kind
        assert found.layers == (1, 4)
        assert [token.text for token in found.query_tokens] == queries
        assert [token.text for token in found.key_tokens] == keys


def test_a_row_of_a_target_predicts_the_token_after_it_and_the_last_one_nothing_that_is_known():
    encoder, decoder, cross = TRANSLATOR.attend("the cat", target="die Katze")
    for found in (decoder, cross):
        assert predicted(found.query_tokens) == [("<s>", "die"), ("die", "Katze"), ("Katze", None)]
    assert not any(token.predicts for token in encoder.query_tokens)


def test_a_continuation_is_predicted_from_the_last_token_of_the_prompt_on():
    (found,) = Even(Kind.DECODER).attend("the cat", generate=2)
    assert predicted(found.query_tokens) == [("the", None), ("cat", "purred"), ("purred", "too"), ("too", None)]
    assert found.words("cat")[0].keys == (1,)  # what it predicts makes it no other token as a key


def test_grouped_rows_predict_groups():
    _, decoder, _ = TRANSLATOR.attend("the cat", target="die Katze", by=By.WORD)
    assert predicted(decoder.query_tokens) == [("<s>", "die"), ("die", "Katze"), ("Katze", None)]
    (found,) = Even(Kind.DECODER).attend("the cat", generate=2, by=By.SEGMENT)
    assert predicted(found.query_tokens) == [("the cat", "purred too"), ("purred too", None)]


def test_kinds_are_chosen_and_those_that_are_not_there_refused_with_those_that_are():
    (found,) = TRANSLATOR.attend("the cat", target="die", select=Selection(kinds=(Kind.CROSS,), layers=(4,)))
    assert (found.kind, found.layers) == (Kind.CROSS, (4,))
    with pytest.raises(UsageError, match="only: encoder"):
        Even(Kind.ENCODER).attend("the cat", select=Selection(kinds=(Kind.DECODER,)))


@pytest.mark.parametrize(
    ("kinds", "options", "said"),
    [
        ((Kind.ENCODER,), {"target": "die"}, "no target"),
        ((Kind.DECODER,), {"target": "die"}, "no target"),
        ((Kind.ENCODER,), {"generate": 2}, "only reads"),
        ((Kind.ENCODER, Kind.DECODER, Kind.CROSS), {"generate": 2}, "leave the target to it"),
        ((Kind.DECODER,), {"pair": "a dog"}, "no second text"),
    ],
)
def test_what_such_a_model_cannot_do_is_refused_with_what_it_can(kinds, options, said):
    with pytest.raises(UsageError, match=said):
        Even(*kinds).attend("the cat", **options)
