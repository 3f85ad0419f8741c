"""Published figures, and what was measured of them, as data for other programs: a record a figure."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from attnviz.formats.tables import DELIMITERS, delimit
from attnviz.formats.writing import json_line
from attnviz.records import Verified


def list_fields(found: Verified) -> Iterator[dict[str, Any]]:
    """Yield the fields of each figure of a check, or of the check itself where nothing could be measured.

    Its `figure`, `published`, `measured` and `difference` are None then, as is what is undefined, and `reason` says
    why. Otherwise that is None.
    """
    claim = found.claim
    check = {"check": claim.name, "model": found.model}
    about = {"tolerance": claim.tolerance, "source": claim.source}
    if found.reason:
        numbers: dict[str, Any] = dict.fromkeys(("figure", "published", "measured", "difference"))
        yield {**check, **numbers, "verdict": found.verdict.value, **about, "reason": found.reason}
    for figure in found.figures:
        undefined = math.isnan(figure.measured)
        yield {
            **check,
            "figure": figure.name,
            "published": figure.published,
            "measured": None if undefined else figure.measured,
            "difference": None if undefined else figure.difference,
            "verdict": figure.verdict.value,
            **about,
            "reason": None,
        }


FIGURES: Mapping[str, Callable[[Iterable[Mapping[str, Any]]], bytes]] = {
    "json": lambda rows: b"".join(map(json_line, rows)),
    **{form: partial(delimit, delimiter=delimiter) for form, delimiter in DELIMITERS.items()},
}
"""The formats of figures, by name: functions of the fields of each."""
