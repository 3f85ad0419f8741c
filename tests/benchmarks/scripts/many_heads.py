"""Many texts at once: prints the seconds that it took, and by how many bytes the process grew at most after one text.

The ways are `heads` (attnviz, all numbers of all heads) and `hold` (attnviz, all weights of all texts, held together).
"""

import json
import resource
import sys
import time
from pathlib import Path

import attnviz

way, path = sys.argv[1:]
model, texts = attnviz.load("builtin"), Path(path).read_text(encoding="utf-8").splitlines()


def peak() -> int:
    """The most memory that the process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


attnviz.heads(model, texts[:40])
before, started = peak(), time.perf_counter()
kept = [model.attend(text) for text in texts] if way == "hold" else attnviz.heads(model, texts)
print(json.dumps([time.perf_counter() - started, peak() - before]))
