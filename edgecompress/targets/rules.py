"""Rules: what the strategies are good for, and which constraints reject a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edgecompress.recipe.quantities import shortest
from edgecompress.recipe.tables import Isa, Technique
from edgecompress.targets.cpus import CPU_OF, DEVICES, FAMILIES, answers_differ, as_named, find_isa
from edgecompress.targets.effects import EFFECTS, LATENCY_ERROR, SIZE_ERROR, Prediction
from edgecompress.targets.inheritance import device_names
from edgecompress.targets.profile import TargetProfile, load_profile
from edgecompress.units import kilobytes, milliseconds

Strategy = tuple[Technique, ...]


LIMITS = ("max_size_mb", "max_latency_ms", "max_accuracy_drop")
SERVES: Mapping[Strategy, Mapping[str, int]] = {
    ("quantization",): {"max_size_mb": 3, "max_latency_ms": 1, "max_accuracy_drop": 2},
    ("pruning", "quantization"): {"max_size_mb": 2, "max_latency_ms": 3, "max_accuracy_drop": 0},
    ("distillation",): {"max_size_mb": 0, "max_latency_ms": 3, "max_accuracy_drop": 3},
    ("pruning",): {"max_size_mb": 1, "max_latency_ms": 1, "max_accuracy_drop": 1},
}
"""How well a strategy serves a limit, 0 to 3. Quantization makes much smaller models at once; pruning on top is for
more speed, and costs accuracy; a student is cut for its latency and keeps accuracy; only pruning saves computation."""
DECISIVE = 2
"""Lowest score at which a limit speaks for a strategy."""
SERVERS: tuple[Isa, ...] = ("x86-avx512", "x86-vnni")
"""Families that the float networks of strategy pruning are for: their channels go in multiples of 16."""


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """What the artifact has to keep, and what there is.

    ``device`` is a profile of a device, or a device that no profile is for, ``isa`` what its CPU can do;
    ``train_data`` is None where nobody said.
    """

    isa: Isa | None = None
    device: str | None = None
    max_latency_ms: float | None = None
    max_size_mb: float | None = None
    max_accuracy_drop: float | None = None
    train_data: bool | None = None

    @property
    def asked(self) -> tuple[str, ...]:
        """The limits that are set."""
        return tuple(name for name in LIMITS if getattr(self, name) is not None)

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by the names of budgets."""
        return {name: getattr(self, name) for name in self.asked}

    @property
    def overrides(self) -> tuple[str, ...]:
        """The limits as ``KEY=VALUE`` for the budgets of a recipe."""
        return tuple(f"budgets.{name}={shortest(limit)}" for name, limit in self.limits.items())

    def budgets(self, float_latency_ms: float | None, *, foreign: bool) -> tuple[str, ...]:
        """The limits as ``KEY=VALUE`` for a run on this machine, whose milliseconds a ``foreign`` CPU does not have.

        There a limit of latency becomes the speedup that it asks of the float model, where its latency is known.

        >>> Constraints(max_latency_ms=20).budgets(50.0, foreign=True)
        ('budgets.min_speedup=2.5',)
        """
        if not foreign or self.max_latency_ms is None:
            return self.overrides
        speedup = (
            () if float_latency_ms is None else (f"budgets.min_speedup={float_latency_ms / self.max_latency_ms:g}",)
        )
        return (*replace(self, max_latency_ms=None).overrides, *speedup)


def find_cpu_or_device(name: str) -> tuple[Isa, str | None]:
    """What a CPU can do, by its name, by that of its family or of a device; and the device, where it is one, by the
    name of its profile, or by its own where no profile is for it.

    Raises:
        RecipeError: there is none of that name.

    >>> find_cpu_or_device("raspberry-pi-5"), find_cpu_or_device("cortex-a72")
    (('armv8.2-dotprod', 'raspberry-pi-5'), ('armv8.0', None))
    >>> find_cpu_or_device("Pixel 8"), find_cpu_or_device("jetson orin")
    (('armv8.2-dotprod', 'android'), ('armv8.2-dotprod', 'jetson-orin'))
    """
    device = as_named(name)
    if device not in device_names():
        return find_isa(name, device_names()), DEVICES.get(device)
    isa = load_profile(device).recipe.cpu.isa
    assert isa is not None
    return isa, device


