"""Prompts as a model's own files prescribe them: its chat template, and the token that begins texts."""

import json
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from transformers import PreTrainedTokenizerBase

from attnviz.errors import ModelError, TextError, UsageError
from attnviz.models.passages import Passage, no_begin_token
from attnviz.models.pretrained.encoding import make_vocabulary
from attnviz.text import Token, check_text, visible

Message = dict[str, Any]

_LONGEST = 300  # characters of what an error says


def apply_template(passage: Passage, tokenizer: PreTrainedTokenizerBase, name: str) -> Passage:
    """Return the passage; a chat as the text that the model's template makes of it, with no tokens to be added.

    Raises:
        UsageError: the model has no template.
        TextError: its messages are malformed, or the template refuses them.
        ModelError: the template is malformed.
    """
    if not passage.chat:
        return passage
    return replace(passage, text=_render(tokenizer, read_messages(passage.text), name), added_tokens=False)


def read_messages(text: str) -> list[Message]:
    """Return the messages that a text holds as a JSON list, or the one that it is.

    Raises:
        TextError: the text is empty, or a list of what are no messages.
    """
    try:
        found = json.loads(check_text(text))
    except (ValueError, RecursionError):  # a text may well begin with a bracket
        found = None
    if not (isinstance(found, list) and found and all(isinstance(message, dict) for message in found)):
        return [{"role": "user", "content": text}]
    for number, message in enumerate(found, 1):
        for key in ("role", "content"):
            if not isinstance(message.get(key), str):
                raise TextError(
                    f'Message {number} of the chat has no text as its "{key}": give a JSON list of '
                    '{"role": "user", "content": "…"}.'
                )
    return found


def _render(tokenizer: PreTrainedTokenizerBase, said: Sequence[Message], name: str) -> str:
    from jinja2 import TemplateSyntaxError

    if not getattr(tokenizer, "chat_template", None):
        raise UsageError(
            f"{name} has no chat template:",
            hint="leave {chat} out, or type the text as the model was trained to read it.",
        )
    try:
        text = tokenizer.apply_chat_template(list(said), tokenize=False, add_generation_prompt=True)
    except TemplateSyntaxError as error:
        raise ModelError(f"The chat template of {name} is malformed: {_shorten_error(error)}.") from error
    except Exception as error:  # a template is a program: it may refuse messages, fail, or do what it must not
        raise TextError(
            f"The chat template of {name} does not take these messages: {_shorten_error(error)}."
        ) from error
    return str(text)


def _shorten_error(error: Exception) -> str:
    """Return what an error says, in one line."""
    return visible(str(error).strip().partition("\n")[0][:_LONGEST].rstrip(".") or type(error).__name__)


def find_begin_token(tokenizer: PreTrainedTokenizerBase, name: str) -> Token:
    """Return the token that begins a text.

    Raises:
        UsageError: the model has none.
    """
    if tokenizer.bos_token_id is None:
        raise no_begin_token(name)
    return make_vocabulary(tokenizer).added(tokenizer.bos_token_id, 0)
