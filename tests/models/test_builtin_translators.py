import dataclasses
import json
from itertools import islice

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from numpy.testing import assert_allclose, assert_array_equal

from attnviz.errors import TextError, UsageError
from attnviz.models import builtin
from attnviz.models.builtin.encoder_decoder import END, START
from attnviz.models.model import Model
from attnviz.models.passages import Passage
from attnviz.records import Attention, Block, Selection
from attnviz.reference.parameters import Parameters
from attnviz.training.corpus import Split
from attnviz.training.corpus.french import Pair, pairs
from attnviz.training.translation.evaluation import right, translated
from attnviz.vocabulary import Kind

NAMES = ("translator", "bahdanau")
MEASURED = 150  # held-out pairs; the card has more


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Model:
    return builtin.load(builtin.FOLDER / request.param)


@pytest.fixture(scope="module")
def translator() -> Model:
    return builtin.load(builtin.FOLDER / "translator")


@pytest.fixture(scope="module")
def bahdanau() -> Model:
    return builtin.load(builtin.FOLDER / "bahdanau")


@pytest.fixture(scope="module")
def held_out() -> list[Pair]:
    return list(islice(pairs(Split.TEST, 7), MEASURED))


def written(model: Model, text: str) -> Passage:
    return model.read(Passage(text=text)).passage


def cross(model: Model, text: str, target: str | None = None) -> Attention:
    (attention,) = model.attend(text, target=target, select=Selection(kinds=(Kind.CROSS,)))
    return attention


def card(model: Model) -> dict:
    folder = builtin.find_folders()[model.card.name]
    return json.loads((folder / builtin.CARD).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("the red car", "la voiture rouge"),
        ("The red car.", "la voiture rouge."),
        ("a big house", "une grande maison"),
        ("two small dogs", "deux petits chiens"),
        ("The car is red.", "la voiture est rouge."),
        ("the white cat", "le chat blanc"),
        ("The red cars are big.", "les voitures rouges sont grandes."),
    ],
)
def test_adjectives_change_places_and_agree(model, english, french):
    passage = written(model, english)
    assert passage.target == french
    assert passage.written
    assert passage.ended


def test_what_it_says_of_itself_is_what_it_should_be(model):
    found = card(model)["measured"]
    assert found["texts"] >= 1000
    assert found["exact"] >= 0.95
    assert found["aligning_head"]["share"] >= 0.90
    assert card(model)["training"]["lemmas"] >= 500


def test_held_out_sentences_are_translated_to_the_letter(model, held_out):
    french = dict(translated(model.reader, held_out))
    assert np.mean([right(*each) for each in french.items()]) >= 0.93  # the card has 0.95 on more of them
    for pair in held_out[:20]:
        assert written(model, pair.english).target == french[pair]


def aligned(pair: Pair, attention: Attention, layer: int, head: int) -> list[bool]:
    """At each content word, whether the row that predicts its first piece looks most at the word that it translates."""
    weights, found = attention.head(layer, head), []
    for alignment in pair.alignment:
        if not alignment.content:
            continue
        spans = [token.span for token in attention.query_tokens]
        row = next(i for i, span in enumerate(spans) if span and span[0] == alignment.target[0]) - 1
        totals: dict[object, float] = {}
        for token, weight in zip(attention.key_tokens, weights[row], strict=True):
            word = "end" if token.special else token.word
            totals[word] = totals.get(word, 0) + float(weight)
        starts = {token.span[0]: token.word for token in attention.key_tokens if token.span and token.word is not None}
        found.append(max(totals, key=totals.__getitem__) == starts[alignment.source[0]])
    return found


def test_its_aligning_head_looks_at_the_word_that_it_translates(model, held_out):
    head = card(model)["measured"]["aligning_head"]
    found = [
        hit
        for pair in held_out
        for hit in aligned(pair, cross(model, pair.english, pair.french), head["layer"], head["head"])
    ]
    assert len(found) > 200
    assert np.mean(found) >= 0.88  # the card has 0.90 on more of them


def test_all_of_its_files_take_at_most_two_megabytes(model):
    folder = builtin.find_folders()[model.card.name]
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 2_000_000


def test_parameters_are_as_many_as_the_card_says(model):
    assert model.card.parameters == sum(array.size for array in model.runner.parameters.arrays.values())


