"""The latency of layers in ONNX Runtime, as they are and as thinner ones, each in isolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.exporters.onnx import to_onnx
from edgecompress.low_rank.form import Form, LayerCall, Rank
from edgecompress.low_rank.goals import Priced
from edgecompress.low_rank.layers import refuse
from edgecompress.low_rank.options import Candidate, Option
from edgecompress.modules.capture import capture
from edgecompress.modules.copies import copied
from edgecompress.modules.named_inputs import named_module
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Export
from edgecompress.step import Refusal
from edgecompress.timing.clock import Clock
from edgecompress.timing.ratios import ratio_of

RUNS, STRETCHES = 30, 5
SHARES = (0.25, 0.5, 0.75, 0.95)
"""The options of a form that are timed, by their multiply-accumulates as shares of the layer's."""


@dataclass(frozen=True, kw_only=True)
class LayerTiming:
    """Milliseconds of a layer, and of some of its options; ``faster`` where the 95 % interval of the ratio says so."""

    layer_ms: float
    options: tuple[tuple[Option, float, bool], ...]


def network_ms(models: Sequence[nn.Module], batch: Batch, clock: Clock) -> list[float]:
    """The median latencies of networks as float ONNX, timed in turn, for one call with the batch.

    Raises:
        ModelError: a network cannot be captured or exported.
        RecipeError: the clock is a device that cannot be used.
    """
    named = (named_module(model, lambda: [(dict(batch.inputs), None)]) for model in models)
    times = clock.networks([_exported(model, batch) for model in named], batch.inputs, RUNS)
    return [float(median) for median in np.median(times, axis=0)]


def price_latency(
    candidates: Sequence[Candidate], multiple: int, whole_ms: float, clock: Clock, progress: Progress
) -> tuple[list[Priced], tuple[Refusal, ...]]:
    """Layers and options in milliseconds, and the layers that no option makes faster.

    Some options of each form are timed against the layer in turn; between two that are faster, time is interpolated by
    multiply-accumulates. Layers that look alike are timed once.

    Args:
        candidates: with their calls.
        multiple: ranks are multiples of this.
        whole_ms: of the network; in isolation, layers can take longer than in it, and are then scaled down together.
        clock: this machine, or a device.
        progress: told of every layer.
    """
    known: dict[Any, LayerTiming] = {}
    priced: list[Priced] = []
    refusals: list[Refusal] = []
    for candidate in progress.track(candidates, "timing layers", "layer"):
        options = candidate.options(multiple)
        key = (type(candidate.layer), str(candidate.layer), candidate.calls)
        if key not in known:
            known[key] = time_layer(candidate, options, clock)
        faster = _interpolated(options, known[key])
        priced.append(Priced(name=candidate.name, cost=known[key].layer_ms, options=faster))
        if not faster:
            refusals.append(refuse(candidate.name, candidate.layer, _slower(known[key])))
    inner = sum(layer.cost for layer in priced)
    return [_scaled(layer, min(whole_ms / inner, 1.0) if inner else 1.0) for layer in priced], tuple(refusals)


def time_layer(candidate: Candidate, options: Sequence[Option], clock: Clock) -> LayerTiming:
    """Time a layer and some of its options in turn, in all of the layer's calls."""
    some = _some(candidate, options)
    built = [candidate.layer, *(option.form.build(option.rank) for option in some)]
    times = sum(time_modules(built, call, clock) for call in candidate.calls)
    assert isinstance(times, np.ndarray)
    medians = np.median(times, axis=0)
    faster = [ratio_of(times[:, 0], times[:, index + 1], STRETCHES).low > 1 for index in range(len(some))]
    rows = zip(some, map(float, medians[1:]), faster, strict=True)
    return LayerTiming(layer_ms=float(medians[0]), options=tuple(rows))


def _some(candidate: Candidate, options: Sequence[Option]) -> list[Option]:
    """Options of each form that are nearest to the shares, the same for all layers of a shape."""
    found: dict[tuple[str, Rank], Option] = {}
    for form in candidate.forms:
        own = [option for option in options if option.form is form]
        for share in SHARES if own else ():
            near = min(own, key=lambda option: (abs(option.macs - share * candidate.macs), _skew(form, option)))
            found[form.name, near.rank] = near
    return list(found.values())


def _skew(form: Form, option: Option) -> float:
    shares = [rank / full for rank, full in zip(option.rank, form.full, strict=True)]
    return max(shares) - min(shares)


def time_modules(modules: Sequence[nn.Module], call: LayerCall, clock: Clock) -> NDArray[np.float64]:
    """Milliseconds of float ONNX sessions that are run in turn on seeded inputs, shape (runs, modules)."""
    source = np.random.default_rng(0).standard_normal(call.source).astype(np.float32)
    batch = Batch(inputs={"input": source})
    return clock.networks([_exported(module, batch) for module in modules], batch.inputs, RUNS)


def _exported(module: nn.Module, batch: Batch) -> ir.Model:
    export = Export(batch_size=batch.rows)
    plain = copied(module).cpu().to(torch.float32).eval()
    return to_onnx(capture(plain, batch, export), export)


def _interpolated(options: Sequence[Option], timing: LayerTiming) -> tuple[tuple[Option, float], ...]:
    timed = {
        form: sorted((option.macs, ms, fast) for option, ms, fast in timing.options if option.form.name == form)
        for form in {option.form.name for option in options}
    }
    estimates = ((option, _between(option.macs, timed[option.form.name])) for option in options)
    return tuple((option, ms) for option, ms in estimates if ms is not None and ms < timing.layer_ms)


def _between(macs: int, timed: Sequence[tuple[int, float, bool]]) -> float | None:
    """The milliseconds at so many multiply-accumulates; None outside of, or between, what was not faster."""
    for (low, low_ms, low_fast), (high, high_ms, high_fast) in zip(timed, timed[1:] or timed, strict=False):
        if low <= macs <= high and (low_fast if macs == low else high_fast if macs == high else low_fast and high_fast):
            return float(np.interp(macs, [low, high], [low_ms, high_ms])) if high > low else low_ms
    return None


def _scaled(layer: Priced, factor: float) -> Priced:
    options = tuple((option, factor * ms) for option, ms in layer.options)
    return Priced(name=layer.name, cost=factor * layer.cost, options=options)


def _slower(timing: LayerTiming) -> str:
    if not timing.options:
        return "no rank costs less than the layer"
    option, best_ms, _ = min(timing.options, key=lambda entry: entry[1])
    return f"not faster in ONNX Runtime: {option} takes {best_ms:.3f} ms, the layer {timing.layer_ms:.3f} ms"
