"""Digests of what a row is made of: a row is measured again only where one of them changed."""

from __future__ import annotations

import hashlib
import inspect
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
import onnx_ir as ir
from torch import nn
from torch.export import ExportedProgram

from edgecompress.bundle.manifest import canonical
from edgecompress.comparison.code_files import file_of
from edgecompress.comparison.training_state import training_state
from edgecompress.data.batches import Batch, Batches
from edgecompress.data.digest import digest_of
from edgecompress.errors import DataError
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.metrics.targets import is_numbers
from edgecompress.modules.copies import copied
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.recipe.toml import recipe_tables
from edgecompress.runtime import Network, execute, network_rows, to_bytes
from edgecompress.system.randomness import own_randomness, seed_all
from edgecompress.training.checkpoint import fingerprint

SAMPLE_BYTES = 16
MODULUS = 1 << 8 * SAMPLE_BYTES
READING = "reading"
"""Seeds the reading of data."""
STATE = "_state"
CODE = tuple(f"{what}{end}" for what in ("metric", "postprocess", "loss") for end in ("", STATE))
"""Keys of the digests of code, each with that of what an object of it holds."""


def digest_network(network: Network, example: Batch) -> str:
    """Of a network's weights and structure, of what acts in its training, and of what it answers now."""
    state = training_state(network)
    if isinstance(network, nn.Module):
        network = copied(network).eval()
    hasher = hashlib.sha256(f"{_stored(network)} {state.digest}".encode())
    for output in execute(network, example.sample(network_rows(network, example.axes) or 1).inputs):
        hasher.update(np.ascontiguousarray(output).data)
    return hasher.hexdigest()


def _stored(network: Network) -> str:
    if isinstance(network, ir.Model):
        return hashlib.sha256(to_bytes(network)).hexdigest()
    if isinstance(network, ExportedProgram):
        return fingerprint(nn.Module(), str(network.graph), {**network.state_dict, **network.constants})
    return fingerprint(network, str(network), dict(network.named_buffers()))


@dataclass(frozen=True, kw_only=True)
class DataDigest:
    """Digests of data.

    Attributes:
        samples: of all of them, whatever their order.
        reading: of the batches as they come where the generators of random numbers are seeded; None where they come
            otherwise even then, so that nobody knows what a run has read.
    """

    samples: str
    reading: str | None


def digest_data(batches: Batches, progress: Progress) -> DataDigest:
    """Of all samples: the sum of a hash of each, and a hash of the batches in their order. The data are read once.

    Data that come in another order or are drawn anew in each reading count only by their shapes and labels in the sum.
    """
    with own_randomness():
        values, seeded = _repeats(batches), _first(batches) == _first(batches)
        seed_all(READING)
        total, reading = 0, hashlib.sha256()
        for batch in progress.track(batches, f"reading the {batches.role} data", "batch"):
            batch.update(reading)
            for row in range(batch.rows):
                total += _sample(batch.slice(row, row + 1), values=values)
    return DataDigest(
        samples=f"{total % MODULUS:0{2 * SAMPLE_BYTES}x}", reading=reading.hexdigest() if seeded else None
    )


def _first(batches: Batches) -> int:
    """Of the first batch after the same seed."""
    seed_all(READING)
    return _sample(batches.first(), values=True)


def digest_code(recipe: Recipe, by: MeasuredBy) -> dict[str, str]:
    """Of the files that hold a metric, a postprocessing and a loss of the user's own, and of what such objects hold.

    Code that changed makes other figures of the same outputs, and so does an object that was made with other values.
    """
    sources = {
        "metric": file_of(recipe.evaluation.metric, by.metric),
        "postprocess": file_of(recipe.evaluation.postprocess, by.postprocess),
        "loss": file_of(recipe.training.loss, by.loss),
    }
    states = {f"{key}{STATE}": _state(getattr(by, key)) for key in sources}
    files = {
        key: hashlib.sha256(source.read_bytes()).hexdigest()
        for key, source in sources.items()
        if source is not None and source.is_file()
    }
    return {**files, **{key: state for key, state in states.items() if state is not None}}


def _state(given: Any) -> str | None:
    """Of what an object or a function holds; of what cannot be told from another, a text that comes only once."""
    if given is None or isinstance(given, (str, type)):
        return None
    try:
        return digest_of(_held(given)).hex()
    except (DataError, TypeError):  # no digest of what it holds, or nothing that can be looked at
        return uuid.uuid4().hex


def _held(given: Any) -> Any:
    """The values in addition to the code: of a function its place in the file, and what it closes over."""
    if isinstance(given, partial):
        return _held(given.func), given.args, given.keywords
    if inspect.isfunction(given):
        return given.__code__.co_firstlineno, [cell.cell_contents for cell in given.__closure__ or ()]
    return vars(given)


def digest_row(recipe: Recipe, parts: Mapping[str, str]) -> str:
    """Of a recipe, this version, and the digests of all else."""
    version = metadata.version("edgecompress")
    return hashlib.sha256(canonical({"recipe": recipe_tables(recipe), "version": version, **parts})).hexdigest()


def _repeats(batches: Batches) -> bool:
    """Whether a second reading begins as the first did."""
    first, again = (_sample(batches.first(), values=True) for _ in range(2))
    return first == again


def _sample(sample: Batch, *, values: bool) -> int:
    hasher = hashlib.sha256()
    if values:
        sample.update(hasher)
    else:
        shapes = sorted((name, array.shape, str(array.dtype)) for name, array in sample.inputs.items())
        labels = sample.labels.tolist() if is_numbers(sample.labels) else digest_of(sample.labels).hex()
        hasher.update(repr((shapes, None if sample.labels is None else labels)).encode())
    return int.from_bytes(hasher.digest()[:SAMPLE_BYTES], "big")
