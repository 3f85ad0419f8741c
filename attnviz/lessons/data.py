"""A lesson as data for other programs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from attnviz.formats.writing import json_line
from attnviz.lessons import Lesson, Quantity


def lesson_json(lesson: Lesson, head: Mapping[str, Any]) -> bytes:
    """Return one line: `head`, the query, the tokens that it can look at, the steps, and every array by its name.

    A step lists the names of its arrays. An array has the names of its axes, its shape, and its values as nested lists;
    null stands for what JSON has no number for, such as the -∞ of a hidden score.
    """
    record = {
        **head,
        "query": {"token": lesson.query, "position": lesson.position, "predicts": lesson.predicts},
        "key_tokens": lesson.keys,
        "notes": lesson.notes,
        "steps": [
            {"title": step.title, "formula": step.formula, "why": step.why, "arrays": [q.name for q in step.quantities]}
            for step in lesson.steps
        ],
        "arrays": {quantity.name: _fields(quantity) for quantity in lesson.quantities()},
    }
    return json_line(record)


def _fields(quantity: Quantity) -> dict[str, Any]:
    array = np.asarray(quantity.array)
    return {
        "words": quantity.words,
        "axes": [axis.value for axis in quantity.axes],
        "shape": array.shape,
        **({"rows": quantity.rows} if quantity.rows else {}),
        "values": np.ascontiguousarray(array) if array.ndim else array[()],
    }
