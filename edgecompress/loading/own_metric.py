"""A metric of the user's own, in each form that one may have, as a :class:`Measure`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from edgecompress.errors import USER_CODE_FAILS, RecipeError, a_kind, first_line
from edgecompress.metrics.metric import Measure, Metric, traits
from edgecompress.metrics.running import Averaged
from edgecompress.registry import takes

METHODS = ("update", "compute", "reset")
FORMS = "give an object with update(outputs, targets), compute() and reset(), or a function (outputs, targets) -> float"


def own_measure(found: Any, name: str) -> Measure:
    """The measure of an object, its class, a function without arguments that gives it, or a function of a batch.

    An object is copied for each network that is measured, also one that a function gives.

    Raises:
        RecipeError: it is none of these, cannot be made, copied or reset, or says of itself what cannot be read.
    """
    make, source = _maker(found, name)
    try:
        made = make()
        if not _is_metric(made):
            raise RecipeError(f"metric {name!r} gives {a_kind(made)}; {FORMS}")
        made.reset()
        said = traits(made if source is None else source)
    except RecipeError:
        raise
    except USER_CODE_FAILS as error:
        raise RecipeError(
            f"metric {name!r} cannot be made: {first_line(error)}; name a function without arguments that gives it"
        ) from error
    return Measure(name=name, make=make, **said)


def _maker(found: Any, name: str) -> tuple[Callable[[], Metric], Any]:
    """What gives a new metric, and what tells of it where the metric itself does not."""
    if inspect.isclass(found):
        return cast("type[Metric]", found), None
    if _is_metric(found):
        return partial(copy.deepcopy, found), None
    if callable(found) and takes(found, 2):
        return partial(Averaged, found), found
    if callable(found) and takes(found, 0):
        return lambda: copy.deepcopy(found()), None
    raise RecipeError(f"metric {name!r} cannot be called with (outputs, targets); {FORMS}")


def _is_metric(found: Any) -> bool:
    return all(callable(getattr(found, method, None)) for method in METHODS)
