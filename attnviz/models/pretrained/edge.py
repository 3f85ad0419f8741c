"""The edge between transformers and this house: its noise is kept quiet, and its errors are put into our words."""

import json
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnviz.errors import INTERRUPTS, Advice, AttnvizError, ModelError
from attnviz.models.hub import quiet_environment
from attnviz.text import visible

SILENT = 50
"""The level of logging that lets through only what is critical."""

_LONGEST = 300
"""Messages of libraries are cut to this many characters."""

NO_MEMORY = Advice("the memory is too small for it.", hint="Try {dtype:bfloat16}, a shorter text or a smaller model.")

TRUST = "If you trust its authors, pass {trust_remote_code:True}."
"""The hint on a model that comes with Python code."""

_PACKAGES = ("sentencepiece", "tiktoken", "protobuf", "sacremoses", "fugashi", "jieba", "bitsandbytes", "einops")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from logging and warning meanwhile; errors still come through."""
    quiet_environment()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else tokenizers warn when the process is forked
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging

        level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        if level != SILENT:  # to set it makes every logger ask anew
            logging.set_verbosity(SILENT)
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            if level != SILENT:
                logging.set_verbosity(level)
            if bars:
                logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def translate_errors(name: str, doing: str, kind: type[AttnvizError] = ModelError) -> Iterator[None]:
    """Turn any error raised meanwhile into one sentence of ours: that the model could not be `doing`, and why.

    Raises:
        AttnvizError: an error of this `kind` in place of one from a library.
    """
    try:
        yield
    except (AttnvizError, *INTERRUPTS):
        raise
    except BaseException as error:
        raise kind(f"{name} could not be {doing}: " + explain(error)) from error


def explain(error: BaseException) -> str:
    """Return what an error of a library means, as the end of a sentence."""
    said = str(error)
    if isinstance(error, MemoryError) or "out of memory" in said.lower() or "can't allocate memory" in said:
        return NO_MEMORY
    missing = [package for package in _PACKAGES if re.search(rf"\b{package}\b", said, re.IGNORECASE)]
    if isinstance(error, ImportError) or (missing and "install" in said):
        package = missing[0] if missing else getattr(error, "name", None)
        return f"it needs the package {package} (pip install {package})." if package else _first_line(said)
    if "trust_remote_code" in said:
        return Advice("it needs Python code that comes with it.", TRUST)
    if "is not valid UTF-8" in said and said.startswith("Path "):
        return "the name of its folder, or of one above it, is not valid UTF-8. Rename that folder."
    if type(error).__name__ == "SafetensorError":
        return f"its safetensors file is damaged or cut short ({_first_line(said)}). Download it again."
    if isinstance(error, FileNotFoundError):
        return f"the file {visible(Path(error.filename or said).name)} is not there. Download it again."
    if "size mismatch" in said or "ignore_mismatched_sizes" in said:
        return "its weights have other shapes than its config.json says. Are both files of the same model?"
    if "does not recognize this architecture" in said or "Unrecognized model" in said:
        return "its config.json names no type of model that this version of transformers knows."
    if isinstance(error, json.JSONDecodeError) or "not a valid JSON" in said:
        return f"one of its files is not valid JSON ({_first_line(said)})."
    return f"{type(error).__name__}: {_first_line(said)}"


def _first_line(said: str) -> str:
    line = next((line.strip() for line in said.splitlines() if line.strip()), "it gives no reason.")
    return visible(line if len(line) <= _LONGEST else line[:_LONGEST] + "…")
