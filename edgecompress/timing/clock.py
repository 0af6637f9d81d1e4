"""What times networks and single operators: this machine, or something that stands in for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.arrays import Inputs
from edgecompress.runtime import open_session, run_session
from edgecompress.timing.interleaving import interleave, least_ms


class Clock(Protocol):
    """Where candidates are timed."""

    def networks(self, models: Sequence[ir.Model], inputs: Inputs, runs: int) -> NDArray[np.float64]:
        """Milliseconds of float networks on the same inputs, in turn, shape (runs, networks), or some more runs."""
        ...

    def operators(self, models: Iterable[ir.Model]) -> list[float]:
        """The least milliseconds of several calls of each graph, which has one float32 input of a fixed shape."""
        ...


@dataclass(frozen=True, kw_only=True)
class OwnClock:
    """This machine."""

    threads: int

    def networks(self, models: Sequence[ir.Model], inputs: Inputs, runs: int) -> NDArray[np.float64]:
        """Milliseconds of networks in turn, shape (runs, networks)."""
        sessions = [open_session(model, self.threads) for model in models]
        return interleave([partial(run_session, session, inputs) for session in sessions], runs)

    def operators(self, models: Iterable[ir.Model]) -> list[float]:
        """The least milliseconds of each graph, one after the other."""
        return [self._least(model) for model in models]

    def _least(self, model: ir.Model) -> float:
        session = open_session(model, self.threads)
        (spec,) = session.get_inputs()
        source = {spec.name: np.random.default_rng(0).standard_normal(spec.shape).astype(np.float32)}
        return least_ms(partial(run_session, session, source))
