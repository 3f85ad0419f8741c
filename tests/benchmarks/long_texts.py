"""Long texts: a random model of the shape of a small Llama, and what it takes to look at what it reads."""

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import Command, Run

LAYERS, HEADS = 12, 12
SHAPE = f"{LAYERS} layers, {HEADS} heads, 4 key/value heads, width 768, feed-forward 2,048"

_CONFIG = {
    "vocab_size": 97,
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2**15,
}


_ALL_CORES = {"OMP_DYNAMIC": "FALSE", "MKL_DYNAMIC": "FALSE"}
"""Otherwise a run may get fewer threads for being started when the machine is busy."""


@dataclass(frozen=True, slots=True)
class Looking(Command):
    """A look at a text of so many tokens, in a process that says itself how long it took, without its start.

    The most memory is that of the whole process.
    """

    def run(self) -> Run:
        """Runs it in a process of its own.

        Raises:
            subprocess.CalledProcessError: it failed; why is on standard error.
        """
        command, environment = [sys.executable, *self.arguments], os.environ | _ALL_CORES
        said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
        seconds, peak = json.loads(said)
        return Run(seconds, peak)


def looking(way: str, folder: Path, tokens: int) -> Looking:
    """A way to run the model in a folder on a text; the ways are those of `scripts/long_text.py`."""
    return Looking(_NAMES[way], ("-m", "tests.benchmarks.scripts.long_text", way, str(folder), str(tokens)))


_NAMES = {
    "plain": "transformers, no weights",
    "eager": "transformers, output_attentions",
    "grouped": f"attnviz, {LAYERS * HEADS} heads in 256 bins",
    "head": "attnviz, one head of layer 5",
    "numbers": f"attnviz, all numbers of {LAYERS * HEADS} heads",
}


def write_model(folder: Path) -> Path:
    """Writes the model, with a tokenizer that makes a token of each word."""
    if not (folder / "config.json").exists():
        with ProcessPoolExecutor(1) as apart:  # on Linux a process begins with the peak memory of its parent
            apart.submit(_write, folder).result()
    return folder


def _write(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    LlamaModel(LlamaConfig(**_CONFIG)).save_pretrained(folder)
    words = ["?", *(f"w{number}" for number in range(_CONFIG["vocab_size"] - 1))]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?").save_pretrained(folder)
