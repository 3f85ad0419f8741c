"""The surroundings of a command: its streams and its variables, which can be passed in to run one in-process."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Environment:
    """The streams that a command reads and writes, and what stands in for the variables of the process."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    variables: Mapping[str, str]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let everything that reads or writes meanwhile, libraries included, use these surroundings."""
        streams, variables = (sys.stdin, sys.stdout, sys.stderr), dict(os.environ)
        sys.stdin, sys.stdout, sys.stderr = self.stdin, self.stdout, self.stderr
        _set_variables(self.variables)
        try:
            yield
        finally:
            sys.stdin, sys.stdout, sys.stderr = streams
            _set_variables(variables)


def _set_variables(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
