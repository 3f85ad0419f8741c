import numpy as np
import pytest

from attnviz.errors import UsageError
from attnviz.measures import circuits
from attnviz.measures.circuits import CIRCUITS, ValueCircuit, join_words, score_copying
from attnviz.records import find_named

WORDS, WIDTH, DEPTH, HEADS = 53, 11, 3, 5
chance = np.random.default_rng(2)
EMBEDDING, UNEMBEDDING = chance.normal(size=(2, WORDS, WIDTH)).astype(np.float32)
CIRCUIT = ValueCircuit(chance.normal(size=(HEADS, WIDTH, DEPTH)), chance.normal(size=(HEADS, DEPTH, WIDTH)))


def test_copying_is_that_of_the_eigenvalues_of_the_matrix_of_all_words() -> None:
    for head, score in enumerate(score_copying(CIRCUIT, join_words(UNEMBEDDING, EMBEDDING))):
        whole = EMBEDDING @ CIRCUIT.value[head] @ CIRCUIT.output[head] @ UNEMBEDDING.T  # [words, words]
        eigenvalues = np.linalg.eigvals(whole.astype(float))
        assert score == pytest.approx(eigenvalues.sum().real / np.abs(eigenvalues).sum(), abs=1e-5)


def test_a_head_that_moves_each_word_as_it_is_copies_and_one_that_turns_it_round_does_the_opposite() -> None:
    value = np.eye(WIDTH)[None, :, :DEPTH]
    copies = ValueCircuit(np.concatenate([value, value]), np.concatenate([value.mT, -value.mT]))
    np.testing.assert_allclose(score_copying(copies, EMBEDDING.T @ EMBEDDING), [1, -1])


def test_however_little_a_head_moves_it_has_its_score() -> None:
    words = join_words(UNEMBEDDING, EMBEDDING)
    faint = ValueCircuit(CIRCUIT.value * 1e-6, CIRCUIT.output)
    np.testing.assert_allclose(score_copying(faint, words), score_copying(CIRCUIT, words))


@pytest.mark.parametrize("rows", [WORDS, 7])
def test_words_are_joined_in_pieces_and_rows_that_one_table_lacks_are_left_out(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(circuits, "_ROWS", rows)
    expected = UNEMBEDDING[:47].T.astype(float) @ EMBEDDING[:47]
    np.testing.assert_allclose(join_words(UNEMBEDDING[:47], EMBEDDING), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(join_words(UNEMBEDDING, EMBEDDING[:47]), expected, rtol=1e-4, atol=1e-4)


def test_a_head_that_moves_nothing_has_no_score() -> None:
    nothing = ValueCircuit(np.zeros((1, WIDTH, DEPTH)), np.zeros((1, DEPTH, WIDTH)))
    assert np.isnan(score_copying(nothing, np.eye(WIDTH))).all()


def test_an_unknown_number_is_refused() -> None:
    with pytest.raises(UsageError, match="choose ov_copying"):
        find_named(CIRCUITS, "copying", "number")
