"""Code that needs an interpreter of its own: what it imports, what it prints, how often it is run."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_python(code: str, *arguments: str | Path, variables: Mapping[str, str] | None = None) -> str:
    """Run code in a fresh interpreter that succeeds, and return what it prints; `variables` replace the environment."""
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def modules_after(code: str) -> set[str]:
    """Return the names of the modules that a fresh interpreter has imported after this code."""
    return set(run_python(f"{code}\nimport sys\nprint(*sys.modules)").splitlines()[-1].split())
