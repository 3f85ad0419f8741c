"""Attention explained step by step, with real numbers: one head, one query, from the token to the residual stream."""

from attnviz.lessons.comparisons import WhatIf, compare
from attnviz.lessons.lesson import Axis, Lesson, Quantity, Step, encode_lesson
from attnviz.lessons.reruns import Variant
from attnviz.lessons.walk import head_steps

__all__ = ["Axis", "Lesson", "Quantity", "Step", "Variant", "WhatIf", "compare", "encode_lesson", "head_steps"]
