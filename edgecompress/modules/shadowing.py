"""A folder without code that is imported in the place of an installed module, as it lies where Python looks first."""

from __future__ import annotations

import re
import sys

MISSING = re.compile(r"module '([\w.]+)' has no attribute|cannot import name '\w+' from '([\w.]+)'")


def shadowing_folder(error: BaseException) -> str | None:
    """The path of the folder that an error comes from; None where it comes from something else.

    Args:
        error: what was raised where an attribute of a module was missing.
    """
    found = MISSING.search(str(error))
    module = sys.modules.get(found[1] or found[2]) if found else None
    if module is None or getattr(module, "__file__", None) is not None:
        return None
    return next(iter(getattr(module, "__path__", ())), None)
