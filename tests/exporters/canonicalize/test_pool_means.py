"""A mean over height and width becomes GlobalAveragePool, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.exporters.canonicalize.pool_means import pool_means
from tests.exporters.graphs import draw, graph, run

X = draw(2, 4, 8, 8)


@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [3, 2]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_spatial_mean_is_pooled(axes: list[int], keepdims: int) -> None:
    body = f"y = ReduceMean<keepdims={keepdims}>(x, axes)"
    body += " z = Flatten(y)" if not keepdims else ""
    model = graph(body, axes=np.array(axes, np.int64))
    result = pool_means(model)
    operators = [node.op_type for node in result.model.graph]
    assert operators[0] == "GlobalAveragePool"
    assert "ReduceMean" not in operators
    np.testing.assert_allclose(run(result.model, X), X.mean((2, 3), keepdims=bool(keepdims)), rtol=1e-5, atol=1e-6)
    assert result.changes == ("y: ReduceMean became GlobalAveragePool",)
    assert model.graph[0].op_type == "ReduceMean"


@pytest.mark.parametrize("axes", [[1], [1, 2, 3], [3], [0, 1]])
def test_another_mean_stays(axes: list[int]) -> None:
    result = pool_means(graph("y = ReduceMean<keepdims=1>(x, axes)", axes=np.array(axes, np.int64)))
    assert [node.op_type for node in result.model.graph] == ["ReduceMean"]
    assert result.changes == ()


def test_nodes_without_a_name_get_one() -> None:
    model = graph("y = Relu(x)")
    for node in model.graph:
        node.name = None
    assert all(node.name for node in pool_means(model).model.graph)
