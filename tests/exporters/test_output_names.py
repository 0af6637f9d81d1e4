"""Outputs are called in PyTorch as they are in the exported file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgecompress.exporters.onnx import to_onnx
from edgecompress.exporters.output_names import named_outputs
from edgecompress.recipe.tables import Export
from edgecompress.runtime import execute

FORMS: dict[str, Any] = {
    "one": lambda x: x + 1,
    "a tuple": lambda x: (x + 1, x * 2),
    "a dict": lambda x: {"boxes": x + 1, "scores": x * 2},
    "a name that is taken": lambda x: {"x": x + 1, "y": x * 2},
    "nested": lambda x: {"heads": [x + 1, {"far": x * 2}]},
}


class Form(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor) -> Any:
        return FORMS[self.form](x)


@pytest.mark.parametrize("form", FORMS)
def test_names_and_order_are_those_of_the_file(form: str) -> None:
    network, inputs = Form(form), {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
    model = to_onnx(torch.export.export(network, (), {"x": torch.zeros(2, 3)}), Export())
    found = named_outputs(network, inputs)
    assert [value.name for value in model.graph.outputs] == [*found]
    for array, exported in zip(found.values(), execute(model, inputs), strict=True):
        np.testing.assert_allclose(array, exported)