def test_the_translator_attends_in_three_kinds(translator):
    records = translator.attend("the red car", target="la voiture rouge")
    assert [record.kind for record in records] == [Kind.ENCODER, Kind.DECODER, Kind.CROSS]
    encoder, decoder, crossing = records
    assert [token.text for token in encoder.query_tokens] == ["the", "red", "car", "[END]"]
    assert [token.text for token in decoder.query_tokens] == ["[START]", "la", "voiture", "rouge"]
    assert decoder.key_tokens == decoder.query_tokens == crossing.query_tokens
    assert crossing.key_tokens == encoder.key_tokens


def test_the_decoder_sees_nothing_that_comes_after(translator):
    _, decoder, _ = translator.attend("the red car", target="la voiture rouge")
    assert_array_equal(np.triu(decoder.weights, 1), 0)
    assert (np.tril(decoder.weights)[..., -1, :] > 0).all()


def test_the_recurrent_network_has_one_layer_and_one_head_and_looks_across_only(bahdanau):
    (record,) = bahdanau.attend("the red car", target="la voiture rouge")
    assert record.kind is Kind.CROSS
    assert (record.layers, record.heads) == ((0,), (0,))
    assert [token.text for token in record.query_tokens] == ["[START]", "la", "voiture", "rouge"]
    assert [token.text for token in record.key_tokens] == ["the", "red", "car", "[END]"]


def test_each_row_predicts_the_token_after_it_and_sums_to_1(model):
    attention = cross(model, "The white cat sees a dog.", "Le chat blanc voit un chien.")
    shown = [token.text for token in attention.query_tokens]
    assert [token.predicts for token in attention.query_tokens] == [*shown[1:], None]
    assert_allclose(attention.weights.sum(-1), 1, atol=1e-5)


def test_the_decoder_reads_a_start_and_a_given_target_without_an_end(model):
    reading = model.read(Passage(text="the red car", target="la voiture"))
    assert reading.ids[-1] == END
    assert reading.tokens[-1].special
    assert reading.target.ids[0] == START
    assert END not in reading.target.ids
    assert [token.position for token in reading.target.tokens] == list(range(len(reading.target.ids)))
    assert (reading.passage.text, reading.passage.target) == ("the red car", "la voiture")
    assert not reading.passage.written


def test_what_it_writes_is_the_likeliest_next_piece_again_and_again(model):
    reading = model.read(Passage(text="The white cat sees a dog."))
    encoded = model.reader.network.encode(np.asarray(reading.ids), model.runner.parameters)
    ids = [START]
    while ids[-1] != END:
        ids.append(int(np.argmax(model.reader.network.decode(np.asarray(ids), encoded, model.runner.parameters)[-1])))
    assert [*reading.target.ids, END] == ids
    assert reading.passage.target == model.reader.package.text.tokenizer.decode(ids[1:-1]).strip()


def test_what_it_writes_is_read_the_same_when_it_is_given(model):
    text = "The white cat sees a dog."
    one, again = model.read(Passage(text=text)), model.read(Passage(text=text, target=written(model, text).target))
    assert one.target.ids == again.target.ids
    assert one.target.tokens == again.target.tokens


def test_it_stops_where_there_may_be_no_more_and_says_so(model):
    passage = model.read(Passage(text="The white cat sees a dog.", max_new_tokens=3)).passage
    assert not passage.ended
    assert passage.target == "le chat blanc"


def test_letter_case_changes_nothing_but_what_is_displayed(model):
    lower, upper = (cross(model, text, "la voiture") for text in ("the red car", "The RED car"))
    assert_array_equal(lower.weights, upper.weights)
    assert [token.text for token in upper.key_tokens] == ["The", "RED", "car", "[END]"]


@pytest.mark.parametrize("text", ["🦊", "中文", "naïve façade", "[END] of [START]", "a\u200db", "x" * 99])
def test_any_text_is_read_and_something_is_written(model, text):
    attention = cross(model, text)
    assert [token.special for token in attention.key_tokens][-1]
    assert sum(token.special for token in attention.key_tokens) == 1
    assert_allclose(attention.weights.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": "one", "pair": "two"}, "only translates one text: leave `pair`"),
        ({"text": "one", "generate": 3}, "`generate` out"),
    ],
)
def test_a_second_text_or_a_continuation_is_refused(model, given, said):
    with pytest.raises(UsageError, match=said):
        model.read(Passage(**given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": ""}, "empty"),
        ({"text": "a", "target": ""}, "target"),
        ({"text": "the " * 256}, "257 tokens"),
        ({"text": "the", "target": "le " * 256}, "target is 257 tokens"),
    ],
)
def test_what_is_empty_or_too_long_is_refused(model, given, said):
    with pytest.raises(TextError, match=said):
        model.read(Passage(**given))


