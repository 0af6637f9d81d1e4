"""What is asked of a low-rank decomposition."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, get_args

from edgecompress.errors import RecipeError, nearest

Goal = Literal["parameters", "macs", "latency"]
MULTIPLE = 16
"""Of which ranks are by default: what AVX-512 works on at once, and a whole number of times for AVX2 and Arm."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A rank for each layer, by one of three measures; a goal goes before an energy, an energy before a ratio.

    Attributes:
        rank_ratio: rank as a share of the full one, above 0 and up to 1.
        energy: share of the energy of each layer's output that is kept, above 0 and up to 1.
        goal: what a share of the whole network has to lose; the layers share it by what each loses.
        amount: that share, 0 up to but not including 1.
        multiple: of which ranks are.
        include: names of layers that are decomposed although they are protected; ``*`` and ``?`` are wildcards.
        protect: names of layers that are left whole.
        threads: of the sessions that latency is measured in.
    """

    rank_ratio: float = 0.5
    energy: float | None = None
    goal: Goal | None = None
    amount: float = 0.5
    multiple: int = MULTIPLE
    include: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    threads: int = 1


def check_request(request: Request) -> None:
    """Refuse values that mean nothing.

    Raises:
        RecipeError: one is of the wrong kind or out of its range.
    """
    check_share("rank_ratio", request.rank_ratio)
    if request.energy is not None:
        check_share("energy", request.energy)
    if request.goal not in (None, *get_args(Goal)):
        known = ", ".join(get_args(Goal))
        raise RecipeError(f"goal is {request.goal!r}; give one of {known}{nearest(str(request.goal), get_args(Goal))}")
    if not _is_number(request.amount) or not 0 <= request.amount < 1:
        raise RecipeError(f"amount is {request.amount!r}; give a share of at least 0 and below 1")
    check_multiple(request.multiple)
    for key in ("include", "protect"):
        names = getattr(request, key)
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise RecipeError(f"{key} is {names!r}; give a list of module names")


def check_share(key: str, value: Any) -> float:
    """A share above 0 and up to 1.

    Raises:
        RecipeError: it is none.
    """
    if not _is_number(value) or not 0 < value <= 1:
        raise RecipeError(f"{key} is {value!r}; give a share above 0 and up to 1")
    return float(value)


def check_multiple(value: Any) -> int:
    """A whole number of at least 1.

    Raises:
        RecipeError: it is none.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise RecipeError(f"multiple is {value!r}; give a whole number of at least 1")
    return int(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
