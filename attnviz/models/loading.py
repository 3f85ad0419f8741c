"""Options for loading a model."""

from msgspec import Struct

from attnviz.errors import UsageError
from attnviz.vocabulary import Engine


class Loading(Struct, frozen=True, kw_only=True):
    """The options for loading a model; None leaves the choice to attnviz.

    `engine` computes the weights, on a `device` that torch knows and in a `dtype` that it knows ("auto": the best
    device there is, the checkpoint's own dtype). `revision` is a branch, tag or commit on the hub, which `offline`
    never asks. The languages are those of a multilingual translation model, in its own codes.
    """

    engine: Engine | None = None
    device: str = "auto"
    dtype: str = "float32"
    revision: str | None = None
    offline: bool = False
    trust_remote_code: bool = False
    source_language: str | None = None
    target_language: str | None = None

    @property
    def beyond_reference(self) -> bool:
        """Return whether an option asks for more than the reference engine has: it computes in float32 on the CPU."""
        return (
            self.device not in ("auto", "cpu")
            or self.dtype != "float32"
            or self.trust_remote_code
            or self.source_language is not None
            or self.target_language is not None
        )


DEFAULT = Loading()


def read_engine(name: str | None) -> Engine | None:
    """Return the engine of this name; None, which leaves the choice to attnviz, as it is.

    Raises:
        UsageError: there is no such engine.
    """
    engines = {one.value: one for one in (Engine.REFERENCE, Engine.TRANSFORMERS)}
    if name not in (None, *engines):
        raise UsageError(f"There is no engine {name!r}: choose {', '.join(engines)}, or None for the faster one.")
    return None if name is None else engines[name]