@dataclass(frozen=True, kw_only=True)
class Case:
    """A profile under constraints, and what it will do to the model, if that was measured."""

    profile: TargetProfile
    constraints: Constraints
    prediction: Prediction | None

    @property
    def strategy(self) -> Strategy:
        """The techniques of the profile."""
        return self.profile.recipe.techniques

    @property
    def is_device(self) -> bool:
        """Whether the profile is made for one kind of CPU."""
        return self.profile.recipe.cpu.isa is not None

    @property
    def is_for_the_cpu(self) -> bool:
        """Whether the profile is made for the CPU of a device that is asked for, and another one for its NPU."""
        return CPU_OF.get(self.constraints.device or "") == self.profile.name

    @property
    def fits(self) -> bool:
        """Whether the profile is made for the CPU that is asked for."""
        isa = self.constraints.isa
        serves = isa in SERVERS and self.strategy == ("pruning",)
        return isa is not None and (self.profile.recipe.cpu.isa == isa or serves)

    @property
    def uncertain(self) -> Mapping[str, str]:
        """The limits that the prediction misses by less than its error, each with what is predicted."""
        asked, seen = self.constraints, self.prediction
        if seen is None:
            return {}
        figures = (
            ("max_size_mb", asked.max_size_mb, seen.size_mb, _megabytes, SIZE_ERROR),
            ("max_latency_ms", asked.max_latency_ms, seen.latency_ms, milliseconds, LATENCY_ERROR),
        )
        return {
            name: f"{written(found)} predicted, and predictions err by up to {100 * error:.0f} %"
            for name, limit, found, written, error in figures
            if limit is not None and found is not None and limit < found <= limit * (1 + error)
        }


def _cpu(case: Case) -> str | None:
    recipe, asked = case.profile.recipe, case.constraints
    served = () if asked.isa is None else (asked.isa, FAMILIES[asked.isa].also)
    if case.is_device and recipe.cpu.isa not in served:
        return f"made for {recipe.cpu.isa}"
    if recipe.validation.device is not None and asked.device != case.profile.name:
        return f"made for the runtime {recipe.validation.device}"
    if case.is_device and asked.device not in (None, case.profile.name) and not case.is_for_the_cpu:
        return "made for another device"
    if answers_differ(asked.isa, recipe.quantization):
        return f"its 8-bit products saturate on {asked.isa}, which gives other answers"
    return None


def _train_data(case: Case) -> str | None:
    if case.constraints.train_data is not False or not case.profile.recipe.trains:
        return None
    distils = "distillation" in case.strategy
    return "a student learns from training data" if distils else "a pruned network needs training data to recover"


def _size(case: Case) -> str | None:
    limit, seen = case.constraints.max_size_mb, case.prediction
    missed = limit and seen and seen.size_mb > limit * (1 + SIZE_ERROR)
    return f"{_megabytes(seen.size_mb)} predicted" if seen and missed else None


def _megabytes(size_mb: float) -> str:
    return kilobytes(1e6 * size_mb)


def _latency(case: Case) -> str | None:
    limit, seen = case.constraints.max_latency_ms, case.prediction
    if limit is None or seen is None or seen.latency_ms is None or seen.latency_ms <= limit * (1 + LATENCY_ERROR):
        return None
    return f"{seen.latency_ms:.2f} ms predicted"


def _accuracy(case: Case) -> str | None:
    limit, effect = case.constraints.max_accuracy_drop, EFFECTS.get(case.strategy)
    if limit is None or effect is None or effect.accuracy_drop <= limit:
        return None
    # Layers return to float until the budget holds; what was pruned or learned anew does not come back, nor what is
    # for an NPU, where they become uint16.
    quantization = case.profile.recipe.quantization
    returns = quantization.fallback_evaluations and not quantization.enclose
    if case.strategy == ("quantization",) and returns and limit >= 0:
        return None
    return f"{effect.accuracy_drop:g} points are to be expected"


RULES: Mapping[str, Callable[[Case], str | None]] = {
    "cpu": _cpu,
    "train_data": _train_data,
    "max_size_mb": _size,
    "max_latency_ms": _latency,
    "max_accuracy_drop": _accuracy,
}
"""What rejects a profile, by the constraint; the first that speaks counts."""
