"""Attention explained step by step, with real numbers: one head, one query, from the token to the residual stream."""

from attnviz.reference.lesson.comparisons import Rerun, Variant, WhatIf, comparisons
from attnviz.reference.lesson.head import head_steps
from attnviz.reference.lesson.steps import Axis, Lesson, Quantity, Step

__all__ = ["Axis", "Lesson", "Quantity", "Rerun", "Step", "Variant", "WhatIf", "comparisons", "head_steps"]
