import os
from pathlib import Path

import pytest

from tests.interpreter import run_python

TASKS = Path("/proc/self/task")
SCRIPT = """
import os
from attnviz.pipeline.numerics import start_numpy
start_numpy()
import numpy
numpy.ones((512, 512)) @ numpy.ones((512, 512))
print(len(os.listdir("/proc/self/task")), os.environ.get("OPENBLAS_NUM_THREADS"))
"""


@pytest.mark.skipif(not TASKS.exists(), reason="threads are counted in /proc")
@pytest.mark.parametrize(("asked", "threads"), [(None, 1), ("2", 2)])
def test_numpy_has_one_thread_unless_the_environment_says_how_many(asked: str | None, threads: int):
    unset = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment = unset | ({"OPENBLAS_NUM_THREADS": asked} if asked else {})
    expected = [str(min(threads, len(os.sched_getaffinity(0)))), str(asked)]
    assert run_python(SCRIPT, variables=environment).split() == expected
