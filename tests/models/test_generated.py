import numpy as np
import pytest

import attnviz
from attnviz.errors import UsageError
from attnviz.measures.probes import Probe, Probed
from attnviz.models.generated import Frame, draw_ids, find_frame, repeat_ids
from attnviz.pipeline.generating import Generated
from attnviz.records import Selection
from attnviz.vocabulary import Kind
from tests.models.exact import DUPLICATE, INDUCTION, PREVIOUS, exact_model


def test_of_a_model_whose_induction_is_exact_each_probe_is_1_for_its_head_and_small_for_others() -> None:
    names = "previous_token", "duplicate_token", "induction", "prefix_matching"
    (table,) = Generated(probes=names, tokens=23).tables(exact_model())
    for name, its in zip(names, (PREVIOUS, DUPLICATE, INDUCTION, INDUCTION), strict=True):
        highest = table.highest(name, None)
        assert highest[0][:2] == its
        assert highest[0][2] == pytest.approx(0.5 if name == "prefix_matching" else 1, abs=1e-5)
        assert highest[1][2] < 0.1
    assert {place: label.name for place, label in table.labels.items()} == {INDUCTION: "induction"}


def test_whole_diagonals_of_given_ids_can_be_taken_as_published_figures_do() -> None:
    model, ids = exact_model(), [*range(7)]
    whole = Probe("the whole diagonal", "a test", 2, lambda said: said.diagonal(1 - said.tokens))
    reading = repeat_ids(model, ids, 2, Frame((), ()))
    wanted = {"whole": whole}
    ((table,),) = model.reduce([reading], Selection(), lambda axes: Probed(axes, wanted, 7))
    (attention,) = model.weights(reading)
    expected = np.diagonal(attention.weights, -6, -2, -1).mean(-1)  # 8 entries, of which 7 are a token and its next
    np.testing.assert_allclose(table["whole"], expected, atol=1e-6)
    assert table["whole"][INDUCTION] == pytest.approx(7 / 8, abs=1e-5)


@pytest.mark.parametrize("name", ["builtin/decoder", "builtin/encoder", "builtin/translator"])
def test_drawn_ids_differ_are_not_special_and_come_again_for_the_same_seed(name: str) -> None:
    model = attnviz.load(name)
    ids = draw_ids(model, 25, 7)
    assert ids == draw_ids(model, 25, 7) != draw_ids(model, 25, 8)
    assert len(set(ids)) == 25 and not set(ids) & set(model.reader.vocabulary().special)


def test_a_generated_text_stands_between_the_special_tokens_of_its_model() -> None:
    names = {}
    for name in ("builtin/decoder", "builtin/encoder"):
        model = attnviz.load(name)
        reading = repeat_ids(model, draw_ids(model, 3, 0), 2, find_frame(model))
        names[name] = [token.text for token in reading.tokens if token.special]
        assert [token.position for token in reading.tokens] == [*range(len(reading.ids))]
        assert reading.ids == tuple(token.id for token in reading.tokens)
    assert names == {"builtin/decoder": ["[START]"], "builtin/encoder": ["[CLS]", "[SEP]"]}


def test_a_model_that_reads_too_little_is_refused_with_how_many_tokens_it_takes() -> None:
    with pytest.raises(UsageError, match="reads at most 90 tokens; 25 tokens said 4 times are 100: give `tokens=22`"):
        Generated(probes=("prefix_matching",)).tables(exact_model(90))


def test_a_vocabulary_that_is_too_small_is_refused() -> None:
    with pytest.raises(UsageError, match="has 101 tokens"):
        Generated(probes=("induction",), tokens=102).tables(exact_model())


def test_only_the_chosen_kinds_layers_and_heads_have_numbers() -> None:
    select = Selection(layers=(1,), heads=(0,))
    (table,) = Generated(probes=("induction",)).tables(exact_model(), select)
    assert (table.layers, table.heads) == ((1,), (0,))
    tables = Generated(probes=("induction",)).tables(attnviz.load("builtin/translator"))
    assert [table.kind for table in tables] == [Kind.ENCODER, Kind.DECODER]


def test_copying_of_a_built_in_model_is_that_of_its_matrix_of_all_words() -> None:
    model = attnviz.load("builtin/decoder")
    (table,) = Generated(circuits=("ov_copying",)).tables(model, Selection(layers=(1,), heads=(2,)))
    arrays = model.runner.parameters  # type: ignore[attr-defined]
    embedding, attention = arrays["embedding.weight"].astype(float), arrays.within("layers.1.attention")
    depth = len(attention["value.weight"]) // 4
    value = attention["value.weight"][2 * depth : 3 * depth].T  # [width, d]
    output = attention["output.weight"][:, 2 * depth : 3 * depth].T  # [d, width]
    some = 1 / len(embedding) ** 0.5 * embedding
    left, right = some @ value @ output, arrays["next.weight"].T @ some.T  # [words, width], [width, words]
    eigenvalues = np.linalg.eigvals(right @ left)  # those of left @ right, which is [words, words], but for zeros
    assert table["ov_copying"].item() == pytest.approx(eigenvalues.sum().real / np.abs(eigenvalues).sum(), abs=1e-5)
    assert eigenvalues.sum().real == pytest.approx(np.einsum("vw,wv->", left, right))
