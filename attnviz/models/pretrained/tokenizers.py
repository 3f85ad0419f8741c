"""The tokenizer that transformers makes of the files in a folder, and what it reads."""

from functools import partial
from pathlib import Path

import transformers
from transformers import PreTrainedTokenizerBase

from attnviz.errors import ModelError
from attnviz.models.base import Card
from attnviz.models.lengths import check_length, read_beginning
from attnviz.models.passages import Passage, Reading
from attnviz.models.pretrained.edge import quiet, translate_errors
from attnviz.models.pretrained.encoding import encode, make_vocabulary
from attnviz.models.pretrained.prompts import apply_template, find_begin_token
from attnviz.models.token_names import Vocabulary, warn_doubled


class TransformersReader:
    """A tokenizer of transformers."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    @property
    def vocabulary(self) -> Vocabulary:
        """Return its vocabulary."""
        return make_vocabulary(self._tokenizer)

    def read(self, passage: Passage, card: Card) -> Reading:
        """See `TextReader.read`; a chat is read as the text that the model's template makes of it."""
        return read_beginning(passage, card, partial(self._read, card=card))

    def _read(self, passage: Passage, card: Card) -> Reading:
        with quiet(), translate_errors("The text", f"read by {card.name}"):
            passage = apply_template(passage, self._tokenizer, card.name)
            ids, tokens, types = encode(self._tokenizer, passage.text, passage.pair, added=passage.added_tokens)
            check_length(len(ids), passage, card)
            reading = Reading(passage=passage, ids=tuple(ids), tokens=tuple(tokens), types=tuple(types))
            if passage.bos:
                reading = reading.begin_with(find_begin_token(self._tokenizer, card.name))
        return warn_doubled(reading)


def load_tokenizer(
    name: str, folder: Path, kind: str | None = None, *, local: bool = True, trust: bool = False
) -> PreTrainedTokenizerBase:
    """Return what AutoTokenizer makes of a folder, of the class `kind` where that is known.

    Args:
        name: What to call the model.
        folder: Where its files are.
        kind: The class that AutoTokenizer takes, if that is known: to take it at once needs no import of torch.
        local: Whether only files that are here may be read.
        trust: Whether code that comes with the model may run.

    Raises:
        ModelError: There is no tokenizer, or one of its files is damaged.
    """
    with translate_errors(f"The tokenizer of {name}", "loaded"):
        maker = getattr(transformers, kind or "AutoTokenizer")
        # a folder is one wherever it is named from: AutoTokenizer takes some relative paths for names on the hub
        tokenizer: PreTrainedTokenizerBase = maker.from_pretrained(
            folder.absolute(), local_files_only=local, trust_remote_code=trust
        )
    _check_vocabulary(tokenizer, folder, name)
    return tokenizer


def _check_vocabulary(tokenizer: PreTrainedTokenizerBase, folder: Path, name: str) -> None:
    """Refuse a tokenizer that was made up from nothing because its files are not there."""
    files = tokenizer.vocab_files_names.values()
    there = any((folder / file).exists() for file in ("tokenizer.json", "tekken.json", *files))
    if files and not there and not any(folder.glob("*.model")):  # of SentencePiece, which fewer classes name than read
        raise ModelError(f"{name} has no tokenizer: none of its files is there ({', '.join(sorted(set(files)))}).")
