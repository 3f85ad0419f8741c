"""The class of transformers' tokenizers that AutoTokenizer takes for a checkpoint.

To ask AutoTokenizer itself takes an import of torch, as much as all else that a short text takes together.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOKENIZER = "tokenizer.json"
AS_STORED = "TokenizersBackend"
"""The class that leaves a tokenizer.json as it is."""

_LLAMA, _QWEN2 = "LlamaTokenizer", "Qwen2Tokenizer"
_OF_MODEL = {
    "bert": "BertTokenizer",
    "electra": "BertTokenizer",
    "distilbert": "BertTokenizer",
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "camembert": "CamembertTokenizer",
    "gpt2": "GPT2Tokenizer",
    "llama": AS_STORED,
    "mistral": AS_STORED,
    "qwen2": _QWEN2,
    "qwen3": _QWEN2,
}
"""The class for each type of model, where a checkpoint names none."""

_WHATEVER_IS_NAMED = ("mistral", "qwen2")
"""The types of models that get this class even where a checkpoint names another."""

_GENERIC = ("PreTrainedTokenizerFast", AS_STORED)
_SPECIFIC = {name: name for name in (*_OF_MODEL.values(), "DistilBertTokenizer", _LLAMA) if name != AS_STORED}
_SPECIFIC["ElectraTokenizer"] = "BertTokenizer"


def find_class(folder: Path, model: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """Return the name of the class that AutoTokenizer takes, or None where only it can tell.

    Args:
        folder: Where the files are.
        model: What config.json says.
        given: What tokenizer_config.json says.
    """
    named = given.get("tokenizer_class") or model.get("tokenizer_class")
    of_model = _OF_MODEL.get(model["model_type"])
    by_other_rules = "auto_map" in given or "model_name" in model or (folder / "tekken.json").exists()
    if of_model is None or by_other_rules or not isinstance(named, str | None):
        return None
    if named is None or model["model_type"] in _WHATEVER_IS_NAMED:
        return of_model
    if named in _GENERIC:
        return AS_STORED
    found = _SPECIFIC.get(named.removesuffix("Fast"))
    return AS_STORED if found == _LLAMA and _reads_bytes(folder) else found


def _reads_bytes(folder: Path) -> bool:
    """Return whether a tokenizer.json works on bytes, as Llama 3's does, for which Llama's own class is wrong."""
    path = folder / TOKENIZER
    return path.exists() and b'"ByteLevel"' in path.read_bytes()
