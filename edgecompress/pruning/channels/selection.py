"""Selection: which units of a network go, for a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Literal

from torch import Tensor

from edgecompress.data.batches import Batch
from edgecompress.errors import DataError, RecipeError
from edgecompress.modules.names import check_names, covers
from edgecompress.progress import Progress
from edgecompress.pruning.channels.cost_terms import add_up
from edgecompress.pruning.channels.costs import channel_terms, macs_terms, parameter_terms
from edgecompress.pruning.channels.goals import meet
from edgecompress.pruning.channels.greedy_widths import importance_damage, spend
from edgecompress.pruning.channels.importance import Sides, score
from edgecompress.pruning.channels.latency import latency_terms
from edgecompress.pruning.channels.sensitivity import Recall, make_now, measured_damage
from edgecompress.pruning.channels.structured import Subject
from edgecompress.pruning.channels.widths import Widths, choose, global_widths, local_widths
from edgecompress.pruning.criterion import Criterion
from edgecompress.pruning.structure.groups import Group, joined_units, layer_name, producers
from edgecompress.step import Refusal
from edgecompress.timing.clock import Clock, OwnClock

Goal = Literal["channels", "macs", "parameters", "latency"]
Spread = Literal["uniform", "global", "latency", "sensitivity"]
"""Spread of the removal: the same share of every group; by importance; by importance for the time gained; or by
what the outputs were measured to lose for what the goal gains."""
Residual = Literal["prune", "keep", "auto"]
"""What becomes of the channels that residual additions join: they go like others; with ``keep`` only those inside of
blocks go; with ``auto`` only these where they suffice, which for a share of every layer's channels they never do."""
IS_JOINED = "residual additions join them, and 'pruning.residual' keeps them"
LEAST_INSIDE = 0.25
"""The share of the channels inside of blocks that ``auto`` leaves at least; beyond it, those that sums join go too."""
COUNTED = {"channels": channel_terms, "macs": macs_terms, "parameters": parameter_terms}


