"""`python -m attnviz` is `attnviz`."""

from attnviz.cli.app import run

run()
