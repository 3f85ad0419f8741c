"""What the general rules of shrinking do not know: settings of single model types, `part.name` being nested ones."""

from typing import Any

CHANGES: dict[str, dict[str, Any]] = {}
