"""Selection: which units of a network go, for a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from torch import Tensor

from edgecompress.errors import RecipeError, nearest
from edgecompress.pruning.costs import count_macs, count_parameters
from edgecompress.pruning.goals import meet
from edgecompress.pruning.importance import Criterion, Scores, Side, score
from edgecompress.pruning.latency import Term, latency_at, latency_terms, spend_on_time
from edgecompress.pruning.structure.groups import Group, as_flags
from edgecompress.pruning.structured import Subject
from edgecompress.pruning.widths import Widths, choose, global_widths, local_widths
from edgecompress.step import Refusal

Goal = Literal["channels", "macs", "parameters", "latency"]
Spread = Literal["uniform", "global", "latency"]
"""How the removal is spread: the same share of every group, by importance, or by importance for the time gained."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of structured pruning.

    Attributes:
        amount: share of the goal's measure that goes, 0 up to but not including 1.
        goal: what the amount is a share of.
        spread: how the groups share it.
        criterion: which units of a group go first.
        side: the weights that the criterion looks at.
        multiple: of which the channels of a layer are kept.
        protect: names of layers whose channels stay; ``*`` and ``?`` are wildcards.
        threads: of the sessions that latency is measured in.
        seed: of random importance.
    """

    amount: float
    goal: Goal = "channels"
    spread: Spread = "uniform"
    criterion: Criterion = "l2"
    side: Side = "both"
    multiple: int = 1
    protect: tuple[str, ...] = ()
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The units that go, the widths that are left, and what was not considered."""

    units: tuple[int, ...]
    widths: Widths
    refusals: tuple[Refusal, ...]


def select(
    subject: Subject,
    request: Request,
    *,
    whole_ms: float = 0.0,
    gradients: Mapping[str, Tensor] | None = None,
) -> Selection:
    """The units of a network that a request removes.

    Args:
        subject: the network and its groups.
        request: what is asked.
        whole_ms: what the whole network takes in ONNX Runtime, where latency matters.
        gradients: of the loss by parameter, for the criterion ``taylor``.

    Raises:
        RecipeError: nothing can be removed, a protected name fits nothing, or the goal cannot be met.
    """
    groups, refusals = _unprotected(subject, request.protect)
    if not groups:
        raise RecipeError(
            "nothing of this model can be pruned; see the refusals of the plan, or set pruning.enabled=false"
        )
    scores = score(subject, request.criterion, side=request.side, gradients=gradients, seed=request.seed)
    terms: tuple[Term, ...] = ()
    if "latency" in (request.goal, request.spread):
        terms = latency_terms(subject.structure, groups, whole_ms, request.threads)
    widths_at = _spread(request, groups, scores, terms)
    if request.goal == "channels" and request.spread != "latency":
        widths = widths_at(request.amount)
    else:
        widths = meet(request.goal, request.amount, widths_at, _cost(subject, request.goal, groups, scores, terms))
    return Selection(units=tuple(choose(groups, scores, widths)), widths=widths, refusals=refusals)


def _spread(
    request: Request, groups: Sequence[Group], scores: Scores, terms: Sequence[Term]
) -> Callable[[float], Widths]:
    match request.spread:
        case "uniform":
            return lambda amount: local_widths(groups, amount, request.multiple)
        case "global":
            return lambda amount: global_widths(groups, scores, amount, request.multiple)
        case "latency":
            return spend_on_time(groups, scores, request.multiple, terms)


def _cost(
    subject: Subject, goal: Goal, groups: Sequence[Group], scores: Scores, terms: Sequence[Term]
) -> Callable[[Widths], float]:
    structure = subject.structure
    match goal:
        case "channels":
            return lambda widths: sum(widths[group.name] * group.width for group in groups)
        case "macs":
            return lambda widths: count_macs(structure, as_flags(structure, choose(groups, scores, widths)))
        case "parameters":
            return lambda widths: count_parameters(structure, as_flags(structure, choose(groups, scores, widths)))
        case "latency":
            return latency_at(terms)


def _unprotected(subject: Subject, protect: Sequence[str]) -> tuple[list[Group], tuple[Refusal, ...]]:
    """The groups that may be touched; a pattern that fits no layer is a mistake."""
    layers = {name.removesuffix(".weight") for group in subject.groups for name, _ in group.members}
    known = {name for name, _ in subject.module.named_modules()}
    for pattern in protect:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise RecipeError(
                f"'pruning.protect' names {pattern!r}, which the model does not have{nearest(pattern, layers)}"
            )
    free, refusals = [], []
    for group in subject.groups:
        made = {name.rpartition(".")[0] for name, axis in group.members if axis == 0}
        hit = next((pattern for pattern in protect if any(fnmatchcase(name, pattern) for name in made)), None)
        if hit is None:
            free.append(group)
        else:
            refusals.append(Refusal(name=group.name, kind="channels", reason=f"protected by {hit!r}"))
    return free, tuple(refusals)
