"""Any layers, kept float from the start or returned to float later, with any passes in any order: an artifact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecompress.calibration import FBGEMM, FBGEMM_NARROW_WEIGHTS, QNNPACK, Scheme, collect
from edgecompress.data.batches import Batches, InputNames
from edgecompress.exporters.canonicalize import prepare_for_integers
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.equalization import equalize
from edgecompress.quantization.kept_float import kept_float
from edgecompress.quantization.lowering import floating, lower
from edgecompress.quantization.placement import place
from edgecompress.quantization.recovery import PASSES
from edgecompress.recipe.tables import Quantization
from tests.exporters.graphs import draw, graph, run

DRAWS = 300 if settings.get_current_profile_name() == "fuzz" else 12
DATA = [draw(4, 4, 8, 8, seed=seed) for seed in range(2)]
BATCHES = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
CONV, POOL = "Conv<pads=[1,1,1,1]>", "kernel_shape=[3,3], pads=[1,1,1,1]"
CONSTANTS: dict[str, Any] = {
    "w": draw(4, 4, 3, 3) * 0.3,
    "d": draw(4, 1, 3, 3, seed=1) * 0.5,
    "e": draw(4, 8, 1, 1, seed=2) * 0.4,
    "b": draw(4, seed=3) * 0.3,
    "low": np.float32(0),
    "high": np.float32(1.5),
    "k": np.float32(0.7),
}
STATEMENTS = (
    f"{{0}} = {CONV}({{1}}, w, b)",
    f"{{0}} = {CONV}({{1}}, w)",
    "{0} = Conv<pads=[1,1,1,1], group=4>({1}, d, b)",
    "{0}c = Concat<axis=1>({1}, {2}) {0} = Conv({0}c, e)",
    "{0} = Relu({1})",
    "{0} = Clip({1}, low, high)",
    "{0} = Add({1}, {2})",
    "{0} = Mul({1}, {2})",
    "{0} = Mul({1}, k)",
    f"{{0}} = MaxPool<{POOL}>({{1}})",
    f"{{0}} = AveragePool<{POOL}>({{1}})",
    "{0} = Sigmoid({1})",
    "{0} = LeakyRelu({1})",
    "{0} = Softmax<axis=1>({1})",
    "{0} = Transpose<perm=[0,1,3,2]>({1})",
    "{0}l, {0}r = Split<axis=1, num_outputs=2>({1}) {0} = Concat<axis=1>({0}r, {0}l)",
)
"""A value from one or two of those before it, all of them float32 (rows, 4, 8, 8)."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A graph, and what happens to its layers; ``returned`` leave in turn, before the passes or between them."""

    body: str
    kept: frozenset[str]
    returned: tuple[frozenset[str], ...]
    passes: tuple[str, ...]
    equalization: bool
    scheme: Scheme
    granularity: str


@st.composite
def _cases(draw_: st.DrawFn) -> Case:
    values, body = ["x"], []
    for number in range(draw_(st.integers(2, 8))):
        name = f"v{number}"
        statement = draw_(st.sampled_from(STATEMENTS))
        body.append(statement.format(name, *(draw_(st.sampled_from(values[-3:])) for _ in range(2))))
        values.append(name)
    body.append(f"y = {CONV}({values[-1]}, w, b)")
    subsets = st.frozensets(st.sampled_from([*values[1:], "y"]))
    return Case(
        body=" ".join(body),
        kept=draw_(subsets),
        returned=tuple(draw_(st.lists(subsets, min_size=1, max_size=3))),
        passes=tuple(draw_(st.permutations(sorted(PASSES)))[: draw_(st.integers(0, len(PASSES)))]),
        equalization=draw_(st.booleans()),
        scheme=draw_(st.sampled_from((FBGEMM, FBGEMM_NARROW_WEIGHTS, QNNPACK))),
        granularity=draw_(st.sampled_from(("per_channel", "per_tensor"))),
    )


@settings(max_examples=DRAWS, suppress_health_check=list(HealthCheck))
@given(case=_cases())
def test_whatever_returns_to_float_an_artifact_comes_out(case: Case) -> None:
    constants = {name: np.asarray(array, np.float32) for name, array in CONSTANTS.items()}
    model = prepare_for_integers(graph(case.body, **constants)).model
    recipe = Quantization.model_validate(
        {"enabled": True, "granularity": case.granularity, "keep_float": sorted(case.kept)}
    )
    start = equalize(model, BATCHES, Progress()).model if case.equalization else model
    placement = place(model.graph, kept_float(model.graph, recipe))
    lowering = lower(start, placement, collect(start, placement.pairs, BATCHES, Progress()), recipe, case.scheme)
    for names, key in zip(case.returned, (*case.passes, None, None, None), strict=False):
        lowering = floating(lowering, sorted(names))
        if key is not None:
            lowering = PASSES[key](lowering, BATCHES, Progress())
        assert not {*lowering.weights, *lowering.placement.placed} & (names | case.kept)
    wanted, found = run(model, DATA[0]), run(lowering.write(), DATA[0])
    assert found.shape == wanted.shape
    assert Agreement.between([wanted], [found]).sqnr_db > 0

    everything = floating(lowering, [str(node.name) for node in model.graph])
    assert Agreement.between([wanted], [run(everything.write(), DATA[0])]).sqnr_db > 90
