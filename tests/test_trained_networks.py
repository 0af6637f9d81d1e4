"""Random networks: wherever training may take their integers, the file answers as the network that was trained."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from edgecompress.calibration import collect
from edgecompress.errors import EdgecompressError
from edgecompress.loading.sources import open_batches
from edgecompress.pipeline.fold import float_original
from edgecompress.progress import Progress
from edgecompress.quantization.aware.faithfulness import require_faithful
from edgecompress.quantization.aware.fake_quantized import FakeQuantized, learned_lowering
from edgecompress.quantization.aware.operators.no_form import NoFormError
from edgecompress.quantization.kept_float import kept_float
from edgecompress.quantization.lowering import Lowering, lower, schemes
from edgecompress.quantization.placement import place
from edgecompress.recipe.tables import Recipe
from tests.drawn_networks import Case, cases

NETWORKS = 1000 if settings.get_current_profile_name() == "fuzz" else 8


def _lowering(case: Case) -> tuple[Lowering, dict[str, torch.Tensor]]:
    rows = case.recipe.export.batch_size or 8
    recipe = Recipe(quantization=case.recipe.quantization, export=case.recipe.export)
    data = [case.batch(rows, number) for number in range(2)]
    batches = open_batches(data, "calibration", case.network, recipe)
    floats = float_original(case.network, recipe, batches.first())
    placement = place(floats.graph, kept_float(floats.graph, recipe.quantization))
    calibration = collect(floats, placement.pairs, batches, Progress())
    scheme = schemes(recipe.quantization)[-1]
    return lower(floats, placement, calibration, recipe.quantization, scheme), case.batch(rows, 99)


@settings(max_examples=NETWORKS, suppress_health_check=list(HealthCheck))
@given(case=cases(), seed=st.integers(0, 99), moved=st.sampled_from((0.0, 0.5, 3.0)))
def test_the_file_is_the_network_that_was_trained(case: Case, seed: int, moved: float) -> None:
    try:
        lowering, inputs = _lowering(case)
    except EdgecompressError:
        return event("refused")
    try:
        network = FakeQuantized(lowering)
    except NoFormError as error:
        return event(str(error).split()[0])
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(moved * torch.randn(parameter.shape, generator=generator))
    learned = learned_lowering(lowering, network)
    found = require_faithful(learned.write(), network, {name: value.numpy() for name, value in inputs.items()})
    return event("float" if found is None else "integers")
