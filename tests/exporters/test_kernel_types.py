"""The table of kernel types is sorted, and nothing else of the file changes."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.exporters.kernel_types import read_kernel_types, sort_kernel_types
from edgecompress.exporters.ort_format import run_portable, same_bits, to_ort
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph

BODY = "c = Conv(x, w) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p) s = Softmax(f) y = Gemm(s, v)"
ARTIFACT = to_bytes(graph(BODY, w=draw(4, 4, 3, 3), v=draw(4, 4, seed=1)))


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The file as ONNX Runtime writes it."""
    monkeypatch.setattr("edgecompress.exporters.ort_format.sort_kernel_types", bytes)
    return to_ort(ARTIFACT)


def test_the_same_table_comes_out_in_order(raw: bytes) -> None:
    before, after = read_kernel_types(raw), read_kernel_types(sort_kernel_types(raw))
    assert after == before
    assert list(after) == sorted(before)
    assert all(list(types) == sorted(types) for types in after.values())
    # What the operators' schemas in the ONNX standard say: one type T for inputs (0) and outputs (1).
    assert before[":Softmax:13"] == {"T": [(0, 0), (1, 0)]}


def test_the_model_behind_it_is_kept_byte_for_byte(raw: bytes) -> None:
    weights = draw(4, 4, seed=1).tobytes()
    end = len(raw) - raw.index(weights)
    assert len(sort_kernel_types(raw)) - sort_kernel_types(raw).index(weights) == end


def test_it_runs_as_before_and_sorting_again_changes_nothing(raw: bytes) -> None:
    x = draw(3, 4, 8, 8)
    ordered = sort_kernel_types(raw)
    assert same_bits(run_portable(raw, {"x": x}), run_portable(ordered, {"x": x}))
    assert sort_kernel_types(ordered) == ordered


@pytest.mark.parametrize("content", [b"", b"ORTM", ARTIFACT])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="ORT format"):
        sort_kernel_types(content)


def test_values_of_more_than_four_bytes_stay_aligned(raw: bytes) -> None:
    ordered = sort_kernel_types(raw)
    weights = draw(4, 4, seed=1).tobytes()
    assert ordered.index(weights) % 4 == 0
    assert len(ordered) % 64 == 0
    assert np.frombuffer(ordered, np.float32, 16, ordered.index(weights)).tobytes() == weights