def test_a_selection_is_a_part_of_the_whole(translator):
    whole = {record.kind: record for record in translator.attend("the red car", target="la voiture")}
    select = Selection(kinds=(Kind.CROSS,), layers=(0,), heads=(1, 0))
    (part,) = translator.attend("the red car", target="la voiture", select=select)
    assert_array_equal(part.weights, whole[Kind.CROSS].weights[:1][:, [1, 0]])


@pytest.mark.parametrize(
    ("kind", "unneeded"),
    [
        (Kind.ENCODER, ("encoder.layers.1.", "decoder.")),
        (Kind.DECODER, ("decoder.layers.1.",)),
        (Kind.CROSS, ("decoder.layers.1.",)),
    ],
)
def test_nothing_beyond_the_last_layer_that_is_wanted_runs(translator, kind, unneeded):
    reading, seen = translator.read(Passage(text="the red car", target="la voiture")), []
    needed = {
        name: array for name, array in translator.runner.parameters.arrays.items() if not name.startswith(unneeded)
    }
    shallow = replace(translator, runner=dataclasses.replace(translator.runner, parameters=Parameters(needed)))
    select = Selection(kinds=(kind,), layers=(0,))
    shallow.run([reading], select, lambda block: seen.append((block.kind, block.layer)))
    assert seen == [(kind, 0)]


def test_numpy_and_torch_give_the_same_weights(model):
    reading = model.read(Passage(text="The white cat sees a dog."))
    parameters = Parameters({name: torch.from_numpy(array) for name, array in model.runner.parameters.arrays.items()})
    seen: list[torch.Tensor] = []

    def record(block: Block) -> None:
        if block.kind is Kind.CROSS:
            seen.append(block.weights)

    encoded = model.reader.network.encode(torch.tensor(reading.ids), parameters)
    target = torch.tensor(reading.target.ids)
    model.reader.network.decode(target, encoded, parameters, watch=record)
    attention = cross(model, "The white cat sees a dog.")
    assert_allclose(attention.weights, torch.stack(seen).numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", Kind)
def test_what_the_translator_shows_of_a_query_leads_to_its_row_of_weights(translator, kind):
    layer, query = 1, 2
    reading = translator.read(Passage(text="The white cat sees a dog.", target="le chat blanc voit"))
    (record,) = translator.weights(reading, Selection(kinds=(kind,)))
    trace = translator.trace(reading, kind, layer, query)
    asked, offered = (trace.query, trace.keys) if kind.crosses else (trace.turned_query, trace.turned_keys)
    scores = np.einsum("hd,hkd->hk", asked, offered) * trace.scale
    exponentials = np.exp(scores) * (1 if trace.allowed is None else trace.allowed)
    row = exponentials / exponentials.sum(-1, keepdims=True)
    assert_allclose(record.weights[layer, :, query], row, atol=1e-5)
    assert_allclose(trace.mixed, np.einsum("hk,hkd->hd", row, trace.values), rtol=1e-3, atol=1e-4)


def test_what_the_recurrent_network_shows_of_a_query_leads_to_its_row_of_weights(bahdanau):
    reading = bahdanau.read(Passage(text="The white cat sees a dog.", target="le chat blanc voit"))
    (record,) = bahdanau.weights(reading)
    trace = bahdanau.trace(reading, Kind.CROSS, 0, 2)
    asked = trace.query[0] @ trace.score_parameters["query.weight"].T
    offered = trace.keys[0] @ trace.score_parameters["key.weight"].T
    exponentials = np.exp(np.tanh(asked + offered) @ trace.score_parameters["v"])
    assert trace.score == "additive"
    assert_allclose(record.weights[0, 0, 2], exponentials / exponentials.sum(), atol=1e-5)
    assert_allclose(trace.mixed[0], record.weights[0, 0, 2] @ trace.values[0], atol=1e-5)


def test_without_positions_the_order_of_the_source_changes_nothing_for_the_encoder(translator):
    plain = translator.without(positions=True)
    reading, order = translator.read(Passage(text="the red car", target="la voiture")), [2, 0, 3, 1]
    select = Selection(kinds=(Kind.ENCODER,))
    (there,), (moved,) = plain.weights(reading, select), plain.weights(reading.take(order), select)
    assert_allclose(moved.weights, there.weights[:, :, order][..., order], atol=1e-5)
    (placed,) = translator.weights(reading.take(order), select)
    assert abs(placed.weights - translator.weights(reading, select)[0].weights[:, :, order][..., order]).max() > 0.01
