"""The check of every type of model, which takes half an hour, on one type for each engine."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tools.zoo import checking
from tests.tools.zoo.checking import Verdict, check
from tests.tools.zoo.oracle import Layers


@pytest.mark.parametrize(("name", "engines"), [("llama", ["reference", "transformers"]), ("t5", ["transformers"])])
def test_a_type_of_model_is_held_to_its_own_weights_on_each_engine_that_runs_it(
    name: str, engines: list[str], tmp_path: Path
) -> None:
    found = check(name, [5], tmp_path)
    assert [finding.engine for finding in found] == engines
    assert {finding.verdict for finding in found} == {Verdict.EXACT}


def test_other_weights_than_its_own_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = checking.returned

    def turn_heads(*args: Any) -> dict[str, Layers]:
        return {
            kind: [np.roll(layer, 1, axis=0) for layer in layers if layer is not None]
            for kind, layers in own(*args).items()
        }

    monkeypatch.setattr(checking, "returned", turn_heads)
    assert {finding.verdict for finding in check("llama", [5], tmp_path)} == {Verdict.WRONG}
