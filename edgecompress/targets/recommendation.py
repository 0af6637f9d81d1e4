"""Recommendation: which profile to take under given constraints, why, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from edgecompress.targets.effects import EFFECTS, MeasuredFloat, Prediction, predict
from edgecompress.targets.profile import TargetProfile
from edgecompress.targets.reasons import reasons, settings_for
from edgecompress.targets.rules import DECISIVE, RULES, SERVES, Case, Constraints


@dataclass(frozen=True, kw_only=True)
class RankedTarget:
    """A profile that keeps the constraints as far as is known, what decided for it, and ``why`` in words.

    ``settings`` are ``KEY=VALUE`` that make a strategy one for the CPU that is asked for. ``uncertain`` has the limits
    that the prediction misses by less than its error, each with what is predicted.
    """

    profile: TargetProfile
    decided_by: tuple[str, ...]
    why: tuple[str, ...]
    settings: tuple[str, ...]
    prediction: Prediction | None
    uncertain: Mapping[str, str]

    @property
    def reason(self) -> str:
        """The profile's reason, and why it suits what is asked."""
        return f"{self.profile.reason}: {'; '.join(self.why)}"


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A profile that breaks a constraint, and how."""

    profile: TargetProfile
    constraint: str
    why: str
    prediction: Prediction | None


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The profiles that are left, the best first, and those that were rejected."""

    ranked: tuple[RankedTarget, ...]
    rejected: tuple[Rejected, ...]


def recommend(
    profiles: Iterable[TargetProfile], constraints: Constraints, measured: MeasuredFloat | None = None
) -> Recommendation:
    """Rank profiles under constraints.

    What breaks a constraint is rejected (``rules.RULES``). What is predicted to miss a limit by less than the error of
    the prediction comes after what keeps all. Otherwise profiles are ranked by how well their strategies serve
    the limits that are set (``rules.SERVES``), one more for a profile that is made for the CPU; then come profiles of
    devices, those that need no training data, and those that lose less accuracy. Where nobody said whether there is
    training data, profiles that train come after the others that keep the limits as well.

    Args:
        profiles: those to choose from; profiles of devices count only where the constraints name a CPU.
        constraints: what is asked.
        measured: the float model, from which size and latency are predicted.
    """
    known = [profile for profile in profiles if constraints.isa is not None or profile.recipe.cpu.isa is None]
    cases = [
        Case(
            profile=profile, constraints=constraints, prediction=predict(profile, measured, constraints.max_latency_ms)
        )
        for profile in known
    ]
    faults = {case.profile.name: fault for case in cases if (fault := _fault(case)) is not None}
    rejected = [case for case in cases if case.profile.name in faults]
    left = sorted((case for case in cases if case.profile.name not in faults), key=_rank)
    return Recommendation(
        ranked=tuple(_ranked(case, [*_rejecting(rejected, faults, case), *_doubting(left, case)]) for case in left),
        rejected=tuple(
            Rejected(
                profile=case.profile,
                constraint=faults[case.profile.name][0],
                why=faults[case.profile.name][1],
                prediction=case.prediction,
            )
            for case in rejected
        ),
    )


def _ranked(case: Case, rejecting: list[str]) -> RankedTarget:
    """A profile that is left, where those that would be better are rejected by these constraints."""
    decided_by = _decided_by(case, rejecting)
    return RankedTarget(
        profile=case.profile,
        prediction=case.prediction,
        decided_by=decided_by,
        why=tuple(reasons(case, decided_by)),
        settings=settings_for(case.profile, case.constraints),
        uncertain=case.uncertain,
    )


def _rejecting(rejected: Iterable[Case], faults: Mapping[str, tuple[str, str]], case: Case) -> Iterator[str]:
    """The constraints that reject what would be better."""
    return (faults[each.profile.name][0] for each in rejected if _counts(each, case))


def _doubting(left: Iterable[Case], case: Case) -> Iterator[str]:
    """The limits that put what would be better behind a profile that keeps them."""
    if not case.uncertain:
        behind = (each for each in left if _rank(case) < _rank(each) and _rank(each, sure=True) < _rank(case))
        yield from (limit for each in behind for limit in each.uncertain)


def _fault(case: Case) -> tuple[str, str] | None:
    """The first constraint that the profile breaks, and how."""
    faults = ((name, rule(case)) for name, rule in RULES.items())
    return next(((name, why) for name, why in faults if why is not None), None)


def _rank(case: Case, *, sure: bool = False) -> tuple[bool, bool, int, bool, bool, float, bool, str]:
    """What cases are sorted by, the best first.

    What may miss a limit comes last, unless it is taken to be ``sure``; before it what trains, where nobody said that
    it can.
    """
    unsure = case.profile.recipe.trains and case.constraints.train_data is None
    doubted = bool(case.uncertain) and not sure
    serves, effect = SERVES.get(case.strategy, {}), EFFECTS.get(case.strategy)
    score = sum(serves.get(limit, 0) for limit in case.constraints.asked) + case.fits
    drop = effect.accuracy_drop if effect is not None else 0.0
    known = not case.is_device, case.profile.recipe.trains, drop, case.is_for_the_cpu, case.profile.name
    return doubted, unsure, -score, *known


def _counts(rejected: Case, case: Case) -> bool:
    """Whether a profile would be better if it were not rejected; a profile for another device never was a choice."""
    foreign = rejected.is_device and not rejected.fits
    return not foreign and _rank(rejected) < _rank(case)


def _decided_by(case: Case, rejecting: list[str]) -> tuple[str, ...]:
    """The constraints that speak for a profile, or against a profile that would be better without them."""
    serves = SERVES.get(case.strategy, {})
    speaking = {limit for limit in case.constraints.asked if serves.get(limit, 0) >= DECISIVE}
    speaking |= {"cpu"} if case.fits or case.is_device else set()
    return tuple(name for name in RULES if name in speaking | set(rejecting))
