"""Options: those that pay, and no others."""

from __future__ import annotations

import pytest
from torch import nn

from edgecompress.low_rank.form import LayerCall
from edgecompress.low_rank.options import candidate
from edgecompress.low_rank.parts import Layer


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (nn.Linear(32, 32), ["svd"]),
        (nn.Conv1d(32, 32, 1), ["svd"]),
        (nn.Conv2d(32, 32, 1), ["svd"]),
        (nn.Conv2d(32, 32, (1, 3)), ["spatial", "tucker-2"]),
    ],
)
def test_forms_by_kind(layer: Layer, names: list[str]) -> None:
    assert [form.name for form in candidate("layer", layer).forms] == names


def test_ranks_that_have_as_many_weights_as_the_layer_do_not_pay() -> None:
    made = candidate("layer", nn.Linear(32, 32))
    assert [option.rank for option in made.options(4)] == [(4,), (8,), (12,)]  # 16 * (32 + 32) = 32 * 32
    assert all(option.parameters < made.parameters == 1024 for option in made.options(4))


def test_options_that_multiply_more_do_not_pay() -> None:
    layer = nn.Conv2d(32, 32, 3, stride=8)
    calls = [LayerCall(source=(1, 32, 35, 35), result=(1, 32, 5, 5))]
    free, counted = candidate("layer", layer), candidate("layer", layer, calls)
    assert {option.form.name for option in free.options(8)} == {"spatial", "tucker-2"}
    assert all(option.macs < counted.macs == 9 * 32 * 32 * 25 for option in counted.options(8))
    assert len(counted.options(8)) < len(free.options(8))


def test_they_say_what_they_are() -> None:
    convolution = candidate("layer", nn.Conv2d(8, 16, 3))
    assert str(convolution) == "16 x 8, kernel 3 x 3,"
    assert [str(convolution.option(*each)) for each in zip(convolution.forms, [(8,), (8, 4)], strict=True)] == [
        "rank 8 (spatial)",
        "rank 8 x 4 (tucker-2)",
    ]
    assert str(candidate("layer", nn.Linear(8, 16))) == "16 x 8"
