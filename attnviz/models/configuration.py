"""config.json: what a checkpoint says of itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnviz.errors import ModelError

CONFIG = "config.json"


class UnsupportedError(ModelError):
    """A model that the reference transformer does not run, though transformers may."""


def configuration(folder: Path) -> Mapping[str, Any]:
    """Return what the config.json in a folder says.

    Raises:
        ModelError: there is none, or it is no JSON object that names the type of the model.
    """
    path = folder / CONFIG
    config = json_object(path)
    if not isinstance(config.get("model_type"), str):
        raise ModelError(f"{path} does not say what model it is: it names no model_type.")
    return config


def json_object(path: Path) -> Mapping[str, Any]:
    """Return what a file of JSON holds.

    Raises:
        ModelError: it cannot be read, or holds no JSON object.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds no JSON object.")
    return found
