"""What all models have in common, seen in one that computes even weights."""

from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace

from attnviz.errors import UsageError
from attnviz.models.base import Card, Part, Runner, Stack
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.records import Block, Each, Selection
from attnviz.text import By, Segment, Token, make_special_token
from attnviz.vocabulary import Kind

HEADS = 3


def words(text: str, number: int = 0, first: int = 0) -> tuple[Token, ...]:
    segment = Segment(text, number)
    return tuple(segment.token(span, position) for position, span in enumerate(segment.words, first))


class Even(Runner):
    """Reads words, and looks evenly at everything."""

    def __init__(self, card: Card) -> None:
        self.card = card

    def read(self, passage: Passage) -> Reading:
        self.card.accept(passage)
        tokens = words(passage.text)
        if passage.generate:
            whole = tokens + words("purred too", 1, len(tokens))
            passage = replace(passage, target="purred too", written=True)
            return Reading(passage=passage, ids=(), tokens=whole, written_from=len(tokens))
        if passage.target is None:
            return Reading(passage=passage, ids=(), tokens=tokens)
        target = Reading(passage=passage, ids=(), tokens=(make_special_token("<s>", 0), *words(passage.target, 1, 1)))
        return Reading(passage=passage, ids=(), tokens=tokens, target=target)

    def run(self, readings: Sequence[Reading], parts: Sequence[Part], each: Each) -> None:
        for part in parts:
            queries, keys = map(len, readings[0].axes(part.kind))
            for layer in part.layers:
                weights = np.full((len(readings), len(part.heads), queries, keys), 1 / keys, np.float32)
                each(Block.starting(part.kind, layer, part.heads, 0, weights))


def even(*kinds: Kind) -> Model:
    stacks = {kind: Stack((1, 4), HEADS) for kind in kinds}
    runner = Even(Card(name="even", purpose="", stacks=stacks, parameters=0, positions=None, config={}))
    return Model(runner.card, runner, runner)


TRANSLATOR = even(Kind.ENCODER, Kind.DECODER, Kind.CROSS)


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
    (found,) = even(Kind.DECODER).attend("the cat", generate=2)
    assert predicted(found.query_tokens) == [("the", None), ("cat", "purred"), ("purred", "too"), ("too", None)]
    assert found.words("cat")[0].keys == (1,)  # what it predicts makes it no other token as a key


def test_grouped_rows_predict_groups():
    _, decoder, _ = TRANSLATOR.attend("the cat", target="die Katze", by=By.WORD)
    assert predicted(decoder.query_tokens) == [("<s>", "die"), ("die", "Katze"), ("Katze", None)]
    (found,) = even(Kind.DECODER).attend("the cat", generate=2, by=By.SEGMENT)
    assert predicted(found.query_tokens) == [("the cat", "purred too"), ("purred too", None)]


def test_kinds_are_chosen_and_those_that_are_not_there_refused_with_those_that_are():
    (found,) = TRANSLATOR.attend("the cat", target="die", select=Selection(kinds=(Kind.CROSS,), layers=(4,)))
    assert (found.kind, found.layers) == (Kind.CROSS, (4,))
    with pytest.raises(UsageError, match="only: encoder"):
        even(Kind.ENCODER).attend("the cat", select=Selection(kinds=(Kind.DECODER,)))


@pytest.mark.parametrize(
    ("kinds", "options", "said"),
    [
        ((Kind.ENCODER,), {"target": "die"}, "no target"),
        ((Kind.DECODER,), {"target": "die"}, "no target"),
        ((Kind.ENCODER,), {"generate": 2}, "which only reads"),
        ((Kind.ENCODER, Kind.DECODER, Kind.CROSS), {"generate": 2}, "let it write one"),
        ((Kind.DECODER,), {"pair": "a dog"}, "no second text"),
    ],
)
def test_what_such_a_model_cannot_do_is_refused_with_what_it_can(kinds, options, said):
    with pytest.raises(UsageError, match=said):
        even(*kinds).attend("the cat", **options)
