import numpy as np
import pytest

from attnviz.errors import UsageError
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


def test_a_head_that_moves_nothing_has_no_score() -> None:
    nothing = ValueCircuit(np.zeros((1, WIDTH, DEPTH)), np.zeros((1, DEPTH, WIDTH)))
    assert np.isnan(score_copying(nothing, np.eye(WIDTH))).all()


def test_an_unknown_number_is_refused() -> None:
    with pytest.raises(UsageError, match="choose ov_copying"):
        find_named(CIRCUITS, "copying", "number")
