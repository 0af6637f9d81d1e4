"""The table of the places where an artifact is run, besides ONNX Runtime on this machine."""

from __future__ import annotations

from edgecompress.recipe.table import Table
from edgecompress.recipe.values import DeviceName, PlaceName, PositiveInt


class Validation(Table):
    """Where the artifact is run, besides ONNX Runtime on this machine."""

    on: tuple[PlaceName, ...] | None = None
    """Runtimes on which the artifact is run and compared with this machine, each as RUNTIME or RUNTIME:DEVICE."""
    device: DeviceName | None = None
    """What the artifact is made for, as RUNTIME or RUNTIME:DEVICE: it is run there, too. Where the runtime is not
    installed, a line tells how to install it, and the artifact is written without."""
    samples: PositiveInt = 100
    """Samples of the evaluation data that are run there, at most: an emulator is ten to fifty times slower than the CPU
    under it, a simulator takes seconds for a sample."""
