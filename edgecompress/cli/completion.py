"""What the shell completes: targets, keys of the recipe with their values, metrics, losses, places and CPUs.

All else is a path, which the shell completes by itself.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from edgecompress.registry import Kind


def targets(incomplete: str) -> list[str]:
    """Names of profiles."""
    from edgecompress.targets import profile_names

    return _begun(profile_names(), incomplete)


def assignments(incomplete: str) -> list[str]:
    """``KEY=VALUE`` for every key of the recipe: each of its words, or its default.

    >>> assignments("quantization.sch"), assignments("pruning.am")
    (['quantization.scheme=fbgemm', 'quantization.scheme=qnnpack'], ['pruning.amount=0.5'])
    """
    from edgecompress.recipe.tables import key_paths

    key = incomplete.partition("=")[0]
    return _begun([f"{path}={value}" for path in _begun(key_paths(), key) for value in _values(path)], incomplete)


def device_keys(incomplete: str) -> list[str]:
    """The same for keys of the table ``device``.

    >>> device_keys("device.py")
    ['device.python=python3']
    """
    return [each for each in assignments(incomplete) if each.startswith("device.")]


def _kinds() -> Mapping[str, Kind]:
    """The keys that hold names which packages may add."""
    from edgecompress.registry import CRITERIA, LOSSES, METRICS, OBSERVERS

    return {kind.key: kind for kind in (CRITERIA, LOSSES, METRICS, OBSERVERS)}


def metrics(incomplete: str) -> list[str]:
    """Names of metrics."""
    from edgecompress.registry import METRICS, built_in

    return _begun(built_in(METRICS), incomplete)


def losses(incomplete: str) -> list[str]:
    """Names of losses."""
    from edgecompress.registry import LOSSES, built_in

    return _begun(built_in(LOSSES), incomplete)


def places(incomplete: str) -> list[str]:
    """Names of runtimes."""
    from edgecompress.registry import RUNTIMES, built_in

    return _begun(built_in(RUNTIMES), incomplete)


def cpus(incomplete: str) -> list[str]:
    """CPUs that QEMU emulates."""
    from edgecompress.validation.elsewhere.cpus import CPUS

    return _begun(CPUS, incomplete)


def devices(incomplete: str) -> list[str]:
    """CPUs, their families and devices."""
    from edgecompress.targets import device_names
    from edgecompress.targets.cpus import FAMILIES

    names = (name for family in FAMILIES.values() for name in family.names)
    return _begun(dict.fromkeys([*device_names(), *FAMILIES, *names]), incomplete)


def _begun(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _values(path: str) -> Iterator[str]:
    from edgecompress.recipe.tables import Recipe
    from edgecompress.registry import built_in

    *tables, last = path.split(".")
    table: Any = functools.reduce(getattr, tables, Recipe())
    if path in _kinds():
        yield from built_in(_kinds()[path])
        return
    words = [*_words(type(table).model_fields[last].annotation)]
    default = getattr(table, last)
    if isinstance(default, bool):
        words = ["false", "true"]
    elif not words:
        words = [str(default) if isinstance(default, (int, float, str)) else ""]
    yield from words


def _words(annotation: Any) -> Iterator[str]:
    """The texts that a field may hold, where these are listed."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif get_origin(annotation) in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _words(each)
