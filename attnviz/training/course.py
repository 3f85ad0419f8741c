"""From a recipe to the files of a built-in model, and to what its card says."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from msgspec import Struct
from msgspec.structs import asdict, fields
from rich.progress import Progress
from safetensors.numpy import save
from tokenizers import Tokenizer

from attnviz.models.builtin import CARD, TOKENIZER, WEIGHTS
from attnviz.reference.transformer import Config
from attnviz.training.fitting import Learned, Recipe

Json = dict[str, Any]

PROSE = "CARD.md"


class Trained(Struct, frozen=True, kw_only=True):
    """The result of a training.

    `config` is the shape as the card has it, `positions` how many tokens the model reads, `texts` how many went into a
    step, `lexicon` how many lemmas these were made of, by part of speech and in `total`.
    """

    tokenizer: Tokenizer
    weights: Learned
    purpose: str
    config: Json
    positions: int
    texts: int
    lexicon: Mapping[str, int]


class Course(Struct, frozen=True, kw_only=True):
    """A course for a built-in model: its training, its measurement on texts that it has not seen, its description.

    `findings` are those of the model in a folder, as its card has them; `prose` is the card in Markdown, and
    `findings_in_words` the part of it that says what was measured.
    """

    recipe: Recipe
    learn: Callable[[Recipe, Progress], Trained]
    findings: Callable[[Path], Json]
    findings_in_words: Callable[[Json], str]
    prose: Callable[[Json], str]


def shape_of(config: Config) -> Json:
    """Return the fields of a shape that differ from the defaults, for `read_shape` to read."""
    unusual = {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) != f.default}
    return {name: value.value if isinstance(value, Enum) else value for name, value in unusual.items()} | {
        "positions": config.positions.value
    }


def train_into(folder: Path, course: Course, recipe: Recipe, progress: Progress) -> None:
    """Learns a model and writes it, with a card that has no figures yet."""
    start = time.monotonic()
    trained = course.learn(recipe, progress)
    folder.mkdir(parents=True, exist_ok=True)
    trained.tokenizer.save(str(folder / TOKENIZER), pretty=False)
    (folder / WEIGHTS).write_bytes(save(trained.weights))
    training = asdict(recipe) | {
        "texts": recipe.steps * trained.texts,
        "lemmas": trained.lexicon["total"],
        "lexicon": dict(trained.lexicon),
        "minutes": round((time.monotonic() - start) / 60, 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    card = {
        "name": f"builtin/{folder.name}",
        "purpose": trained.purpose,
        "config": trained.config,
        "positions": trained.positions,
        "parameters": sum(array.size for array in trained.weights.values()),
        "vocabulary": trained.tokenizer.get_vocab_size(),
        "training": training,
    }
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")


def complete_card(folder: Path, course: Course, found: Json) -> None:
    """Add what was found to a card, and write it in prose too."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8")) | found
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / PROSE).write_text(course.prose(card), encoding="utf-8")


def table(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """Return a table in Markdown."""
    lines = (header, ("---",) * len(header), *rows)
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
