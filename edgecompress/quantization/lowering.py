"""A lowering: all that decides how one float model is written as integers.

The passes that recover accuracy take a lowering and return another; only the last one becomes a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import escape

import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.calibration import (
    FBGEMM,
    FBGEMM_NARROW_WEIGHTS,
    QNNPACK,
    Calibration,
    Demand,
    Observer,
    QuantParams,
    Scheme,
    Statistics,
)
from edgecompress.calibration.coverage import require_coverage, require_range
from edgecompress.errors import RecipeError
from edgecompress.exporters.graph import constant, replace_constant
from edgecompress.quantization.concat_scales import share_concat_scales
from edgecompress.quantization.hard_sigmoid import align_thresholds, relabelled
from edgecompress.quantization.kept_float import BY_BUDGET, BY_RECIPE, STORED, kept_float
from edgecompress.quantization.placement import Placement, place, why_kept
from edgecompress.quantization.qdq import insert_qdq
from edgecompress.quantization.recurrent import Recurrent, find_recurrent, write_recurrent
from edgecompress.quantization.stored_weights import is_storable, store_weights
from edgecompress.quantization.weights import weight_grids
from edgecompress.recipe.tables import Quantization
from edgecompress.registry import OBSERVERS, NamedFunction, choose
from edgecompress.step import Refusal


@dataclass(frozen=True, kw_only=True)
class Lowering:
    """A float model and its integers.

    ``params`` are uint8 scale and zero point for each value in ``placement.pairs``; ``weights`` are int8
    scales by name of node. They stay what they are while the model's weights and biases move.
    ``floats`` is the model before anything moved; ``recurrent`` says how LSTM, GRU and RNN are written. ``stores_all``
    has the weights of all layers in integers in the file that compute in floats, and are not to. ``own`` are the
    parameters of values that have others for the sake of a Concat, as long as that is integer.
    """

    model: ir.Model
    floats: ir.Model
    scheme: Scheme
    placement: Placement
    params: Mapping[str, QuantParams]
    weights: Mapping[str, QuantParams]
    recurrent: Recurrent = field(default_factory=Recurrent)
    stores_all: bool = False
    own: Mapping[str, QuantParams] = field(default_factory=dict)

    @property
    def layers(self) -> frozenset[str]:
        """Names of the nodes whose weights are integers."""
        return frozenset((*self.weights, *self.recurrent.layers, *self.stored))

    @property
    def stored(self) -> frozenset[str]:
        """Names of the layers that compute in floats, with integers in the file."""
        floats = {refusal.name for refusal in self.placement.refusals if self._is_stored(refusal)}
        return frozenset(str(node.name) for node in self.floats.graph if node.name in floats and is_storable(node))

    def _is_stored(self, refusal: Refusal) -> bool:
        reason = why_kept(refusal.name, self.placement.kept) or refusal.reason
        return reason in STORED or (self.stores_all and reason not in (BY_RECIPE, BY_BUDGET))

    def write(self) -> ir.Model:
        """The INT8 model."""
        written = insert_qdq(self.model, self.placement, self.params, self.weights)
        write_recurrent(written, self.recurrent)
        store_weights(written, self.stored)
        passes.RemoveUnusedNodesPass()(written)
        return written


def lower(
    model: ir.Model,
    placement: Placement,
    calibration: Calibration,
    recipe: Quantization,
    scheme: Scheme,
    observer: Observer | None = None,
) -> Lowering:
    """The lowering of a model by a scheme: ranges by the observer, weights to the nearest integer.

    Args:
        model: float, not modified.
        placement: what becomes integer.
        calibration: statistics of its activations.
        recipe: names the observer, and says what scales and how many bits weights have.
        scheme: the ranges of the integers.
        observer: a function that stands in for the observer that the recipe names.
    """
    params = activation_params(calibration, recipe, scheme, observer)
    shared = share_concat_scales(model.graph, placement, params, scheme)
    aligned = align_thresholds(model.graph, placement, shared, scheme)
    own = {name: params[name] for name, given in shared.items() if given is not params[name]}
    return Lowering(
        model=model,
        floats=model,
        scheme=scheme,
        placement=placement,
        params=aligned,
        weights=weight_grids(
            model.graph,
            placement,
            scheme,
            per_channel=recipe.granularity == "per_channel",
            bits=recipe.weight_bits,
        ),
        recurrent=find_recurrent(model.graph, placement.kept),
        stores_all=recipe.prefer == "size",
        own={name: given for name, given in own.items() if aligned[name] is shared[name]},
    )


def storing(model: ir.Model, recipe: Quantization, reason: str) -> Lowering:
    """The lowering of a model in which nothing computes in calibrated integers: weights are stored as INT8.

    Args:
        model: float, not modified.
        recipe: names what stays float, weights included.
        reason: why, one of those that leave weights INT8.
    """
    kept = kept_float(model.graph, recipe)
    return Lowering(
        model=model,
        floats=model,
        scheme=schemes(recipe)[0],
        placement=place(model.graph, kept | {"*": reason}),
        params={},
        weights={},
        recurrent=find_recurrent(model.graph, kept),
        stores_all=recipe.prefer == "size",
    )


def floating(lowering: Lowering, names: Sequence[str], reason: str = BY_BUDGET) -> Lowering:
    """The lowering with the named nodes left float, and all that follows from that.

    They compute what they did before anything moved. A value that only passed integers on, and is now quantized
    itself, takes the parameters that it passed on.
    """
    now = dict.fromkeys(map(escape, names), reason)
    before = {name: known for name, known in lowering.placement.kept.items() if name not in now}
    placement = place(lowering.floats.graph, now | before)
    params = dict(lowering.params)
    values = {str(value.name): value for node in lowering.floats.graph for value in node.outputs}
    for name in placement.pairs:
        known = passed_on(values[name], params) if name in values else params[name]
        assert known is not None  # what is quantized now was, or moves what was
        params[name] = known
    if lowering.own:  # a Concat that is float now asks for nothing any more
        params = share_concat_scales(lowering.floats.graph, placement, {**params, **lowering.own}, lowering.scheme)
    weights = {name: grid for name, grid in lowering.weights.items() if name in placement.placed}
    return replace(
        lowering,
        model=_restored(lowering, names),
        placement=placement,
        params=params,
        weights=weights,
        recurrent=find_recurrent(lowering.floats.graph, placement.kept),
    )


def _restored(lowering: Lowering, names: Sequence[str]) -> ir.Model:
    """The model with the constants of the named nodes as they were."""
    if lowering.model is lowering.floats:
        return lowering.model
    restored = lowering.model.clone()
    for moved, before in zip(restored.graph, lowering.floats.graph, strict=True):
        if moved.name in names and moved.name in lowering.weights:
            for index, value in enumerate(before.inputs):
                array = constant(value)
                if array is not None:
                    replace_constant(restored.graph, moved, index, array)
            moved.resize_inputs(len(before.inputs))
    return restored


def passed_on(value: ir.Value, params: Mapping[str, QuantParams]) -> QuantParams | None:
    """The parameters of a value, or those of the integers that it is passed; None where there are none."""
    producer = value.producer()
    if str(value.name) in params or producer is None or not producer.inputs or producer.inputs[0] is None:
        return params.get(str(value.name))
    known = passed_on(producer.inputs[0], params)
    return relabelled(producer, known) if known is not None and producer.op_type == "HardSigmoid" else known


def schemes(recipe: Quantization) -> tuple[Scheme, ...]:
    """The schemes that the recipe lets compete; the calibration data decides among them."""
    if recipe.scheme == "qnnpack":
        return (QNNPACK,)
    return {
        "activations": (FBGEMM,),
        "weights": (FBGEMM_NARROW_WEIGHTS,),
        "auto": (FBGEMM, FBGEMM_NARROW_WEIGHTS),
    }[recipe.narrow]


def activation_params(
    calibration: Calibration, recipe: Quantization, scheme: Scheme, observer: Observer | None = None
) -> dict[str, QuantParams]:
    """Scale and zero point of every calibrated tensor, by the recipe's observer or the function in its place.

    Raises:
        RecipeError: the observer fails, or gives no range of what was seen.
        EdgecompressError: a range, a scale or a zero point cannot be right.
    """
    observe = choose(OBSERVERS, observer or recipe.observer)
    own = recipe.observer if observe.built_in else None
    demand = Demand(quant_max=scheme.quant_max, percentile=recipe.percentile)
    ranges = {name: _ends(observe, calibration.statistics(name), demand) for name in calibration.histograms}
    for name, decided in ranges.items():
        require_range(name, calibration.histograms[name], decided, observe)
    params = {name: scheme.activation_params(low, high) for name, (low, high) in ranges.items()}
    for name, decided in ranges.items():
        require_coverage(name, calibration.histograms[name], decided, params[name], own, scheme)
    return params


def _ends(observe: NamedFunction, statistics: Statistics, demand: Demand) -> tuple[float, float]:
    given = observe(statistics, demand)
    try:
        low, high = map(float, given)
    except (TypeError, ValueError):
        raise RecipeError(f"{observe.told} gives no low and high end; repair it, or choose another") from None
    return low, high
