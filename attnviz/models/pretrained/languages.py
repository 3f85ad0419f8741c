"""The languages of multilingual translation models, marked by tokens of their own in what they read and write."""

from msgspec import Struct
from transformers import PreTrainedTokenizerBase

from attnviz.errors import Advice, UsageError
from attnviz.text import visible


class Opening(Struct, frozen=True):
    """The opening of a decoder: its start token, and the token that it has to write first, if there is one."""

    start: int
    forced: int | None = None


def find_languages(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Return the languages that a tokenizer tells apart, by their codes, with the id of the token of each."""
    if not hasattr(type(tokenizer), "src_lang"):
        return {}
    codes: dict[str, int] | None = getattr(tokenizer, "lang_code_to_id", None)
    if codes:
        return codes
    named = [token for token in tokenizer.all_special_tokens if "_" in token.strip("_<>")]
    ids: list[int] = [tokenizer.get_vocab()[token] for token in named]
    return dict(zip(named, ids, strict=True))


def set_languages(tokenizer: PreTrainedTokenizerBase, source: str | None, target: str | None, name: str) -> None:
    """Have the tokenizer mark texts as being in these languages.

    Raises:
        UsageError: the model does not know such a language, or knows none.
    """
    known = find_languages(tokenizer)
    for attribute, language in (("src_lang", source), ("tgt_lang", target)):
        if language is None:
            continue
        if not known:
            raise UsageError(f"{name} has no languages to choose from: leave {visible(language)!r} out.")
        if language not in known:
            raise UsageError(f"{name} does not know the language {visible(language)!r}, only: {_list_some(known)}.")
        setattr(tokenizer, attribute, language)


def choose_opening(tokenizer: PreTrainedTokenizerBase, start: int, name: str) -> Opening:
    """Return how a decoder begins in the language that was chosen for it; with `start` if there is no choice.

    A language whose token comes first in a target is written first (NLLB); one whose token comes last (the older
    mBART) is what the decoder starts with.

    Raises:
        UsageError: the model writes in several languages, and none was chosen.
    """
    known = find_languages(tokenizer)
    if not known:
        return Opening(start)
    language: str | None = getattr(tokenizer, "tgt_lang", None)
    if language is None:
        advice = Advice(f"{name} writes in several languages:", hint="choose one with {target_language}")
        raise UsageError(advice + f" ({_list_some(known)}).")
    token = known[language]
    comes_first = tokenizer(text_target="a")["input_ids"][0] == token
    return Opening(start, forced=token) if comes_first else Opening(token)


def _list_some(languages: dict[str, int], most: int = 12) -> str:
    return ", ".join([*languages][:most]) + (", …" if len(languages) > most else "")
