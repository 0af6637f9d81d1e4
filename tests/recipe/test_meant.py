"""Values as people write them become what the key takes; what fits no key stays, to be refused with its path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.recipe.meant import as_meant, name_as_meant, text_as_meant
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe, key_paths


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("pruning.amount", "50%", 0.5),
        ("pruning.amount", "12.5 %", 0.125),
        ("budgets.min_metric_kept", "99%", 0.99),
        ("budgets.max_accuracy_drop", "1%", 1.0),
        ("budgets.max_accuracy_drop", "1.5 points", 1.5),
        ("budgets.max_size_mb", "300kB", 0.3),
        ("budgets.max_size_mb", "300 KB", 0.3),
        ("budgets.max_size_mb", "2MB", 2.0),
        ("budgets.max_size_mb", "1 MiB", 1.048576),
        ("budgets.max_latency_ms", "5ms", 5.0),
        ("budgets.max_latency_ms", "2s", 2000.0),
        ("budgets.min_speedup", "2x", 2.0),
        ("budgets.min_compression_ratio", "4x", 4.0),
        ("budgets.min_sqnr_db", "30 dB", 30.0),
        ("pruning.enabled", "True", True),
        ("pruning.enabled", "yes", True),
        ("pruning.enabled", 1, True),
        ("pruning.enabled", "OFF", False),
        ("pruning.enabled", 0, False),
        ("training.epochs", 3.0, 3),
        ("seed", "3", 3),
        ("quantization.scheme", "FBGEMM", "fbgemm"),
        ("quantization.scheme", "x86", "fbgemm"),
        ("quantization.placement", "Table", "table"),
        ("pruning.goal", "FLOPs", "macs"),
        ("low_rank.goal", "params", "parameters"),
        ("quantization.observer", "MinMax", "min_max"),
        ("pruning.importance", "L2", "l2"),
        ("images.size", 224, [224, 224]),
        ("images.mean", 0.5, [0.5]),
        ("validation.on", "openvino", ["openvino"]),
        ("quantization.keep_float", "head.fc", ["head.fc"]),
        ("evaluation.metric", "accuracy", "top1"),
        ("evaluation.metric", "mAP", "map"),
        ("evaluation.metric", "mAP@50", "map50"),
        ("evaluation.metric", "IoU", "miou"),
        ("evaluation.metric", "Top-1", "top1"),
        ("training.loss", "CrossEntropyLoss", "cross_entropy"),
        ("training.loss", "MSELoss", "mse"),
        ("training.loss", "bce", "bce_with_logits"),
    ],
)
def test_what_is_written_is_what_is_meant(key: str, written: Any, meant: Any) -> None:
    found = as_meant(key, written)
    assert found == meant
    assert type(found) is type(meant)
    text = written if isinstance(written, str) else repr(written)
    override(Recipe(), [f"{key}={text}"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pruning.amount", 0.5),
        ("pruning.amount", "0,5"),
        ("pruning.amount", "5ms"),
        ("pruning.enabled", True),
        ("pruning.enabled", "maybe"),
        ("budgets.max_size_mb", "5ms"),
        ("budgets.max_latency_ms", "3 kB"),
        ("budgets.max_latency_ms", "50%"),
        ("training.epochs", 2.5),
        ("images.mean", "none"),
        ("images.mean", [0.5]),
        ("export.batch_size", "none"),
        ("quantization.scheme", "int8"),
        ("evaluation.metric", "nets.py:mAP"),
        ("evaluation.metric", 3),
        ("export.dynamic_axes.x.2", "length"),
        ("options.mine.key", "50%"),
        ("nowhere.amount", "50%"),
        ("pruning", {"amount": 0.4}),
    ],
)
def test_what_fits_or_fits_nothing_stays_as_it_is(key: str, value: Any) -> None:
    assert as_meant(key, value) is value


@pytest.mark.parametrize("key", key_paths())
def test_no_key_changes_its_own_default(key: str) -> None:
    value: Any = Recipe()
    for part in key.split("."):
        value = getattr(value, part)
    assert as_meant(key, value) == value


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("pruning.amount=0,5", "expected number, got '0,5' in 'pruning.amount'; write 0.5"),
        (
            "pruning.amount=50",
            "expected a value that is less than 1, got 50 in 'pruning.amount'; for 50 percent write 0.5",
        ),
        (
            "budgets.max_size_mb=5ms",
            "expected number, got '5ms' in 'budgets.max_size_mb'; write a number without a unit: size of the artifact"
            " in megabytes (10^6 bytes)",
        ),
        (
            "budgets.max_metric_drop=1%",
            "expected number, got '1%' in 'budgets.max_metric_drop'; write a number without a unit: how much worse than"
            " the float model the artifact may be, in the unit of evaluation.metric",
        ),
        (
            "budgets.max_accuracy_drop=lots",
            "expected number, got 'lots' in 'budgets.max_accuracy_drop'; write a number, or none to leave it out",
        ),
        ("pruning.amount=lots", "expected number, got 'lots' in 'pruning.amount'"),
        ("images.mean=ten", "expected a list, got 'ten' in 'images.mean'; write [first, second]"),
        ("images.size=small", "expected a list, got 'small' in 'images.size'; write [first, second]"),
        (
            "quantization.bits=8",
            "unknown key 'quantization.bits'; weights and activations have 8 bits, so leave it out"
            " (quantization.weight_bits names layers whose weights have fewer, quantization.keep_float those that stay"
            " float)",
        ),
        ("pruning.sparsity=0.5", "unknown key 'pruning.sparsity'; did you mean 'pruning.amount'?"),
        ("training.lr=0.1", "unknown key 'training.lr'; did you mean 'training.learning_rate'?"),
        (
            "quantization.scheme=int8",
            "expected a value that is 'fbgemm' or 'qnnpack', got 'int8' in 'quantization.scheme'; what the integers"
            " mean: fbgemm (7-bit activations) for x86, qnnpack (8-bit) for Arm; both are INT8",
        ),
        (
            "pruning.goal=mac",
            "expected a value that is 'channels', 'macs', 'parameters' or 'latency', got 'mac' in"
            " 'pruning.goal'; did you mean 'macs'?",
        ),
        ("output=out", "unknown key 'output'; it is an option: --output DIR"),
    ],
)
def test_what_cannot_be_meant_is_told_with_what_to_write(assignment: str, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        override(Recipe(), [assignment])
    assert str(caught.value) == told


def test_python_callers_may_use_the_same_names() -> None:
    recipe = MeasuredBy(metric="accuracy", loss="CrossEntropyLoss").named_in(Recipe())
    assert (recipe.evaluation.metric, recipe.training.loss) == ("top1", "cross_entropy")
    assert name_as_meant("evaluation.metric", len) is len


def test_python_callers_may_write_values_as_the_command_line_takes_them() -> None:
    assert text_as_meant("pruning.amount", "50%") == 0.5
    assert text_as_meant("quantization.scheme", "x86") == "fbgemm"
    for value in (2.0, None, len, np.float32(0.5), ["head"]):
        assert text_as_meant("pruning.multiple", value) is value
