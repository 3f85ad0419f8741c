"""attnviz: see what a transformer's attention heads look at."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from attnviz.models.base import Model

__all__ = ["__version__", "load"]
__version__ = "0.2.0"


def load(
    name: "str | PreTrainedModel" = "builtin",
    tokenizer: "PreTrainedTokenizerBase | None" = None,
    *,
    engine: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    revision: str | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
    source_language: str | None = None,
    target_language: str | None = None,
) -> "Model":
    """Return the model of this name, ready to `attend` to texts: built in, in a folder, or on the Hugging Face hub.

    A model of transformers that is in memory already may stand for the name, with its tokenizer. From then on it is in
    evaluation mode, attends eagerly, and keeps no keys and values for later runs. The options are those of the command
    line, for models that are loaded by name; `engine` is "reference", "transformers", or None for the faster one.

    Raises:
        ModelError: there is no such model, or it cannot be loaded; the message says what to do.
        UsageError: it cannot be loaded in the way that was asked for.

    Example:
        >>> load("builtin").attend("Mary lost her keys")
        [Attention(builtin/encoder, encoder, 4 layers × 6 heads, 6 queries × 6 keys)]
    """
    if not isinstance(name, str):
        from attnviz.models import pretrained

        return pretrained.adopt(name, tokenizer)
    from attnviz.models.loading import Loading
    from attnviz.models.registry import load as load_model
    from attnviz.vocabulary import Engine  # NumPy and what lies under it: not for `attnviz --help`

    loading = Loading(
        engine=None if engine is None else Engine(engine),
        device=device,
        dtype=dtype,
        revision=revision,
        offline=offline,
        trust_remote_code=trust_remote_code,
        source_language=source_language,
        target_language=target_language,
    )
    return load_model(name, loading)
