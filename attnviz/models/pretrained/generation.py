"""Generation: a continuation or a translation that a model writes, always the likeliest next token."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from attnviz.errors import ModelError
from attnviz.models import tokenization
from attnviz.models.pretrained.capture import use_implementation
from attnviz.models.pretrained.encoding import make_vocabulary
from attnviz.models.pretrained.places import Inputs
from attnviz.text import Token

_HOW_TO_WRITE = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
)
"""What is kept of a model's own settings: which tokens begin and end a text, and which it must never write."""


class Writer(Struct, frozen=True):
    """A network with what it takes to choose the next word; `whole` is None where the checkpoint lacks that.

    It writes greedily, whatever else its own settings say, which stay as they are.
    """

    name: str
    whole: PreTrainedModel | None

    def write(self, inputs: Inputs, count: int, **options: Any) -> list[int]:
        """Return at most `count` ids that follow those of a decoder, or the start token of an encoder-decoder.

        Raises:
            ModelError: the checkpoint lacks what it takes.
        """
        if self.whole is None:
            raise ModelError(
                f"{self.name} cannot write: the weights that choose the next word are not in its files. "
                "Give it a text that is already written."
            )
        given = 1 if self.whole.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        options |= {"pad_token_id": self._padding(self.whole), "max_new_tokens": count, "use_cache": True}
        implementation = self.whole.get_correct_attn_implementation(None)
        with use_implementation(self.whole, implementation), _greedy(self.whole):
            ids = self.whole.generate(  # type: ignore[operator]  # mypy takes it for a parameter
                **inputs, do_sample=False, num_beams=1, **options
            )
        return [int(id_) for id_ in ids[0, given:]]

    def ends(self) -> list[int]:
        """Return the ids that end what is written."""
        ends = self.whole.generation_config.eos_token_id if self.whole else None
        return ends if isinstance(ends, list) else [] if ends is None else [ends]

    def _padding(self, whole: PreTrainedModel) -> int:
        """Return the id that pads: nothing is padded, but without an id for it the library would warn."""
        padding: int | None = whole.generation_config.pad_token_id
        return padding if padding is not None else [*self.ends(), 0][0]


@contextmanager
def _greedy(whole: PreTrainedModel) -> Iterator[None]:
    """Let a model write by nothing but the likeliest token meanwhile: the library takes what is not told from it."""
    given = whole.generation_config
    kept = {name: getattr(given, name, None) for name in _HOW_TO_WRITE}
    whole.generation_config = GenerationConfig(**kept)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        whole.generation_config = given


def tokenize_written(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], first: int) -> tuple[str, list[Token]]:
    """Return the text that a model has written, and its tokens, the first of which stands at the position `first`."""

    def decode(some: Sequence[int]) -> str:
        return str(tokenizer.decode(list(some), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    return tokenization.tokenize_written(make_vocabulary(tokenizer), decode, ids, first)
