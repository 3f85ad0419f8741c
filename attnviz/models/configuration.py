"""config.json: what a checkpoint says of itself, how its values are spelled, and what they must be."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from attnviz.errors import ModelError, refused

CONFIG = "config.json"
_LARGEST = 10**8  # no size of a model is larger; keeps a damaged config from filling the memory


_LONGEST = 10**8
"""How many bytes a file of JSON may have."""


class UnsupportedError(ModelError):
    """A model that the reference transformer does not run, though transformers may."""


def read_config(folder: Path) -> Mapping[str, Any]:
    """Return what the config.json in a folder says.

    Raises:
        ModelError: there is none, or it is no JSON object that names the type of the model.
    """
    path = folder / CONFIG
    config = read_json(path)
    if not isinstance(config.get("model_type"), str):
        raise ModelError(f"{path} does not say what model it is: it names no model_type.")
    return config


def read_json(path: Path) -> Mapping[str, Any]:
    """Return what a file of JSON holds.

    Raises:
        ModelError: it cannot be read, or holds no JSON object.
    """
    try:
        with refused(path, "read", ModelError):
            if path.exists() and not (path.is_file() and path.stat().st_size <= _LONGEST):
                raise ModelError(f"{path} is not a file of at most {_LONGEST:,} bytes, as it would be if it held JSON.")
            found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds no JSON object.")
    return found


class Key(Struct, frozen=True):
    """A value of config.json under one of its `names`, of the type of its `default`.

    Where it is `nullable`, it may be null, which is None; a default of None stands for a whole number.
    """

    default: int | float | str | None
    names: tuple[str, ...]
    nullable: bool = False

    def of(self, config: Mapping[str, Any]) -> Any:
        """Return the value.

        Raises:
            ValueError: it is of another type, or out of all reason; the message names the key.
            UnsupportedError: two of the names are there, with different values.
        """
        given = {name: config[name] for name in self.names if name in config}
        if not given:
            return self.default
        (name, value), *others = given.items()
        if not self._fits(value):
            raise ValueError(f"{name} is {value!r}")
        if any(other != value for _, other in others):
            raise UnsupportedError(f"The reference engine cannot tell which of {' and '.join(given)} holds.")
        return value

    def _fits(self, value: Any) -> bool:
        if value is None:
            return self.nullable
        if isinstance(self.default, str):
            return isinstance(value, str)
        if isinstance(value, bool):
            return isinstance(self.default, bool)
        if isinstance(self.default, float):
            return isinstance(value, int | float) and math.isfinite(value) and value > 0
        return isinstance(value, int) and 0 <= value <= _LARGEST


def key(default: int | float | str | None, *names: str, nullable: bool = False) -> Key:
    """Return the value of this default that config.json has under one of these names."""
    return Key(default, names, nullable)


def find_table(config: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return the first of these tables that is there and not empty.

    Raises:
        ValueError: one is no table.
    """
    given = {name: found for name in names if (found := config.get(name))}
    for name, found in given.items():
        if not isinstance(found, Mapping):
            raise ValueError(f"{name} is {found!r}")
    for found in list(given.values())[1:]:
        dict(found)  # read, and passed over as transformers does
    return next(iter(given.values()), {})
