"""Why a target suits what is asked, and what has to be set where a strategy is taken for a device."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from functools import reduce
from typing import Any

from edgecompress.recipe.quantities import shortest
from edgecompress.recipe.tables import Recipe
from edgecompress.targets.cpus import CPU_OF
from edgecompress.targets.effects import EFFECTS
from edgecompress.targets.inheritance import device_names
from edgecompress.targets.profile import TargetProfile, load_profile
from edgecompress.targets.rules import Case, Constraints

OF_A_DEVICE = ("cpu.isa", "cpu.threads", "pruning.multiple", "quantization.scheme", "quantization.narrow")
"""Keys in which the profile of a device differs from that of its strategy."""


def reasons(case: Case, decided_by: Collection[str]) -> Iterator[str]:
    """Why a profile keeps the constraints, a phrase each.

    Args:
        case: the profile, and what is asked.
        decided_by: the constraints that speak for it.
    """
    yield from _of_the_cpu(case)
    if (effect := EFFECTS.get(case.strategy)) is not None:
        smaller, faster = ([getattr(each, name) for each in effect.references] for name in ("smaller", "faster"))
        if "max_size_mb" in decided_by:
            yield f"measured {_span(smaller)} times smaller"
        if "max_latency_ms" in decided_by:
            yield f"measured {_span(faster)} times as fast"
        if "max_accuracy_drop" in decided_by:
            yield f"{effect.accuracy_drop:g} points of accuracy to be expected"
    yield "needs training data" if case.profile.recipe.trains else "needs no training data"


def what_decided(constraints: Constraints, decided_by: Collection[str], cpu: str | None, *, trains: bool) -> str:
    """The facts of the user's that put a target first, as the options that say them.

    Args:
        constraints: what is asked.
        decided_by: the constraints that speak for the target, or against those that would be better.
        cpu: the CPU or device as it was named.
        trains: whether the target needs training data.

    >>> what_decided(Constraints(max_size_mb=1), ["max_size_mb"], None, trains=False)
    'because of --max-size-mb 1'
    >>> what_decided(Constraints(), [], None, trains=False)
    'because it needs no training data, and nothing else was asked'
    """
    given = {name: f"--{name.replace('_', '-')} {shortest(limit)}" for name, limit in constraints.limits.items()}
    if cpu is not None:
        given["cpu"] = f"--cpu {shlex.quote(cpu)}"
    if constraints.train_data is not None:
        given["train_data"] = "--train-data" if constraints.train_data else "--no-train-data"
    speaking = [name for name in given if name in decided_by or (name == "train_data" and trains)]
    if speaking:
        return f"because of {' and '.join(given[name] for name in speaking)}"
    rest = f"; {' and '.join(given.values())} did not decide" if given else ", and nothing else was asked"
    return f"because it needs no training data{rest}"


def _of_the_cpu(case: Case) -> Iterator[str]:
    asked, isa = case.constraints, case.profile.recipe.cpu.isa
    if case.is_for_the_cpu:
        yield "made for the CPU of this device"
    elif asked.device in CPU_OF and asked.device == case.profile.name:
        yield "made for the NPU of this device, an 888 or later"
    elif case.is_device:
        yield "made for this device" if asked.device == case.profile.name else f"made for {isa}"
    elif case.fits:
        yield f"its numbers of channels suit {asked.isa}"
    elif asked.isa is not None:
        yield f"gives the same answers on {asked.isa}"


def _span(figures: list[float]) -> str:
    low, high = f"{min(figures):.1f}", f"{max(figures):.1f}"
    return low if low == high else f"{low} to {high}"


def settings_for(profile: TargetProfile, constraints: Constraints) -> tuple[str, ...]:
    """``KEY=VALUE`` that make the profile of a strategy one for the CPU that is asked for; empty for a device's own.

    >>> settings_for(load_profile("cloud"), Constraints(isa="armv8.2-dotprod", device="raspberry-pi-5"))
    ('cpu.isa=armv8.2-dotprod', 'cpu.threads=4')
    """
    if constraints.isa is None or profile.recipe.cpu.isa is not None:
        return ()
    wanted: dict[str, Any] = {"cpu.isa": constraints.isa}
    if constraints.device in device_names():
        of_the_device = load_profile(constraints.device).recipe
        wanted = {key: _value(of_the_device, key) for key in OF_A_DEVICE}
    elif not constraints.isa.startswith("x86"):
        wanted["quantization.scheme"] = "qnnpack"
    enabled = ("cpu", *profile.recipe.techniques)
    return tuple(
        f"{key}={value}"
        for key, value in wanted.items()
        if key.partition(".")[0] in enabled and value != _value(profile.recipe, key)
    )


def _value(recipe: Recipe, key: str) -> Any:
    return reduce(getattr, key.split("."), recipe)
