"""What the files of a text depend on, so that what has changed can be told from what is done."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from attnviz import __version__
from attnviz.cli.request import ModelChoice
from attnviz.cli.texts import Source

_WITHOUT_EFFECT = "texts", "file", "offline"  # on the files of a text


@dataclass(frozen=True, slots=True)
class Settings:
    """What all texts of a run have in common: the `choice` of a model, and the options that change what comes out."""

    choice: ModelChoice
    options: Mapping[str, Any]

    def hash(self, source: Source) -> str:
        """What changes if the files of a text would: its place in the input, the text itself, or anything else.

        Raises:
            ModelError: there is no such model.
        """
        model = None if source.saved else self.choice.fingerprint
        known = [__version__, model, self.options, source.index, source.saved, source.whole]
        digest = hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=16)
        digest.update(source.raw)
        return digest.hexdigest()


def chosen(*groups: Any) -> dict[str, Any]:
    """The options in these dataclasses that are not as they would be if left out, by name."""
    return {
        field.name: value
        for group in groups
        for field in fields(group)
        if field.name not in _WITHOUT_EFFECT and (value := getattr(group, field.name)) != _default(field)
    }


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
