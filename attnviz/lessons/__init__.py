"""Attention explained step by step, with real numbers: one head, one query, from the token to the residual stream."""

from attnviz.lessons.comparisons import Variant, WhatIf, comparisons
from attnviz.lessons.lesson import Axis, Lesson, Quantity, Step, lesson_json
from attnviz.lessons.walk import head_steps

__all__ = ["Axis", "Lesson", "Quantity", "Step", "Variant", "WhatIf", "comparisons", "head_steps", "lesson_json"]
