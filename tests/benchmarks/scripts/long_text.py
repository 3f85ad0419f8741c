"""One run of a model on a long text: prints how many seconds it took and the most memory of the process, in bytes.

The ways are `plain` (transformers with its fused attention, no weights), `eager` (transformers with all weights),
`grouped` (attnviz, all heads between 256 bins), `head` (attnviz, one head of layer 5, between as many) and `numbers`
(attnviz, all statistics of all heads).
"""

import json
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attnviz.records import Selection
from attnviz.text import Bins

_BINS = Bins(256)
_FEW = 7  # the model is run on so many tokens first, so that all of it is in memory


def _transformers(folder: Path, implementation: str, *, weights: bool) -> Callable[[str], Any]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModel.from_pretrained(folder, attn_implementation=implementation).eval()

    def run(text: str) -> Any:
        with torch.inference_mode():
            return network(**tokenizer(text, return_tensors="pt"), use_cache=False, output_attentions=weights)

    return run


def _attnviz(folder: Path, select: Selection) -> Callable[[str], Any]:
    import attnviz

    model = attnviz.load(str(folder), engine="transformers")
    return lambda text: model.attend(text, select=select, by=_BINS)


def _numbers(folder: Path) -> Callable[[str], Any]:
    import attnviz

    model = attnviz.load(str(folder), engine="transformers")
    return lambda text: attnviz.heads(model, text)


_WAYS: dict[str, Callable[[Path], Callable[[str], Any]]] = {
    "plain": lambda folder: _transformers(folder, "sdpa", weights=False),
    "eager": lambda folder: _transformers(folder, "eager", weights=True),
    "grouped": lambda folder: _attnviz(folder, Selection()),
    "head": lambda folder: _attnviz(folder, Selection(layers=(5,), heads=(3,))),
    "numbers": _numbers,
}


def _text(tokens: int) -> str:
    """So many words, the same ones every time."""
    chance = random.Random(0)
    return " ".join(f"w{chance.randrange(96)}" for _ in range(tokens))


way, folder, tokens = sys.argv[1:]
run = _WAYS[way](Path(folder))
run(_text(_FEW))
text = _text(int(tokens))
started = time.perf_counter()
run(text)
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([seconds, peak]))
