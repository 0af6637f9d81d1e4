"""Batches and outputs as files, for child processes: ``.npz`` with arrays named ``BATCH_NAME``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from edgecompress.arrays import Array, Inputs


def save_batches(path: Path | IO[bytes], batches: Sequence[Inputs]) -> None:
    """Write the arrays of every batch, by the number of the batch and the name of the input."""
    arrays = {f"{index}_{name}": array for index, batch in enumerate(batches) for name, array in batch.items()}
    np.savez(path, allow_pickle=False, **arrays)


def load_outputs(path: Path, count: int) -> list[dict[str, Array]]:
    """The outputs of ``count`` batches by name; none for a batch that nothing was written for."""
    outputs: list[dict[str, Array]] = [{} for _ in range(count)]
    with np.load(path, allow_pickle=False) as pack:
        for key in pack.files:
            batch, _, name = key.partition("_")
            outputs[int(batch)][name] = pack[key]
    return outputs
