"""Places by their names: which ones a recipe asks for, and what stands behind a name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from edgecompress.errors import RecipeError, a_kind
from edgecompress.recipe.device import Device
from edgecompress.recipe.elsewhere import Validation
from edgecompress.recipe.tables import Recipe
from edgecompress.registry import RUNTIMES, NamedFunction, choose, takes
from edgecompress.validation.elsewhere.place import Handling, Place
from edgecompress.validation.elsewhere.timed import TimedPlace

EMULATOR, BROWSER = "qemu", "browser"
"""The runtimes that have keys of their own in the recipe, ``cpu.emulate`` and ``export.browser``."""


@dataclass(frozen=True, kw_only=True)
class NamedPlace:
    """A place with its name.

    Attributes:
        name: ``RUNTIME`` or ``RUNTIME:DEVICE``.
        told: the runtime in messages, with the package that has it.
        handling: of its runs.
        place: where to run; None where something is missing.
        missing: what to install first, in one line.
    """

    name: str
    told: str
    handling: Handling
    place: Place | None = None
    missing: str | None = None

    @property
    def where(self) -> str:
        """The place in a sentence."""
        return self.handling.where or f"on {label_of(self.name)}"


def runtime_of(name: str) -> str:
    """The runtime in a place's name.

    >>> runtime_of("qemu:haswell"), runtime_of("browser")
    ('qemu', 'browser')
    """
    return name.partition(":")[0]


def label_of(name: str) -> str:
    """A place as people call it: an emulated CPU is called as the CPU.

    >>> label_of("qemu:haswell"), label_of("mine:board")
    ('haswell', 'mine:board')
    """
    return name.removeprefix(f"{EMULATOR}:")


def emulated(cpus: Iterable[str]) -> tuple[str, ...]:
    """The names of places for names of CPUs.

    >>> emulated(["haswell"])
    ('qemu:haswell',)
    """
    return tuple(f"{EMULATOR}:{cpu}" for cpu in cpus)


def asked_places(recipe: Recipe) -> tuple[str, ...]:
    """The names of all places that a recipe asks for, each once, those of a runtime together.

    >>> asked_places(Recipe(validation=Validation(on=("browser", "qemu:haswell", "browser"))))
    ('browser', 'qemu:haswell')
    """
    browser = (BROWSER,) if recipe.export.browser else ()
    named = (recipe.validation.device, *(recipe.validation.on or ()), recipe.device.url)
    asked = (*emulated(recipe.cpu.emulate), *browser, *(name for name in named if name is not None))
    names = dict.fromkeys(asked)
    return tuple(name for _, group in by_runtime(names) for name in group)


def by_runtime(names: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names of places by their runtime, in the order in which the runtimes are first named.

    >>> dict(by_runtime(["qemu:haswell", "browser", "qemu:nehalem"]))
    {'qemu': ('qemu:haswell', 'qemu:nehalem'), 'browser': ('browser',)}
    """
    listed = list(names)
    order = {runtime: index for index, runtime in enumerate(dict.fromkeys(map(runtime_of, listed)))}
    for runtime, group in groupby(sorted(listed, key=lambda name: order[runtime_of(name)]), runtime_of):
        yield runtime, tuple(group)


def places_of(recipe: Recipe) -> tuple[NamedPlace, ...]:
    """The places that a recipe asks for, found before any long work begins.

    A browser that only ``export.browser`` asks for, as target ``browser`` does, may be missing; so may the runtime of
    ``validation.device``, which targets for that name.

    Raises:
        RecipeError: as :func:`find_places`.
    """
    spared = {BROWSER, recipe.validation.device or BROWSER}
    found = find_places(asked_places(recipe), spared=spared - {*(recipe.validation.on or ())})
    return prepare(found, recipe.device)


def prepare(places: Iterable[NamedPlace], settings: Device) -> tuple[NamedPlace, ...]:
    """Places as they are run: those that measure are as ``settings`` have them, and were found to be there.

    Raises:
        RecipeError: a device cannot be reached, or lacks something.
    """
    return tuple(
        replace(named, place=named.place.prepared(settings)) if isinstance(named.place, TimedPlace) else named
        for named in places
    )


def find_places(names: Iterable[str], spared: Collection[str] = ()) -> tuple[NamedPlace, ...]:
    """The places of these names, each once.

    Args:
        names: ``RUNTIME`` or ``RUNTIME:DEVICE``.
        spared: those that a run can do without, where something is missing for them.

    Raises:
        RecipeError: a runtime or a device is unknown, what it needs is missing, or the package that has it is broken.
    """
    asked = dict.fromkeys(Validation(on=tuple(names)).on or ())
    return tuple(_find_place(name, spared=name in spared) for name in asked)


def handling_of(runtime: str) -> Handling:
    """How the runs of a runtime are planned, told and fed.

    Raises:
        RecipeError: the package that has it is broken.
    """
    return _handling(choose(RUNTIMES, runtime))


def _handling(found: NamedFunction) -> Handling:
    handling = getattr(found.function, "handling", Handling())
    if not isinstance(handling, Handling):
        raise RecipeError(f"{found.told} has {a_kind(handling)} as its handling; make it a Handling")
    return handling


def _find_place(name: str, *, spared: bool) -> NamedPlace:
    runtime, _, device = name.partition(":")
    find_place = choose(RUNTIMES, runtime)
    handling = _handling(find_place)
    try:
        place = find_place(device)
    except RecipeError as error:
        if not spared or (device and handling.devices and device not in handling.devices):
            raise
        return NamedPlace(name=name, told=find_place.told, handling=handling, missing=str(error))
    run = getattr(place, "run", None)
    if not callable(run) or not takes(run, 2):
        raise RecipeError(f"{find_place.told} gives {a_kind(place)} without run(model, batches); repair that package")
    return NamedPlace(name=name, told=find_place.told, handling=handling, place=place)
