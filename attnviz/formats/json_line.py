"""Records as lines of JSON."""

import re
from collections.abc import Mapping
from typing import Any

_C1_CONTROL = re.compile(rb"\xc2([\x80-\x9f])")  # orjson leaves these as they are, and some terminals obey them


def json_line(record: Mapping[str, Any]) -> bytes:
    """A record, which may hold NumPy arrays, and a newline."""
    import orjson

    line = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    return _C1_CONTROL.sub(lambda match: b"\\u00%02x" % match[1][0], line)
