"""Checks each model type in a process of its own, which may take only so much time and memory."""

import contextlib
import multiprocessing
import os
import resource
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import torch
from transformers.utils import logging

from tests.tools.zoo.checking import Finding, Verdict, check

SECONDS, GIGABYTES = 120, 8
"""What each model type may take."""


def check_apart(names: Sequence[str], lengths: Sequence[int], jobs: int) -> Iterator[list[Finding]]:
    """Yield the findings of each model type, in order, so many being checked at a time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # so that no process has to import transformers again
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda name: _apart(context, name, lengths), names)


def _apart(context: ForkServerContext, name: str, lengths: Sequence[int]) -> list[Finding]:
    """The findings of a process that may take only so much time and memory."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_in_process, args=(theirs, name, lengths))
    process.start()
    theirs.close()
    try:
        if ours.poll(SECONDS):
            return ours.recv()
        return [Finding(name, Verdict.CRASHED, said=f"it takes longer than {SECONDS} s")]
    except EOFError:
        process.join()
        return [Finding(name, Verdict.CRASHED, said=f"its process ended with {process.exitcode}")]
    finally:
        process.kill()
        process.join()


def _in_process(result: Connection, name: str, lengths: Sequence[int]) -> None:
    """Sends the findings of one model type, silently."""
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    torch.set_num_threads(1)
    logging.set_verbosity(50)
    logging.disable_progress_bar()
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        tempfile.TemporaryDirectory() as folder,
    ):
        try:
            found = check(name, lengths, Path(folder))
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})"
            found = [Finding(name, Verdict.CRASHED, said=said)]
    result.send(found)
