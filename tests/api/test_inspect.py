"""An artifact has the same layers, however it is handed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import edgecompress
from edgecompress.progress import CallerWarnings
from tests.networks import ConvNet, images, seeded


def test_a_file_a_model_and_a_bundle_have_the_same_layers(small_bundle: Path) -> None:
    bundle = edgecompress.read_bundle(small_bundle)
    given = (bundle, bundle.artifact, str(bundle.artifact), ir.load(bundle.artifact))
    found = [edgecompress.inspect(each) for each in given]
    layers = [[replace(layer, share=None) for layer in each.layers] for each in found]
    assert layers[0] == layers[1] == layers[2] == layers[3]
    assert layers[0]


def test_sensitivity_measures_a_metric_of_one_s_own() -> None:
    batches = [(x, np.zeros(len(x), np.int64)) for x, _ in images()]
    found = edgecompress.inspect(
        seeded(ConvNet),
        sensitivity=True,
        calibration=images(),
        evaluation=batches,
        metric=lambda outputs, targets: float(np.abs(outputs).mean()) + float(targets.sum()),
        overrides=["export.simplify=false", "evaluation.higher_is_better=false"],
    )
    drops = [layer.quantized.metric_drop for layer in found.layers if layer.quantized is not None]
    assert drops
    assert all(drop is not None and 0 < abs(drop) < 0.1 for drop in drops)


def test_sensitivity_names_every_layer() -> None:
    found = edgecompress.inspect(
        seeded(ConvNet), sensitivity=True, calibration=images(), overrides=["export.simplify=false"]
    )
    assert len(found.document()) == len(found.layers) > 0


def test_a_target_may_name_what_is_gone_where_that_does_not_run(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    text = '[quantization]\nobserver = "theirs"\n[evaluation]\nmetric = "theirs"\n[export]\nsimplify = false\n'
    own.write_text(text)
    with pytest.warns(UserWarning, match="no package registers the (observer|metric) 'theirs'") as heard:
        found = edgecompress.inspect(seeded(ConvNet), calibration=images(), target=own, progress=CallerWarnings())
    assert (len(heard), len(found.layers)) == (2, len(edgecompress.inspect(seeded(ConvNet)).layers))
    with pytest.raises(edgecompress.RecipeError) as caught:
        edgecompress.inspect(seeded(ConvNet), sensitivity=True, calibration=images(), target=own)
    assert str(caught.value) == "no package registers the observer 'theirs'; install the one that does"
