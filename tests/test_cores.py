"""How many cores and threads are used: as the environment says, in whatever OpenMP allows, else those that may be."""

import os

import pytest

from attnviz.cores import count_cores, count_threads


@pytest.mark.parametrize(("said", "threads"), [("3", 3), ("5,2", 5), (" 7 ", 7)])
def test_there_are_as_many_threads_as_openmp_has_outermost(
    monkeypatch: pytest.MonkeyPatch, said: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert count_threads() == threads


@pytest.mark.parametrize("said", [None, "", "-1", "0", "many", ",2"])
def test_where_that_says_nothing_there_is_one_for_each_core_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 4, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.delenv("OMP_NUM_THREADS") if said is None else monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert count_threads() == count_cores() == 3


def test_where_a_system_does_not_tell_them_apart_all_cores_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert count_cores() == 64
