"""`python -m attnviz.training encoder` trains a built-in model and writes it where the package reads it."""

import json
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.numpy import save

from attnviz.models.builtin import CARD, FOLDER, TOKENIZER, WEIGHTS, BuiltinEncoder
from attnviz.training.batches import TEXTS
from attnviz.training.card import Json, findings, findings_in_words, prose
from attnviz.training.corpus import Split, examples, lexicon_size
from attnviz.training.encoder import CONFIG, Recipe, train
from attnviz.training.evaluation import evaluate
from attnviz.training.tokenizer import learn_tokenizer

PROSE = "CARD.md"
VOCABULARY = 4096
VOCABULARY_TEXTS = 60_000
POSITIONS = 512
EVALUATED_TEXTS = 2000

app = typer.Typer(add_completion=False)


@app.callback()
def _training() -> None:
    """Train the models that come with attnviz, or measure them again."""


@app.command("encoder")
def _encoder(
    evaluate_only: Annotated[bool, typer.Option("--evaluate", help="Only measure the shipped weights again.")] = False,
    steps: Annotated[int, typer.Option(help="Steps of training.")] = Recipe.steps,
    seed: Annotated[int, typer.Option(help="What chance starts from.")] = Recipe.seed,
    folder: Annotated[Path, typer.Option(help="Where the model is written, or read.")] = FOLDER / "encoder",
) -> None:
    """The small English encoder that `attnviz show` uses."""
    if not evaluate_only:
        train_into(folder, Recipe(steps=steps, seed=seed))
    found = findings(evaluate(BuiltinEncoder(folder), EVALUATED_TEXTS))
    Console().print(Markdown(findings_in_words(found)))
    if not evaluate_only:
        _write_card(folder, json.loads((folder / CARD).read_text(encoding="utf-8")) | found)


def train_into(folder: Path, recipe: Recipe) -> None:
    """Learns the tokenizer, then the weights, and writes both with a card that has no figures yet."""
    start = time.monotonic()
    console = Console(stderr=True)
    console.print("Learning the tokenizer …")
    drawn = islice(examples(Split.TRAIN, recipe.seed), VOCABULARY_TEXTS)
    tokenizer = learn_tokenizer((example.text for example in drawn), VOCABULARY)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        weights = train(tokenizer, recipe, progress)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / TOKENIZER))
    (folder / WEIGHTS).write_bytes(save(weights))
    training = asdict(recipe) | {
        "texts": recipe.steps * TEXTS,
        "lemmas": lexicon_size()["total"],
        "lexicon": lexicon_size(),
        "minutes": round((time.monotonic() - start) / 60, 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    card = {
        "name": f"builtin/{folder.name}",
        "purpose": "A small English encoder whose heads show what attention does.",
        "config": asdict(CONFIG) | {"positions": CONFIG.positions.value},
        "positions": POSITIONS,
        "parameters": sum(array.size for array in weights.values()),
        "vocabulary": tokenizer.get_vocab_size(),
        "training": training,
    }
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")


def _write_card(folder: Path, card: Json) -> None:
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / PROSE).write_text(prose(card), encoding="utf-8")


if __name__ == "__main__":
    app()
