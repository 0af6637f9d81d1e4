"""The ground of a run: digests of all that its steps rest on, apart from the recipe."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import metadata

import torch

from edgecompress.bundle.manifest import canonical
from edgecompress.bundle.outcome import UNKNOWN, environment
from edgecompress.comparison.digests import CODE, digest_code
from edgecompress.comparison.sources import digest_package, digest_sources, foreign_names
from edgecompress.comparison.training_state import training_state
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network
from edgecompress.system.cores import available_cores
from edgecompress.techniques.kept import READING

SOURCES = "sources"
"""Key of the digest of the user's files of code."""


def ground_of(
    network: Network, recipe: Recipe, by: MeasuredBy, digest: str, readings: Mapping[str, str | None]
) -> dict[str, str] | None:
    """Of the network, the data as they come, all code, the versions and the machine.

    Args:
        network: as the user gave it.
        recipe: names code, and where artifacts are measured.
        by: stands in place of code that the recipe names.
        digest: of the network.
        readings: digests of the data by role; None of data that nobody can read alike twice.

    Returns:
        The digests by what they are of; None where something cannot be known again: such data, code without a file,
        what an object or a module holds, a CPU without a name, or another machine that measures.
    """
    code = _code(network, recipe, by)
    if code is None or not training_state(network).whole:
        return None
    read = {f"{READING}{role}": found for role, found in readings.items() if found is not None}
    if len(read) < len(readings):
        return None
    here = environment()
    if here["cpu"] == UNKNOWN:
        return None
    ours = {"network": digest, "package": digest_package()}
    return {**ours, **read, **code, **here, **_machine(), "libraries": _libraries()}


def ground_with(
    ground: Mapping[str, str], before: Recipe, network: Network, recipe: Recipe, by: MeasuredBy
) -> Mapping[str, str] | None:
    """The ground of a run with another recipe, which may name other code than the first.

    Args:
        ground: of runs with ``before``.
        before: a recipe.
        network: as the user gave it.
        recipe: the other one.
        by: as :func:`ground_of` has it.

    Returns:
        The digests; the same where the recipes name the same code. None where something cannot be known again.
    """
    if _named(before) == _named(recipe):
        return ground
    code = _code(network, recipe, by)
    if code is None:
        return None
    return {**{key: value for key, value in ground.items() if key not in (SOURCES, *CODE)}, **code}


def _named(recipe: Recipe) -> tuple[frozenset[str], bool]:
    """The code that a recipe names, and whether another machine measures."""
    return foreign_names(recipe), _elsewhere(recipe)


def _elsewhere(recipe: Recipe) -> bool:
    return recipe.device.url is not None or bool(recipe.validation.on)


def _code(network: Network, recipe: Recipe, by: MeasuredBy) -> dict[str, str] | None:
    """Of all code of the user's; None where it cannot be known again, or where another machine measures."""
    sources, code = digest_sources(network, recipe, by), digest_code(recipe, by)
    if sources is None or _elsewhere(recipe) or code != digest_code(recipe, by):
        return None
    return {SOURCES: sources, **code}


def _machine() -> dict[str, str]:
    """What results and times depend on, in addition to the CPU."""
    return {
        "threads": str(torch.get_num_threads()),
        "cores": str(available_cores()),
        "accelerator": accelerator_here(),
    }


def accelerator_here() -> str:
    """The names of the accelerators that training may take; empty where there is none."""
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return f"cuda: {', '.join(names)}"
    found = torch.accelerator.current_accelerator(check_available=True)
    return "" if found is None else found.type


def _libraries() -> str:
    """Of the names and versions of all packages that are installed: code of the user's may import any of them."""
    names = {found.name for found in metadata.distributions() if found.name}
    return hashlib.sha256(canonical({name: metadata.version(name) for name in names})).hexdigest()
