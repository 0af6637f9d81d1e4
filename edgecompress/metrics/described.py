"""What was given, in a few words: for messages about a user's own code."""

from __future__ import annotations

from typing import Any

from edgecompress.errors import a_kind


def described(value: Any) -> str:
    """An array's or a tensor's type and shape, what a list is of, or the type of something else.

    >>> import numpy as np

    >>> described(np.zeros((2, 3))), described((np.zeros(2), np.zeros(1, int))), described(None)
    ('float64 (2, 3)', 'float64 (2,) and int64 (1,)', 'None')
    """
    if isinstance(value, tuple) and all(hasattr(part, "shape") for part in value):
        return " and ".join(map(described, value))
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} {tuple(value.shape)}"
    if isinstance(value, list) and value:
        return f"a list of {len(value)}, the first {described(value[0])}"
    return a_kind(value)
