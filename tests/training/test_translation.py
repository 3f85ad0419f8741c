from itertools import islice, pairwise

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from rich.progress import Progress
from tokenizers import Tokenizer

from attnviz.models import builtin
from attnviz.models.builtin.encoder_decoder import END, START
from attnviz.models.passages import Passage
from attnviz.records import Attention
from attnviz.reference.parameters import Parameters
from attnviz.text import Segment, make_special_token
from attnviz.training.corpus import Split
from attnviz.training.corpus.french import Alignment, Pair, pairs
from attnviz.training.fitting import Recipe
from attnviz.training.tokenizer import learn_writing_tokenizer
from attnviz.training.translation import recurrent, transformer
from attnviz.training.translation.batches import IGNORED, alike, batches, encoded, padded
from attnviz.training.translation.evaluation import translated
from attnviz.training.translation.learning import Design
from attnviz.training.translation.roles import CONTENT, FUNCTION, READ, RoleTally
from attnviz.vocabulary import Kind
from tests.build import looking_at, record

DESIGNS = pytest.mark.parametrize("design", [transformer.DESIGN, recurrent.DESIGN], ids=["transformer", "recurrent"])
CAR = Pair(
    "the red car",
    "la voiture rouge",
    (
        Alignment((0, 3), (0, 2), False),
        Alignment((8, 11), (3, 10), True),
        Alignment((4, 7), (11, 16), True),
    ),
)


def drawn(count: int) -> list[Pair]:
    return list(islice(pairs(Split.TRAIN, 5), count))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return learn_writing_tokenizer((text for pair in drawn(500) for text in (pair.english, pair.french)), 600)


def test_the_decoder_reads_from_its_start_what_it_is_to_say_up_to_the_end(tokenizer):
    texts = drawn(7)
    batch = padded(*encoded(texts, tokenizer))
    for pair, source, length, read, wanted in zip(
        texts, batch.sources, batch.lengths, batch.targets, batch.wanted, strict=True
    ):
        assert tokenizer.decode(source[: length - 1].tolist()).strip() == pair.english.lower()
        assert source[length - 1] == END
        said = wanted[wanted != IGNORED].tolist()
        assert tokenizer.decode(said[:-1]).strip() == pair.french.lower()
        assert said.index(END) == len(said) - 1
        assert read[: len(said)].tolist() == [START, *said[:-1]]


def test_pairs_of_like_length_stand_together_and_none_is_lost():
    texts = drawn(101)
    groups = list(alike(texts, 10))
    assert [len(group) for group in groups] == [10] * 10 + [1]
    assert sorted(map(str, texts)) == sorted(str(pair) for group in groups for pair in group)
    lengths = [[len(pair.french) for pair in group] for group in groups]
    assert all(max(one) <= min(after) for one, after in pairwise(lengths))


@pytest.mark.usefixtures("small_batches")
def test_batches_come_again_from_the_same_seed(tokenizer):
    one, two = (next(batches(pairs(Split.TRAIN, 1), tokenizer, seed)) for seed in (1, 1))
    assert_array_equal(one.sources, two.sources)
    assert_array_equal(one.wanted, two.wanted)


@DESIGNS
@pytest.mark.usefixtures("small_batches")
def test_training_from_the_same_seed_gives_the_same_weights(design: Design, tokenizer):
    quiet = Progress(disable=True)
    one, two, other = (design.train(tokenizer, Recipe(steps=2, seed=seed), quiet) for seed in (1, 1, 2))
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


@DESIGNS
@pytest.mark.usefixtures("small_batches")
def test_every_array_learns(design: Design, tokenizer):
    before = design.initial_weights(tokenizer.get_vocab_size())
    batch = next(batches(pairs(Split.TRAIN, 1), tokenizer, 1))
    (loss,) = design.losses(batch, Parameters(before)).values()
    loss.backward()
    assert [name for name, array in before.items() if array.grad is None or not array.grad.any()] == []


@pytest.mark.parametrize("name", ["translator", "bahdanau"])
def test_many_texts_at_a_time_are_translated_as_each_is_alone(name: str):
    model = builtin.load(builtin.FOLDER / name)
    texts = [*drawn(11), CAR]
    for pair, written in translated(model.reader, texts):
        assert written == model.read(Passage(text=pair.english)).passage.target


def attention(kind: Kind, source: str, target: str, strongest: list[int]) -> Attention:
    """One head whose rows each give 0.8 to one key; the rest goes evenly to all."""
    keys, queries = Segment(source), Segment(target, 1)
    key_tokens = (*(keys.token(span, i) for i, span in enumerate(keys.words)), make_special_token("[END]", 3))
    query_tokens = (
        make_special_token("[START]", 0),
        *(queries.token(span, i) for i, span in enumerate(queries.words, 1)),
    )
    shown = key_tokens if kind.crosses else query_tokens
    return record(kind, queries=query_tokens, keys=shown, weights=looking_at(strongest, len(shown)))


@pytest.mark.parametrize(
    ("strongest", "content", "function", "read", "end"),
    [
        ([0, 2, 1, 3], 1, 1, 0, 1 / 4),  # each row looks at what it is about to translate
        ([0, 1, 2, 1], 0, 1, 1, 0),  # each row looks at what it has just translated
        ([3, 2, 3, 3], 1 / 2, 0, 0, 3 / 4),
    ],
)
def test_rows_are_held_to_the_word_that_they_translate(strongest, content, function, read, end):
    tally = RoleTally()
    tally.add(CAR, [attention(Kind.CROSS, CAR.english, CAR.french, strongest)])
    shares = {role: share.item() for role, share in tally.shares()[Kind.CROSS].items()}
    assert shares == pytest.approx({CONTENT: content, FUNCTION: function, READ: read, "[END]": end})
    assert tally.chances(Kind.CROSS, CONTENT) == 2


def test_a_word_has_the_weight_of_all_its_pieces():
    source, target = Segment("red cars"), Segment("autos", 1)
    keys = tuple(source.token(span, i) for i, span in enumerate([(0, 3), (4, 6), (6, 8)]))  # red, ca, rs
    queries = make_special_token("[START]", 0), target.token((0, 5), 1)
    translated = record(queries=queries, keys=keys, weights=[[0.4, 0.3, 0.3], [0.4, 0.3, 0.3]])
    tally = RoleTally()
    tally.add(Pair("red cars", "autos", (Alignment((4, 8), (0, 5), True),)), [translated])
    assert tally.shares()[Kind.CROSS][CONTENT].item() == 1


def test_the_places_that_self_attention_looks_at_are_counted():
    tally = RoleTally()
    tally.add(CAR, [attention(Kind.DECODER, CAR.english, CAR.french, [0, 0, 2, 2])])
    shares = {role: share.item() for role, share in tally.shares()[Kind.DECODER].items()}
    assert shares["previous token"] == pytest.approx(2 / 3)
    assert shares["same token"] == pytest.approx(1 / 3)
    assert_allclose(shares["[START]"], 1 / 3)
