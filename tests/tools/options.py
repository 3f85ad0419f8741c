"""Writes the page of every command's options, from their own help: `python -m tests.tools.options > PAGE.md`."""

import io
import os

from attnviz.cli.app import COMMANDS, Environment, main

_HEAD = """# Every option

This is what `attnviz --help` and the help of each command say. `python -m tests.tools.options` makes this page,
and a test fails where it differs from them.
"""


def page() -> str:
    """Return the page, in Markdown."""
    return "\n".join((_HEAD, _part("attnviz"), *(_part(f"attnviz {command}", command) for command in COMMANDS)))


def _part(title: str, *command: str) -> str:
    return f"## {title}\n\n```text\n{_help(*command)}```\n"


def _help(*command: str) -> str:
    """Return the help of a command as a terminal of 80 columns shows it."""
    out, environment = io.StringIO(), {**os.environ, "COLUMNS": "80", "LC_ALL": "C.UTF-8"}
    environment.pop("ATTNVIZ_MODEL", None)
    assert main([*command, "--help"], Environment(io.StringIO(), out, io.StringIO(), environment)) == 0
    return out.getvalue()


if __name__ == "__main__":
    print(page(), end="")
