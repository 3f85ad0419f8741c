"""The one exception family of attnviz: whatever a user can cause ends in one of these.

Each message is a sentence that says what was wrong and what to do. It is raised where the problem is known and shown
once, by the command line.
"""

HOW_TO_CUT = "Cut it into shorter texts, such as a sentence on each line (fold -s -w 1000 does it roughly)."
"""What to do about any text that is too long."""


class AttnvizError(Exception):
    """Something that a user can cause and mend; the message says both."""

    exit_code = 1


class UsageError(AttnvizError):
    """The request itself cannot be met, whatever the text: an option out of range, two that exclude each other."""

    exit_code = 2


class InputError(AttnvizError):
    """A file that cannot be read."""


class TextError(AttnvizError):
    """A text that cannot be read: empty, too long for the model, not valid Unicode."""


class ModelError(AttnvizError):
    """A model that cannot be found or loaded, or that yields no attention."""


class RecordError(AttnvizError):
    """An attention record that breaks its own promises: shapes, finite, non-negative, rows that sum to 1."""


class OutputError(AttnvizError):
    """A result that cannot be written where it was asked for."""


class ProcessError(AttnvizError):
    """A process that was started to share the work, and has ended too soon."""
