"""What a recipe names, and others may add: the package's own, a file each, and the entry points of other packages.

A kind of thing has a folder in this package, in which every file is one of the kind, called as the recipe names it, and
a group of entry points, in which an installed package registers its own::

    [project.entry-points."edgecompress.observers"]
    mine = "my_package.observers:find_range"

Only what a recipe names is imported; a package that is broken troubles nobody else.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from edgecompress.errors import USER_CODE_FAILS, EdgecompressError, RecipeError, first_line, nearest

PROTOCOL = 1
"""The version of what is asked of such a function; one with a larger number in its ``protocol`` is not taken."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of function that a recipe names.

    Attributes:
        called: in messages.
        key: of the recipe that names one.
        group: of entry points.
        folder: of the package, with a file for each of its own.
        function: the name of the function in such a file.
        arguments: what it is called with, by position; None where there is more than one way.
        own_code: whether ``file.py:callable`` stands for one, too.
        has_devices: whether ``NAME:DEVICE`` stands for a device of one.
    """

    called: str
    key: str
    group: str
    folder: str
    function: str
    arguments: tuple[str, ...] | None
    own_code: bool = False
    has_devices: bool = False


OBSERVERS = Kind(
    called="observer",
    key="quantization.observer",
    group="edgecompress.observers",
    folder="calibration.observers",
    function="find_range",
    arguments=("statistics", "demand"),
)
"""Functions from the statistics of a tensor to the range that integers cover
(:mod:`edgecompress.calibration.observer`)."""
CRITERIA = Kind(
    called="criterion",
    key="pruning.importance",
    group="edgecompress.criteria",
    folder="pruning.criteria",
    function="score_units",
    arguments=("group", "generator"),
)
"""Functions from a group of channels to the importance of each (:mod:`edgecompress.pruning.criterion`)."""
METRICS = Kind(
    called="metric",
    key="evaluation.metric",
    group="edgecompress.metrics",
    folder="metrics.built_in",
    function="make",
    arguments=None,
    own_code=True,
)
"""What makes a metric, or a function of a batch (:mod:`edgecompress.metrics.metric`)."""

LOSSES = Kind(
    called="loss",
    key="training.loss",
    group="edgecompress.losses",
    folder="training.built_in",
    function="loss",
    arguments=None,
    own_code=True,
)
"""Functions from outputs and targets to a scalar, or what makes one (:mod:`edgecompress.training.losses`)."""

TECHNIQUES = Kind(
    called="technique",
    key="order",
    group="edgecompress.techniques",
    folder="techniques.steps",
    function="plan_steps",
    arguments=("recipe", "teacher"),
)
"""Functions from a recipe, and the teacher that was given, to the steps of the run
(:mod:`edgecompress.techniques.technique`)."""

RUNTIMES = Kind(
    called="runtime",
    key="validation.on",
    group="edgecompress.runtimes",
    folder="validation.elsewhere.runtimes",
    function="find_place",
    arguments=("device",),
    has_devices=True,
)
"""Functions from a device of a runtime to the place to run (:mod:`edgecompress.validation.elsewhere.place`)."""

KINDS = (OBSERVERS, CRITERIA, METRICS, LOSSES, TECHNIQUES, RUNTIMES)
"""All of them."""


@dataclass(frozen=True)
class NamedFunction:
    """A function of a kind, which is called as the function is; whatever that raises is told with its name.

    Attributes:
        told: the function in messages.
        function: what is called.
        built_in: whether it is the package's own, so that what it gets wrong is the package's fault.
    """

    told: str
    function: Callable[..., Any]
    built_in: bool = False

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives.

        Raises:
            RecipeError: it fails.
        """
        try:
            return self.function(*arguments)
        except EdgecompressError:  # it says what is wrong itself
            raise
        except USER_CODE_FAILS as error:
            raise RecipeError(f"{self.told} fails: {first_line(error)}; repair it, or choose another") from error


@cache
def built_in(kind: Kind) -> tuple[str, ...]:
    """The names of the package's own, in order; nothing is imported.

    >>> built_in(OBSERVERS)
    ('entropy', 'histogram', 'min_max', 'moving_average', 'mse', 'percentile')
    """
    folder = Path(__file__).parent.joinpath(*kind.folder.split("."))
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(folder)])))


def is_known(kind: Kind, name: str) -> bool:
    """Whether something has a name, as a recipe gives it; nothing is imported."""
    plain = _without_device(kind, name)
    return (kind.own_code and ":" in name) or plain in built_in(kind) or bool(_registered(kind, plain))


