"""A loss of the user's own, in each form that one may have, as a :class:`TargetLoss`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from edgecompress.errors import USER_CODE_FAILS, RecipeError, first_line
from edgecompress.registry import takes
from edgecompress.training.losses import TargetLoss, reading_of

FORMS = "give a function (outputs, targets) -> scalar tensor, an object that is called so, or its class"


def own_loss(found: Any, name: str) -> TargetLoss:
    """The loss of a function, of an object, of its class, or of a function without arguments that gives one.

    A module is copied: it moves to the device of the network.

    Raises:
        RecipeError: it is none of these, or cannot be made.
    """
    made = found
    if inspect.isclass(found) or not takes_batch(found):
        made = _made(found, name)
    if not takes_batch(made):
        raise RecipeError(f"loss {name!r} cannot be called with (outputs, targets); {FORMS}")
    made = copy.deepcopy(made) if isinstance(made, nn.Module) else made
    return TargetLoss(name=name, function=made, reading=reading_of(made))


def takes_batch(found: Any, count: int = 2) -> bool:
    """Whether something can be called with the outputs and the targets, or so many arguments; of a module its forward.

    >>> takes_batch(nn.CrossEntropyLoss()), takes_batch(len)
    (True, False)
    """
    called = found.forward if isinstance(found, nn.Module) else found
    return callable(called) and takes(called, count)


def _made(found: Callable[[], Any], name: str) -> Any:
    if not takes_batch(found, 0):
        raise RecipeError(f"loss {name!r} cannot be called with (outputs, targets); {FORMS}")
    try:
        return found()
    except USER_CODE_FAILS as error:
        raise RecipeError(
            f"loss {name!r} cannot be made: {first_line(error)}; name a function without arguments that gives it"
        ) from error
