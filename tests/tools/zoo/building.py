"""Builds a small random model of any type that transformers knows, and a tokenizer for it, in a folder."""

import inspect
import math
import random
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

from tests.tools.zoo.overrides import CHANGES
from tests.tools.zoo.shrinking import VOCABULARY, shrink

MOST_PARAMETERS = 30_000_000
GAINS = (
    ("xpath", 0.05),  # of which there are many, the same for each token of plain text
    ("embed", 1.0),
    (
        r"(^|[._])(q|k|kv|qkv|query|key|wqkv|wq|wk|c_attn|query_key_value|in_proj)([._]|$)|[qk]v?_(a_|b_)?(proj|lin)|qkv",
        1.8,
    ),
)
"""How large the outputs of a matrix are, for inputs of size 1, by the first pattern that its name has; else 0.7."""

_NORMS_OF_HEADS = re.compile(r"(^|[._])(q|k|qk|query|key)_?(layer_?)?norm", re.IGNORECASE)

LETTERS = string.ascii_letters + string.digits
_SPECIAL = "[PAD]", "[UNK]", "[CLS]", "[SEP]"

KINDS = ("SEQ_TO_SEQ_CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MASKED_LM", "CAUSAL_LM", "MULTIMODAL_LM", "TEXT_ENCODING")
MAPPINGS = [f"MODEL_FOR_{kind}_MAPPING_NAMES" for kind in KINDS]
MAPPINGS += ["MODEL_MAPPING_NAMES", "MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES"]
"""The tables of classes in which a model type is looked up, the first one first."""


class UnbuildableError(Exception):
    """No small model of a type can be made; the message says why."""


@dataclass(frozen=True)
class Built:
    """A model in a folder: its class, whether it is an encoder-decoder, and letters that are ordinary tokens to it."""

    folder: Path
    model: type[Any]
    translates: bool
    letters: str

    def text(self, tokens: int) -> str:
        """Return a text of so many tokens, which are in no regular order."""
        return "".join(random.Random(tokens).choices(self.letters, k=tokens))


def text_types() -> list[str]:
    """The model types that have a class that reads tokens."""
    return [name for name in CONFIG_MAPPING_NAMES if any(map(_reads_tokens, _classes(name)))]


def build(name: str, folder: Path) -> Built:
    """Build a model of this type, or of one of its classes, as in `t5:T5EncoderModel`.

    Raises:
        UnbuildableError: none of its classes can be made small.
    """
    faults = []
    name, _, wanted = name.partition(":")
    for model in [getattr(transformers, wanted)] if wanted else filter(_reads_tokens, _classes(name)):
        try:
            network = _network(model, small_config(name))
        except Exception as error:
            faults.append(f"{model.__name__}: {type(error).__name__}: {error}")
            continue
        _name_start(network)
        network.save_pretrained(folder)
        _save_tokenizer(folder)
        return Built(folder, model, network.config.is_encoder_decoder, _letters(network.config.to_dict()))
    raise UnbuildableError(faults[0] if faults else "it has no class that reads tokens")


def small_config(name: str) -> Any:
    """The small config of a model type."""
    config = CONFIG_MAPPING[name]
    values = shrink(config().to_dict())
    for path, value in CHANGES.get(name, {}).items():
        *parts, last = path.split(".")
        place = values
        for part in parts:
            place = place[part]
        place[last] = value
    values.pop("model_type", None)
    return config(**values)


def _network(model: type[Any], config: Any) -> Any:
    """A random network, if it is small."""
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in model(config).parameters())
    if size > MOST_PARAMETERS:
        raise UnbuildableError(f"{size:,} parameters are too many")
    torch.manual_seed(7)
    network = model(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.is_floating_point():
                _randomize(name, parameter)
    return network


def _name_start(network: Any) -> None:
    """Says what token a decoder begins with, where the default config of its type does not."""
    config = network.config
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        start = getattr(config, "bos_token_id", None)
        config.decoder_start_token_id = 0 if start is None else start


def _randomize(name: str, parameter: torch.Tensor) -> None:
    """Gives a parameter such values that tokens stay apart and heads look at some keys much more than at others."""
    if not parameter.numel():
        return
    if parameter.ndim < 2:  # norms, biases
        parameter.mul_(2 if _NORMS_OF_HEADS.search(name) else 1)
        parameter.add_(torch.randn_like(parameter), alpha=1 if re.search("sink|temp$", name) else 0.1)
        return
    gain = next((gain for pattern, gain in GAINS if re.search(pattern, name, re.IGNORECASE)), 0.7)
    parameter.normal_(std=gain / math.sqrt(1 if "embed" in name else min(parameter.shape[-2:])))


def _classes(name: str) -> Iterator[type[Any]]:
    seen = set()
    for mapping in MAPPINGS:
        found = getattr(modeling_auto, mapping).get(name, ())
        for model in (found,) if isinstance(found, str) else found:
            if model not in seen and hasattr(transformers, model):
                seen.add(model)
                yield getattr(transformers, model)


def _reads_tokens(model: type[Any]) -> bool:
    try:
        return "input_ids" in inspect.signature(model.forward).parameters
    except ImportError:  # it needs a package that is not here
        return False


def _save_tokenizer(folder: Path) -> None:
    """Saves a tokenizer that has a token for each letter, whatever class of tokenizers a model type asks for."""
    names = [*_SPECIAL, *LETTERS]
    names += [f"[{index}]" for index in range(len(names), VOCABULARY)]
    tokenizer = Tokenizer(models.BPE({name: index for index, name in enumerate(names)}, [], unk_token=_SPECIAL[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    pad, unknown, start, end = _SPECIAL
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, unk_token=unknown, cls_token=start, sep_token=end, eos_token=end
    ).save_pretrained(folder)


def _letters(config: Mapping[str, Any]) -> str:
    """The letters that are ordinary tokens to a model."""
    special = set(_ids(config))
    return "".join(letter for index, letter in enumerate(LETTERS, len(_SPECIAL)) if index not in special)


def _ids(config: Mapping[str, Any]) -> Iterator[int]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _ids(value)
        elif isinstance(key, int):  # as in a table of labels
            continue
        elif "token" in key or key.endswith(("_id", "_index", "_idx")):
            yield from (each for each in (value if isinstance(value, list | tuple) else [value]) if type(each) is int)
