"""One node, in PyTorch and in ONNX's reference evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from edgecompress.quantization.aware.operators import function_of

Inputs = Sequence[NDArray[Any] | None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """An operator with attributes, on arrays; None for an input that is left out."""

    op: str
    inputs: Inputs
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1

    @property
    def name(self) -> str:
        """The operator and its attributes."""
        return " ".join([self.op, *(f"{key}={value}" for key, value in self.attributes.items())])

    @property
    def model(self) -> onnx.ModelProto:
        """The node as a model of opset 20."""
        names = ["" if array is None else f"x{index}" for index, array in enumerate(self.inputs)]
        node = onnx.helper.make_node(self.op, names, [f"y{i}" for i in range(self.outputs)], **self.attributes)
        given = [
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, self.inputs, strict=True)
            if array is not None
        ]
        wanted = [onnx.ValueInfoProto(name=name) for name in node.output]
        graph = onnx.helper.make_graph([node], "one", given, wanted)
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])

    def expected(self) -> list[NDArray[Any]]:
        """What the reference evaluator answers."""
        known = {f"x{index}": array for index, array in enumerate(self.inputs) if array is not None}
        return list(ReferenceEvaluator(self.model).run(None, known))

    def answered(self) -> list[NDArray[Any]]:
        """What the function in PyTorch answers."""
        node = next(iter(ir.from_proto(self.model).graph))
        found = function_of(node)(*(None if array is None else torch.tensor(array) for array in self.inputs))
        return [value.detach().numpy() for value in (found if isinstance(found, tuple) else (found,))]


def require_equal(case: Case) -> None:
    """Both answer the same: shapes, types and values, floats up to the order of their sums."""
    expected, answered = case.expected(), case.answered()
    assert len(expected) == len(answered)
    for wanted, found in zip(expected, answered, strict=True):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)
