"""The choice of a tokenizer for a checkpoint: its tokenizer.json, or transformers where that would cut texts otherwise.

One text has one tokenization, the one that AutoTokenizer gives. To import transformers takes longer than all else that
a short text takes, so that tokenizer.json is read without it wherever both are known to agree.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer

from attnviz.errors import INTERRUPTS, ModelError
from attnviz.models.checkpoint.tokenizer_class import AS_STORED, TOKENIZER, find_class
from attnviz.models.checkpoint.tokenizer_pipeline import KNOWN, Settings, find_differences, read_content
from attnviz.models.configuration import read_json
from attnviz.models.tokenization import TextReader, read_tokenizer

if TYPE_CHECKING:
    from attnviz.models.pretrained.tokenizers import TransformersReader

TOKENIZER_CONFIG, SPECIAL_TOKENS, ADDED_TOKENS = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"

_NAMED = ("additional_special_tokens", "extra_special_tokens")
_ADDED = "added_tokens_decoder"
_WITHOUT_EFFECT = {
    *("add_bos_token", "add_eos_token", "backend", "chat_template", "clean_up_tokenization_spaces"),
    *("do_basic_tokenize", "errors", "full_tokenizer_file", "is_local", "local_files_only", "max_len", "max_length"),
    *("model_input_names", "model_max_length", "name_or_path", "never_split", "pad_to_multiple_of"),
    *("pad_token_type_id", "padding_side", "processor_class", "sp_model_kwargs", "spaces_between_special_tokens"),
    *("special_tokens_map_file", "split_special_tokens", "stride", "tokenizer_class", "tokenizer_file"),
    *("truncation_side", "truncation_strategy", "use_default_system_prompt", "vocab_file"),
}
"""Keys that cut no text otherwise where there is a tokenizer.json, or that are read here."""

_UNDERSTOOD = _WITHOUT_EFFECT.union([_ADDED, *_NAMED], *(known.defaults for known in KNOWN.values()))


def choose_reader(name: str, folder: Path, model: Mapping[str, Any]) -> "TextReader | TransformersReader":
    """Return what cuts texts as AutoTokenizer does: a TextReader where that is known to, else transformers' tokenizer.

    Args:
        name: What to call the checkpoint.
        folder: Where its files are.
        model: What its config.json says.

    Raises:
        ModelError: There is no tokenizer, or one of its files is damaged.
    """
    given = _read_json(folder / TOKENIZER_CONFIG)
    kind = find_class(folder, model, given)
    if kind not in KNOWN or not (folder / TOKENIZER).exists():
        return use_transformers(name, folder, kind)
    try:
        tokenizer = read_tokenizer(folder / TOKENIZER)
    except ModelError:  # though a class that takes only the vocabulary may read it
        return use_transformers(name, folder, kind)
    if next(find_reasons(folder, given, tokenizer, kind), None):
        return use_transformers(name, folder, kind)
    typed = "token_type_ids" in given["model_input_names"] if "model_input_names" in given else KNOWN[kind].typed
    return TextReader(tokenizer, literal=given.get("split_special_tokens", False), typed=typed)


def use_transformers(name: str, folder: Path, kind: str | None = None) -> "TransformersReader":
    """Return the tokenizer of transformers, of the class `kind` where that is known.

    Raises:
        ModelError: There is no tokenizer, or one of its files is damaged.
    """
    from attnviz.models.pretrained.edge import quiet

    with quiet():
        from attnviz.models.pretrained.tokenizers import TransformersReader, load_tokenizer

        return TransformersReader(load_tokenizer(name, folder, kind))


def find_reasons(folder: Path, given: Settings, tokenizer: Tokenizer, kind: str) -> Iterator[str]:
    """Yield why a class of tokenizers may cut texts otherwise than the tokenizer.json that it is made from.

    Args:
        folder: Where the files are.
        given: What tokenizer_config.json says.
        tokenizer: What tokenizer.json says.
        kind: The name of the class, which is among the KNOWN.
    """
    known = KNOWN[kind]
    legacy = {} if _ADDED in given else _read_json(folder / SPECIAL_TOKENS)
    yield from (f"{SPECIAL_TOKENS} sets {key}" for key, value in legacy.items() if not _names_tokens(key, value))
    unknown = {key for key, value in given.items() if key not in _UNDERSTOOD and not _names_tokens(key, value)}
    yield from (f"{TOKENIZER_CONFIG} sets {key}" for key in unknown)
    yield from _find_odd_values(given)
    settings = {**known.defaults, **given, **legacy}
    try:
        yield from _find_other_tokens(folder, settings, tokenizer, rebuilt=kind != AS_STORED, bare=known.bare)
        yield from (
            f"{kind} builds another {part}" for part in find_differences(tokenizer, known.builds(settings, tokenizer))
        )
    except INTERRUPTS:
        raise
    except BaseException as error:  # of what settings make no sense, transformers is to say so
        yield f"{TOKENIZER_CONFIG} is not valid: {error}"


def _read_json(path: Path) -> Mapping[str, Any]:
    return read_json(path) if path.exists() else {}


def _names_tokens(key: str, value: Any) -> bool:
    return (key.endswith("_token") and not isinstance(value, bool)) or key in _NAMED


def _find_odd_values(given: Settings) -> Iterator[str]:
    """Yield what is said with a value that it is not read with here."""
    if not isinstance(given.get("split_special_tokens", False), bool):
        yield "split_special_tokens is neither true nor false"
    if not isinstance(given.get("model_input_names", []), list):
        yield "model_input_names is no list"


def _find_other_tokens(
    folder: Path, settings: Settings, tokenizer: Tokenizer, *, rebuilt: bool, bare: bool
) -> Iterator[str]:
    """Yield why a class may know other special tokens than those that a tokenizer.json adds to its vocabulary.

    A class that is `rebuilt` knows only those that it is told, and numbers them anew where they are not in the
    vocabulary of the model.
    """
    stored = tokenizer.get_added_tokens_decoder()
    if _ADDED in settings:
        added = {int(id_): AddedToken(**token) for id_, token in settings[_ADDED].items()}
        same = {id_ for id_ in added if id_ in stored and _read_flags(added[id_]) == _read_flags(stored[id_])}
        if same != added.keys() or (rebuilt and same != stored.keys()):
            yield f"{_ADDED} has other tokens than {TOKENIZER}"
    else:
        legacy = _read_json(folder / ADDED_TOKENS)
        if any(id_ not in stored or stored[id_].content != token for token, id_ in legacy.items()):
            yield f"{ADDED_TOKENS} has other tokens than {TOKENIZER}"
        if rebuilt and any(tokenizer.model.token_to_id(token.content) is None for token in stored.values()):
            yield f"{TOKENIZER} adds tokens to its vocabulary whose numbers no other file tells"
    special = {token.content: token for token in stored.values() if token.special}
    for name in _list_special_tokens(settings, tokenizer):
        if name not in special or (bare and _read_flags(special[name]) != _read_flags(AddedToken(name, special=True))):
            yield f"{name!r} is no special token in {TOKENIZER}"


def _read_flags(token: AddedToken) -> Any:
    return token.__getstate__()


def _list_special_tokens(settings: Settings, tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the special tokens that the settings name, and the one that pads."""
    for key, value in settings.items():
        if _names_tokens(key, value):
            tokens: Collection[Any] = (value,)
            if isinstance(value, dict) and "content" not in value:
                tokens = value.values()
            elif isinstance(value, list):
                tokens = value
            yield from (read_content(token) for token in tokens if token is not None)
    if tokenizer.padding:
        yield tokenizer.padding["pad_token"]
