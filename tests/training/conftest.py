"""Training in a few seconds."""

import pytest

from attnviz.training.encoder import batches as encoder
from attnviz.training.translation import batches as translation


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes batches of 7 texts, and draws two of them at a time and not sixteen."""
    monkeypatch.setattr(encoder, "TEXTS", 7)
    monkeypatch.setattr(translation, "PAIRS", 7)
    for module in encoder, translation:
        monkeypatch.setattr(module, "_POOL", 2)
