"""Adapters of the peft library: what was trained beside a model, and is of no use without it."""

from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from attnviz.errors import ModelError
from attnviz.models.configuration import read_json
from attnviz.text import visible

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
WITHOUT_ADAPTER = f"To see the model without it, move {ADAPTER} elsewhere."
_LORA = "LORA"


class Adapter(Struct, frozen=True):
    """The contents of an adapter_config.json: the kind of adapter, and the model it was trained for, None if unnamed.

    Raises:
        ModelError: the file is no JSON object.
    """

    kind: str
    base: str | None

    @classmethod
    def read(cls, path: Path) -> "Adapter":
        """Return what the file says."""
        written = read_json(path)
        base = written.get("base_model_name_or_path")
        return cls(str(written.get("peft_type")), base if isinstance(base, str) and base else None)

    def alone(self, model: str) -> ModelError:
        """Return what to say of a folder, or a model on the hub, that holds nothing but the adapter."""
        of = f"of {visible(self.base)}" if self.base else "of a model that it does not name"
        return ModelError(
            f"{visible(model)} holds only an adapter ({visible(self.kind)}) {of}, and no model: put {ADAPTER} and "
            f"{ADAPTER_WEIGHTS} into a folder with that model's files, and give that folder."
        )


def check_adapter(name: str, folder: Path) -> bool:
    """Return whether an adapter stands beside the model in a folder, which is then one that can be merged into it.

    Raises:
        ModelError: it cannot; the message says why, and what to do.
    """
    if not (folder / ADAPTER).is_file():
        return False
    adapter, files = Adapter.read(folder / ADAPTER), {path.name for path in folder.iterdir()}
    if adapter.kind != _LORA:
        raise ModelError(
            f"{name} has an adapter of the kind {visible(adapter.kind)} beside it, and only {_LORA} can be merged into "
            f"a model. {WITHOUT_ADAPTER}"
        )
    if ADAPTER_WEIGHTS not in files:
        pickled = ", only a pickle, which could run code" if "adapter_model.bin" in files else ""
        raise ModelError(f"{name} has an {ADAPTER} beside it, and no {ADAPTER_WEIGHTS}{pickled}. {WITHOUT_ADAPTER}")
    if find_spec("peft") is None:
        raise ModelError(
            f"{name} has a {_LORA} adapter beside it, which takes the package peft: pip install 'attnviz[peft]'. "
            + WITHOUT_ADAPTER
        )
    return True
