"""What is asked of a low-rank decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from edgecompress.recipe.arguments import names, number, whole, word

Goal = Literal["parameters", "macs", "latency"]
MULTIPLE = 16
"""Ranks are multiples of this by default: the lanes of AVX-512, a whole number of times those of AVX2 and Arm."""


@dataclass(frozen=True, kw_only=True)
class LowRankRequest:
    """A rank for each layer, by one of three measures; a goal goes before an energy, an energy before a ratio.

    Attributes:
        rank_ratio: rank as a share of the full one, above 0 and up to 1.
        energy: share of the energy of each layer's output that is kept, above 0 and up to 1.
        goal: what a share of the whole network has to lose; the layers share it by what each loses.
        amount: that share, 0 up to but not including 1.
        multiple: ranks are multiples of this.
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


def check_request(request: LowRankRequest) -> None:
    """Refuse values that mean nothing.

    Raises:
        RecipeError: one is of the wrong kind or out of its range.
    """
    check_share("rank_ratio", request.rank_ratio)
    if request.energy is not None:
        check_share("energy", request.energy)
    if request.goal is not None:
        word("goal", request.goal, get_args(Goal))
    number("amount", request.amount, lambda share: 0 <= share < 1, "give a share of at least 0 and below 1")
    check_multiple(request.multiple)
    whole("threads", request.threads, 1, "give a whole number of at least 1")
    for key in ("include", "protect"):
        names(key, getattr(request, key))


def check_share(key: str, value: Any) -> float:
    """A share above 0 and up to 1.

    Raises:
        RecipeError: it is none.
    """
    return number(key, value, lambda share: 0 < share <= 1, "give a share above 0 and up to 1")


def check_multiple(value: Any) -> int:
    """A whole number of at least 1.

    Raises:
        RecipeError: it is none.
    """
    return whole("multiple", value, 1, "give a whole number of at least 1")