@dataclass(frozen=True, kw_only=True)
class PruningRequest:
    """What is asked of structured pruning.

    Attributes:
        amount: share of the goal's measure that goes, 0 up to but not including 1.
        goal: what the amount is a share of.
        spread: how the groups share it.
        criterion: which units of a group go first: a name or a function, as in :func:`.importance.score`.
        side: the weights that the criterion looks at.
        multiple: the numbers of channels that stay are multiples of this.
        residual: whether the channels that residual additions join may go: always, never, or where it takes them.
        protect: names of layers whose channels stay; ``*`` and ``?`` are wildcards.
        threads: of the sessions that latency is measured in.
        seed: of random importance.
    """

    amount: float
    goal: Goal = "channels"
    spread: Spread = "uniform"
    criterion: str | Criterion = "l2"
    side: Sides = "both"
    multiple: int = 1
    residual: Residual = "prune"
    protect: tuple[str, ...] = ()
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The units that go, the widths that are left, and what was not considered."""

    units: tuple[int, ...]
    widths: Widths
    refusals: tuple[Refusal, ...]


def select(subject: Subject, request: PruningRequest, *, whole_ms: float = 0.0) -> Selection:
    """The units of a network that a request removes; the errors are those of :func:`selector`."""
    return selector(subject, request, whole_ms=whole_ms)(request.amount)


def selector(
    subject: Subject,
    request: PruningRequest,
    *,
    whole_ms: float = 0.0,
    gradients: Mapping[str, Tensor] | None = None,
    samples: Sequence[Batch] = (),
    progress: Progress | None = None,
    clock: Clock | None = None,
    recall: Recall = make_now,
) -> Callable[[float], Selection]:
    """The units that a request removes, for any amount: all that is measured is measured once.

    Args:
        subject: the network and its groups.
        request: what is asked.
        whole_ms: what the whole network takes in ONNX Runtime, where latency matters.
        gradients: of the loss by parameter, for criteria that need them.
        samples: batches to measure the sensitivity of groups on, where it decides.
        progress: told of long work.
        clock: what times operators, where latency matters; by default this machine.
        recall: gives what was measured of the network before.

    Returns:
        A selection by the amount, which raises :class:`RecipeError` where the goal cannot be met.

    Raises:
        RecipeError: nothing can be removed, or a protected name fits nothing.
        DataError: sensitivity decides, and there are no samples.
    """
    if request.residual == "auto" and request.goal == "channels":
        request = replace(request, residual="prune")
    elif request.residual == "auto":
        made = partial(
            selector,
            subject,
            whole_ms=whole_ms,
            gradients=gradients,
            samples=samples,
            progress=progress,
            clock=clock,
            recall=recall,
        )
        return _sparing(lambda residual: made(replace(request, residual=residual)))
    groups, refusals = _free(subject, request)
    if not groups:
        raise RecipeError(_nothing(subject, refusals))
    scores = score(subject, request.criterion, side=request.side, gradients=gradients, seed=request.seed)
    timed = "latency" in (request.goal, request.spread)
    clock = clock or OwnClock(threads=request.threads)
    latency = latency_terms(subject.structure, groups, whole_ms, clock) if timed else ()
    terms = latency if request.goal == "latency" else COUNTED[request.goal](subject.structure, groups)
    widths_at: Callable[[float], Widths]
    match request.spread:
        case "uniform":
            widths_at = partial(local_widths, groups, multiple=request.multiple)
        case "global":
            widths_at = partial(global_widths, groups, scores, multiple=request.multiple)
        case "latency":
            widths_at = spend(groups, importance_damage(scores), request.multiple, latency)
        case "sensitivity":
            if not samples:
                raise DataError("spread 'sensitivity' needs data; give calibration data, or choose another spread")
            told = progress or Progress()
            measured = measured_damage(subject, groups, scores, request.multiple, samples, told, recall)
            widths_at = spend(groups, measured, request.multiple, terms)

    def select_at(amount: float) -> Selection:
        if request.goal == "channels" and request.spread in ("uniform", "global"):
            widths = widths_at(amount)
        else:
            widths = meet(request.goal, amount, widths_at, add_up(terms))
        return Selection(units=tuple(choose(groups, scores, widths)), widths=widths, refusals=refusals)

    return select_at


def _sparing(selector_with: Callable[[Residual], Callable[[float], Selection]]) -> Callable[[float], Selection]:
    """Inside of blocks where that suffices, everywhere where it does not."""
    made = cache(selector_with)

    def select_at(amount: float) -> Selection:
        try:
            inside, whole = (made("keep")(share) for share in (amount, 0.0))
        except RecipeError:
            return made("prune")(amount)
        suffices = sum(inside.widths.values()) >= LEAST_INSIDE * sum(whole.widths.values())
        return inside if suffices else made("prune")(amount)

    return select_at


def _free(subject: Subject, request: PruningRequest) -> tuple[list[Group], tuple[Refusal, ...]]:
    """The groups that may be touched, and why the others may not."""
    check_names(request.protect, subject.module)
    made, free, refusals = producers(subject.structure), [], []
    joined = joined_units(subject.structure) if request.residual == "keep" else frozenset()
    for group in subject.groups:
        names = {layer_name(member[0]) for member in group.members if member in made} or {group.name}
        hit = next((pattern for pattern in request.protect if any(covers(pattern, name) for name in names)), None)
        if hit is not None:
            refusals.append(Refusal(name=group.name, kind="channels", reason=f"protected by {hit!r}"))
        elif not joined.isdisjoint(group.units):
            refusals.append(Refusal(name=group.name, kind="channels", reason=IS_JOINED))
        else:
            free.append(group)
    return free, tuple(refusals)


def _nothing(subject: Subject, protected: Sequence[Refusal]) -> str:
    """Reason why nothing can be pruned, and what to do about it."""
    if any(refusal.reason == IS_JOINED for refusal in protected):
        return "'pruning.residual' keep leaves nothing that can be pruned; set pruning.residual=prune"
    if protected:
        return "'pruning.protect' leaves nothing that can be pruned; name fewer layers there"
    return nothing_goes(subject.refusals)


def nothing_goes(refusals: Sequence[Refusal]) -> str:
    """Message that nothing can be pruned, with the first reasons."""
    reasons = "; ".join(f"{refusal.name}: {refusal.reason}" for refusal in refusals[:2])
    return f"nothing of this model can be pruned ({reasons or 'it has no two layers in a row'}); disable pruning"
