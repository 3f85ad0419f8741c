"""tokenizer_config.json: what transformers makes of a tokenizer.json beyond what that says itself."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.models.configuration import UnsupportedError, json_object

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_OF_NO_FAMILY = "PreTrainedTokenizerFast", "TokenizersBackend"  # what transformers calls such a tokenizer
_BERT = {"do_lower_case": ("lowercase", True), "strip_accents": ("strip_accents", None)} | {
    "tokenize_chinese_chars": ("handle_chinese_chars", True)
}
"""Keys of BERT's tokenizers, each with what tokenizer.json calls it and with what it is where it is absent."""


class TokenizerConfig:
    """The tokenizer_config.json of a folder, if there is one.

    Raises:
        ModelError: the file is no JSON object.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "tokenizer_config.json"
        self._config = json_object(self._path) if self._path.exists() else {}

    def gives_types(self, *, otherwise: bool) -> bool:
        """Whether the tokenizer gives token types along with ids, as its config has it, or else its class."""
        untyped = () if self._config.get("tokenizer_class") in _OF_NO_FAMILY else None
        names = self._config.get("model_input_names", untyped)
        return "token_type_ids" in names if isinstance(names, list | tuple) else otherwise

    def check_overrules(self, tokenizer: "Tokenizer") -> None:
        """Leaves to transformers a tokenizer.json that it would change, since texts would be cut in another way.

        Raises:
            UnsupportedError: it would.
        """
        changed = next(_overruled(self._config, tokenizer), None)
        if changed is not None:
            raise UnsupportedError(
                f"The reference engine reads tokenizer.json, which {changed} in {self._path} overrules."
            )


def _overruled(config: Mapping[str, Any], tokenizer: "Tokenizer") -> Iterator[str]:
    """The keys whose values are not what the tokenizer itself has."""
    if config and config.get("tokenizer_class") not in _OF_NO_FAMILY:
        for key, (name, default) in _BERT.items():
            if hasattr(tokenizer.normalizer, name) and getattr(tokenizer.normalizer, name) != config.get(key, default):
                yield key
    if (adds := _adds_prefix_space(tokenizer)) is not None and config.get("add_prefix_space") not in (None, adds):
        yield "add_prefix_space"
    added = config.get("added_tokens_decoder")
    contents = [token.get("content") for token in added.values()] if isinstance(added, dict) else []
    if any(isinstance(content, str) and tokenizer.token_to_id(content) is None for content in contents):
        yield "added_tokens_decoder"


def _adds_prefix_space(tokenizer: "Tokenizer") -> bool | None:
    """Whether a byte-level tokenizer puts a blank before a text; None for others."""
    whole = tokenizer.pre_tokenizer
    parts = list(whole) if type(whole).__name__ == "Sequence" else [whole]
    return next((part.add_prefix_space for part in parts if hasattr(part, "add_prefix_space")), None)
