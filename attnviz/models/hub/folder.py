"""The files that a model's folder must hold for the model to be run."""

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PureWindowsPath

from attnviz.errors import ModelError
from attnviz.models.adapters import ADAPTER, ADAPTER_WEIGHTS
from attnviz.models.configuration import read_json
from attnviz.text import visible

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_TOKENIZER = ("tokenizer*", "vocab*", "*.model", "*.spm", "*.tiktoken")
LIKE_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.gguf", "*.onnx")
_FEW = 3
_OF_VARIANT = re.compile(r"model\.(?:safetensors\.index\.(\w+)\.json|(\w+)\.safetensors)")


def find_variant(model: str, names: Collection[str]) -> str | None:
    """Return the word in the names of a model's files that says in which variant its weights are, such as `fp16`.

    None where they are in the files without such a word, or in none.

    Raises:
        ModelError: there are several variants.
    """
    if WEIGHTS in names or INDEX in names:
        return None
    found = {matched[1] or matched[2]: name for name in sorted(names) if (matched := _OF_VARIANT.fullmatch(name))}
    if len(found) > 1:
        raise ModelError(
            f"{visible(model)} holds several variants of its weights, {some(found.values())}, and none is called "
            f"{WEIGHTS}: copy one of them to that name."
        )
    return next(iter(found), None)


def of_variant(name: str, variant: str | None) -> str:
    """Return what a file of weights is called in a variant: its word stands before the last suffix."""
    stem, _, suffix = name.rpartition(".")
    return name if variant is None else f"{stem}.{variant}.{suffix}"


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model: one, or the shards that its index names, in the order of their names.

    Raises:
        ModelError: there are none, one is missing, or the index cannot be read or names something else than files
            beside it; or there are several variants of them.
    """
    names = [path.name for path in folder.iterdir()]
    chosen = find_variant(str(folder), names)
    weights, index = (folder / of_variant(name, chosen) for name in (WEIGHTS, INDEX))
    if weights.is_file():
        return [weights]
    if weights.is_symlink():
        raise ModelError(f"{visible(str(weights))} leads to a file that is not there: download it again.")
    if not index.is_file():
        raise no_safetensors(str(folder), names)
    shards = shard_names(index)
    if missing := [shard for shard in shards if not (folder / shard).is_file()]:
        raise ModelError(
            f"{visible(str(folder))} lacks {some(missing)} of the {len(shards)} files that hold its weights: "
            "download it again."
        )
    return [folder / shard for shard in shards]


def shard_names(path: Path) -> list[str]:
    """Return the names of the safetensors files that an index says hold the weights.

    Raises:
        ModelError: the index is none, or names something else than safetensors files beside it.
    """
    where = visible(str(path))
    try:
        shards = sorted(set(read_json(path)["weight_map"].values()))
    except (ModelError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{where} does not say which files hold the weights: download it again.") from error
    if odd := [shard for shard in shards if not _is_shard(shard)]:
        raise ModelError(
            f"{where} is refused, because it names {some(map(str, odd))}, where only safetensors files beside it may "
            "stand: take the model from another source."
        )
    if not shards:
        raise ModelError(f"{where} names no files that hold the weights: download it again.")
    return shards


def _is_shard(name: object) -> bool:
    # read as on Windows, where a backslash and a colon lead out of the folder too
    return isinstance(name, str) and name.endswith(".safetensors") and PureWindowsPath(name).name == name


def check_plain(folder: Path) -> Path:
    """Return a model's folder; what is in it will be read, and a pipe or a device might never end.

    Raises:
        ModelError: it holds what is neither a file nor a folder.
    """
    if odd := [path.name for path in folder.iterdir() if path.exists() and not (path.is_file() or path.is_dir())]:
        raise ModelError(f"{visible(str(folder))} holds {some(sorted(odd))}, which is no plain file: remove it.")
    return folder


def is_complete(folder: Path, with_code: bool = False) -> bool:
    """Return whether a folder with a config holds the weights, a tokenizer and, if asked for, the model's own code."""
    try:
        weight_files(folder)
    except (ModelError, OSError):
        return False
    names = [path.name for path in folder.iterdir()]
    lacks = (with_code and _lacks_code(folder, names)) or (ADAPTER in names and ADAPTER_WEIGHTS not in names)
    return any(matches(name, _TOKENIZER) for name in names) and not lacks


def _lacks_code(folder: Path, names: Iterable[str]) -> bool:
    """Return whether a config names code of the model's own that is not there, as after a download without it."""
    return any(
        b'"auto_map"' in config.read_bytes() for config in folder.glob("*config.json") if config.is_file()
    ) and not any(name.endswith(".py") for name in names)


def no_safetensors(model: str, names: Iterable[str]) -> ModelError:
    """Return what to say of a model whose weights are in no file that we read, naming those that they are in."""
    others = sorted(name for name in names if matches(name, LIKE_WEIGHTS))
    there = f", only {some(others)}" if others else ""
    return ModelError(f"{visible(model)} has no {WEIGHTS}{there}. {what_to_do(others)}")


def what_to_do(others: Collection[str]) -> str:
    """Return what to do about weights in files of other kinds or names."""
    if any(matches(name, ("*.safetensors",)) and "/" not in name for name in others):
        return (
            f"Weights are read from the file of that name, or from those that {INDEX} names: rename the file if it "
            "holds the whole model in the format of transformers."
        )
    if any(matches(name, ("*.gguf",)) for name in others):
        return (
            "GGUF files are made for llama.cpp out of a model in safetensors files, mostly rounded to a few bits: take "
            "the model that they were made from."
        )
    return (
        "Weights are read from safetensors alone, because a pickle could run code: ask its authors for them, or "
        "convert it yourself, which runs it (transformers: AutoModel.from_pretrained(…).save_pretrained(…))."
    )


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether the name of a file fits one of these patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def some(names: Iterable[str]) -> str:
    """Return the first few names of many."""
    listed = list(names)
    return ", ".join(map(visible, listed[:_FEW])) + (f" and {len(listed) - _FEW} more" if listed[_FEW:] else "")
