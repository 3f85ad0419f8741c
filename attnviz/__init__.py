"""attnviz: see what a transformer's attention heads look at.

What the command does can be done from Python: load a model, let it attend to a text, look at the weights.

Example:
    >>> (attention,) = attnviz.load("builtin").attend("Mary lost her keys")
    >>> attention.weights.shape  # [layers, heads, queries, keys]
    (4, 6, 6, 6)

- `load` returns a `Model`, whose `attend` gives an `Attention` for each `Kind`; `Selection` and `By` say of what.
- `statistics` gives numbers for each head of records, `heads` of many texts: a `HeadTable`; `STATISTICS` says which.
- `strongest` and `telling` find the links between words; `find` the heads that link two words, over many texts.
- `compare` says what differs between two records: a `Comparison`, with a `HeadMatrix` of differences. `MEASURES` says
  what the numbers of records are.
- `save` and `read` are for files: NPZ, JSON, CSV, pages and pictures. What one text came to is a `Result`.
- `plot` draws; a notebook shows a record, a table, or what `attend` returns, by itself.

Whatever a user can cause is an `AttnvizError`, whose message says what to do.
"""

from typing import TYPE_CHECKING, Any

from attnviz.display import Bundle, draw_by
from attnviz.errors import checked

if TYPE_CHECKING:
    import os

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from attnviz.errors import AttnvizError
    from attnviz.formats.writing import Result
    from attnviz.measures.comparison import Comparison, compare
    from attnviz.measures.links import strongest, telling
    from attnviz.measures.statistics import STATISTICS
    from attnviz.models.model import Model
    from attnviz.pipeline.numbers import find, heads, statistics
    from attnviz.pipeline.saving import read, save
    from attnviz.records import MEASURES, Attention, HeadMatrix, HeadTable, Link, RelationTable, Selection
    from attnviz.text import Bins, By
    from attnviz.views.image.plotting import plot
    from attnviz.vocabulary import Kind

__all__ = [
    "MEASURES",
    "STATISTICS",
    "Attention",
    "AttnvizError",
    "Bins",
    "By",
    "Comparison",
    "HeadMatrix",
    "HeadTable",
    "Kind",
    "Link",
    "Model",
    "RelationTable",
    "Result",
    "Selection",
    "__version__",
    "compare",
    "find",
    "heads",
    "load",
    "plot",
    "read",
    "save",
    "statistics",
    "strongest",
    "telling",
]
__version__ = "0.2.0"

_HOMES = {
    "errors": ("AttnvizError",),
    "formats.writing": ("Result",),
    "measures.comparison": ("Comparison", "compare"),
    "measures.links": ("strongest", "telling"),
    "measures.statistics": ("STATISTICS",),
    "models.model": ("Model",),
    "pipeline.numbers": ("find", "heads", "statistics"),
    "pipeline.saving": ("read", "save"),
    "records": ("MEASURES", "Attention", "HeadMatrix", "HeadTable", "Link", "RelationTable", "Selection"),
    "text": ("Bins", "By"),
    "views.image.plotting": ("plot",),
    "vocabulary": ("Kind",),
}
"""The public names that other modules define, imported when they are asked for: `attnviz --help` waits for no NumPy."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Return what is public and made elsewhere."""
        from importlib import import_module

        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{home}"), name)
        raise AttributeError(f"attnviz has no {name!r}, only {', '.join(__all__)}.")


def _draw(shown: Any) -> Bundle:
    """Return what a notebook shows of a record; nothing is imported for it until one asks."""
    from attnviz.views.notebook import draw

    return draw(shown)


draw_by(_draw)


def __dir__() -> list[str]:
    """Return what is public."""
    return sorted(__all__)


@checked("name")
def load(
    name: "str | os.PathLike[str] | PreTrainedModel" = "builtin",
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
        >>> attnviz.load("builtin").attend("Mary lost her keys")
        [Attention(builtin/encoder, encoder, 4 layers × 6 heads, 6 queries × 6 keys)]
    """
    from attnviz.models.loading import Loading, read_engine
    from attnviz.models.registry import load_or_adopt

    loading = Loading(
        engine=read_engine(engine),
        device=device,
        dtype=dtype,
        revision=revision,
        offline=offline,
        trust_remote_code=trust_remote_code,
        source_language=source_language,
        target_language=target_language,
    )
    return load_or_adopt(name, tokenizer, loading)
