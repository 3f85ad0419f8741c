"""The arrays of a model before training."""

import numpy as np
import pytest

from attnviz.reference.parameters import Parameters, Untrained


def test_untrained_arrays_have_the_shapes_of_the_trained_and_start_as_is_said() -> None:
    shapes = {"a.weight": (131, 257), "b.weight": (131, 257), "norm.weight": (13,), "norm.bias": (13,), "v": (997,)}
    trained = {name: np.full(shape, 7.0, np.float32) for name, shape in shapes.items()}
    drawn = Untrained(trained, seed=1)
    assert {name: array.shape for name, array in drawn.items()} == shapes
    assert drawn["a.weight"].std() == pytest.approx(257**-0.5, rel=0.02)
    assert drawn["v"].std() == pytest.approx(997**-0.5, rel=0.1)
    assert (drawn["norm.weight"] == 1).all() and (drawn["norm.bias"] == 0).all()
    assert not np.array_equal(drawn["a.weight"], drawn["b.weight"])
    np.testing.assert_array_equal(drawn["a.weight"], Untrained(trained, seed=1)["a.weight"])
    assert not np.array_equal(drawn["a.weight"], Untrained(trained, seed=2)["a.weight"])
    assert (list(drawn), len(drawn)) == (list(shapes), 5)
    part = Parameters(trained).within("a").untrain(1)
    np.testing.assert_array_equal(part["weight"], drawn["a.weight"])
