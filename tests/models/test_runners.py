"""What every runner promises of the blocks that it hands over, whatever computes or holds the weights."""

from collections.abc import Callable

import numpy as np
import pytest

import attnviz
from attnviz.errors import AttnvizError
from attnviz.formats.stored import Saved, StoredArray, StoredMatrix
from attnviz.formats.writing import Result
from attnviz.models.model import Model
from attnviz.models.passages import Passage, Reading
from attnviz.models.saved import restore
from attnviz.records import Attention, Axes, Block, Selection
from attnviz.text import make_tokens
from attnviz.vocabulary import Engine, Kind

LAYERS, HEADS, TOKENS = (7, 0, 3), (5, 2), 11
"""What a record holds, in no order."""


def saved() -> tuple[Model, Reading]:
    """A model that is a record of random weights."""
    tokens = make_tokens([f"w{number}" for number in range(TOKENS)])
    axes = Axes(
        kind=Kind.ENCODER,
        layers=LAYERS,
        heads=HEADS,
        query_tokens=tokens,
        key_tokens=tokens,
        model="some model",
        engine=Engine.UNKNOWN,
        precision="float16",
        sink=True,
        notes=("made up",),
    )
    weights = np.random.default_rng(5).dirichlet(np.ones(TOKENS), axes.shape[:3]).astype(np.float32)
    return restore(Saved(Result(index=0, text="", attention=()), [StoredMatrix.on(axes, StoredArray.of(weights))]))


def made(name: str) -> tuple[Model, Reading]:
    if name == "saved":
        return saved()
    model = attnviz.load(name, engine="reference" if name == "minilm" else None)
    return model, model.read(Passage(text="the red car"))


NAMES = ["builtin/encoder", "builtin/decoder", "builtin/translator", "builtin/bahdanau", "minilm", "saved"]


@pytest.mark.parametrize("name", NAMES)
def test_layers_of_a_kind_come_in_ascending_order_and_texts_on_the_first_axis(
    name: str, layers_handed_over: Callable[..., dict[Kind, list[int]]]
) -> None:
    model, reading = made(name)
    stacks = model.card.stacks
    assert layers_handed_over(model, reading) == {kind: sorted(stack.layers) for kind, stack in stacks.items()}
    there = sorted(next(iter(stacks.values())).layers)
    backwards = Selection(layers=tuple(dict.fromkeys((there[-1], there[0]))))
    chosen = sorted({there[0], there[-1]})
    assert layers_handed_over(model, reading, backwards) == dict.fromkeys(stacks, chosen)


def test_each_text_that_is_run_together_has_its_own_weights_on_the_first_axis() -> None:
    model = attnviz.load("builtin/encoder")
    readings = [model.read(Passage(text=text)) for text in ("the red car", "a big dog", "two white cats")]
    shapes: list[tuple[int, ...]] = []
    blocks: list[Block] = []

    def see(block: Block) -> None:
        shapes.append(block.weights.shape)
        blocks.append(block)

    model.run(readings, Selection(layers=(1,), heads=(4, 2)), see)
    assert {shape[:2] for shape in shapes} == {(3, 2)}
    (block,) = blocks
    for text, reading in enumerate(readings):
        (alone,) = model.weights(reading, Selection(layers=(1,), heads=block.heads))
        np.testing.assert_allclose(block.of_text(text).weights, alone.weights[0], atol=1e-6)


class TestWhatIsSaved:
    """A model like any other, whose axes are those that were saved."""

    def whole(self) -> tuple[Model, Reading, Attention]:
        model, reading = saved()
        (record,) = model.weights(reading)
        return model, reading, record

    def test_it_says_of_itself_what_was_said_when_it_was_made(self) -> None:
        _, _, record = self.whole()
        assert (record.layers, record.heads, record.model) == (LAYERS, HEADS, "some model")
        assert (record.engine, record.precision, record.sink) == (Engine.UNKNOWN, "float16", True)
        assert record.notes == ("made up",)

    def test_layers_heads_and_rows_are_chosen_by_their_own_numbers(self) -> None:
        model, reading, whole = self.whole()
        (part,) = model.weights(reading, Selection(layers=(3, 7), heads=(2,), rows=("w2", "8")))
        np.testing.assert_array_equal(part.weights, whole.weights[[2, 0]][:, [1]][:, :, [2, 8]])
        assert [token.text for token in part.query_tokens] == ["w2", "w8"]

    def test_it_computes_nothing_else(self) -> None:
        model, reading, _ = self.whole()
        for asked in (
            lambda: model.read(Passage(text="another")),
            lambda: model.trace(reading, Kind.ENCODER, 3, 0),
            lambda: model.without(mask=True),
        ):
            with pytest.raises(AttnvizError, match=r"saved ones|only shows its weights|without its mask"):
                asked()