def require_known(kind: Kind, name: str, key: str | None = None) -> str:
    """A name as it is, where something has it; nothing is imported.

    Args:
        kind: of what is named.
        name: to look for.
        key: of a recipe that names it, by default that of the kind.

    Raises:
        ValueError: nothing has it; the message has the key's path and the nearest name.
    """
    if not is_known(kind, name):
        plain, known = _without_device(kind, name), _known(kind)
        code = " or file.py:callable" if kind.own_code else ""
        raise ValueError(
            f"expected a value that is {_listed(known)}{code}, got {plain!r} in {key or kind.key!r}"
            f"{nearest(plain, known, _of_another_kind(kind, plain))}"
        )
    return name


def _of_another_kind(kind: Kind, name: str) -> str:
    """Where a name belongs that something of another kind has, or the other kind itself."""
    others = (other for other in KINDS if other is not kind and name in (other.called, *built_in(other)))
    return next((f"; a {other.called} is named in {other.key!r}" for other in others), "")


def missing(kind: Kind, name: str) -> str:
    """What to say of a name in a recipe that nothing has, where the run goes on without it; the nearest is offered.

    >>> missing(OBSERVERS, "min_mix")
    "no package registers the observer 'min_mix' in 'quantization.observer'; install the one that does before you \
compress by this recipe; did you mean 'min_max'?"
    """
    plain = _without_device(kind, name)
    return (
        f"no package registers the {kind.called} {plain!r} in {kind.key!r}; install the one that does before you"
        f" compress by this recipe{nearest(plain, _known(kind))}"
    )


def find(kind: Kind, name: str) -> Callable[..., Any]:
    """The function that a recipe names.

    Raises:
        RecipeError: nothing has the name, or more than one package; or the package that has it cannot be imported, or
            registers what cannot be called so.
    """
    registered = _registered(kind, name)
    own = name in built_in(kind)
    if len(registered) + own > 1:
        owners = sorted([*map(_owner, registered), *["edgecompress"] * own])
        raise RecipeError(f"{kind.called} {name!r} is registered by {' and '.join(owners)}; uninstall all but one")
    if own:
        return getattr(import_module(f"edgecompress.{kind.folder}.{name}"), kind.function)  # type: ignore[no-any-return]
    if not registered:
        raise RecipeError(f"no package registers the {kind.called} {name!r}; install the one that does")
    return _loaded(kind, registered[0])


def choose(kind: Kind, value: str | Callable[..., Any]) -> NamedFunction:
    """What a recipe names, or the function that a Python caller hands over in place of a name.

    Raises:
        RecipeError: as :func:`find`; or the function cannot be called so.
    """
    if isinstance(value, str):
        return NamedFunction(_told(kind, value), find(kind, value), value in built_in(kind))
    told = f"{kind.called} {getattr(value, '__name__', value)!r}"
    return NamedFunction(told, _fitting(kind, told, value, "give a function of these"))


def _without_device(kind: Kind, name: str) -> str:
    return name.partition(":")[0] if kind.has_devices else name


def _known(kind: Kind) -> list[str]:
    """The names of all that there are."""
    return sorted({*built_in(kind), *(entry.name for entry in entry_points(group=kind.group))})


def _registered(kind: Kind, name: str) -> list[EntryPoint]:
    """The entry points of that name, each once: a package that is on the path twice is one package."""
    found = entry_points(group=kind.group, name=name)
    return list({(_owner(entry), entry.value): entry for entry in found}.values())


def _owner(entry: EntryPoint) -> str:
    return "an unknown package" if entry.dist is None else entry.dist.name


def _told(kind: Kind, name: str) -> str:
    """What has a name, in messages, with the package where that is another one."""
    owners = "".join(f" of package {_owner(entry)!r}" for entry in _registered(kind, name)[:1])
    return f"{kind.called} {name!r}{owners}"


def _loaded(kind: Kind, entry: EntryPoint) -> Callable[..., Any]:
    told = _told(kind, entry.name)
    try:
        function = entry.load()
    except Exception as error:  # whatever another package raises
        raise RecipeError(f"{told} cannot be imported: {first_line(error)}; repair that package") from error
    return _fitting(kind, told, function, "repair that package")


def _fitting(kind: Kind, told: str, function: Any, otherwise: str) -> Callable[..., Any]:
    asked = getattr(function, "protocol", PROTOCOL)
    if asked != PROTOCOL:
        raise RecipeError(
            f"{told} is made for protocol {asked}, and this edgecompress has {PROTOCOL}; install versions that fit"
        )
    if not callable(function) or (kind.arguments is not None and not takes(function, len(kind.arguments))):
        called = "" if kind.arguments is None else f" with ({', '.join(kind.arguments)})"
        raise RecipeError(f"{told} cannot be called{called}; {otherwise}")
    return function  # type: ignore[no-any-return]


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments, by position; one in C that does not tell can."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _listed(names: list[str]) -> str:
    return " or ".join([", ".join(map(repr, names[:-1])), repr(names[-1])] if len(names) > 1 else [repr(names[0])])
