"""A lowering reaches the other processes as it is."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import onnx
import onnx_ir as ir
import pytest

from edgecompress.calibration import Workers
from edgecompress.quantization.aware.agreement import agreed_lowering
from edgecompress.quantization.lowering import Lowering
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph
from tests.quantization.lowerings import lowering_of

DATA = draw(8, 4, 8, 8)


class Led(Workers):
    """A process that hears what the first one said, as it comes out of a pipe."""

    heard: bytes = pickle.dumps(None)

    def exchange(self, make: Callable[[], object]) -> list[object]:  # type: ignore[override]
        said = make()
        if self.rank == 0:
            Led.heard = pickle.dumps(said)
        return [pickle.loads(Led.heard), None]


@pytest.fixture
def lowering() -> Lowering:
    """Of a file that was read: its tensors are those of protobuf."""
    text = "a = Conv<pads=[1,1,1,1]>(x, w) b = Conv(x, v) y = Concat<axis=1>(a, b)"
    made = graph(text, w=draw(4, 4, 3, 3), v=draw(2, 4, 1, 1))
    read = ir.from_proto(onnx.load_from_string(to_bytes(made)))
    return lowering_of(read, DATA, integer_entry=True)


def test_a_process_alone_keeps_what_it_found(lowering: Lowering) -> None:
    assert agreed_lowering(Workers(), lambda: lowering) is lowering
    assert agreed_lowering(Workers(), lambda: None) is None


def test_others_get_the_lowering_of_the_first(lowering: Lowering) -> None:
    def never() -> Lowering:
        raise AssertionError

    agreed_lowering(Led(rank=0, count=2), lambda: lowering)
    found = agreed_lowering(Led(rank=1, count=2), never)
    assert found is not None
    assert to_bytes(found.write()) == to_bytes(lowering.write())
    assert _shared(found) == _shared(lowering)


def _shared(lowering: Lowering) -> list[tuple[str, str]]:
    """Values that have their parameters in common."""
    return [(a, b) for a, of_a in lowering.params.items() for b, of_b in lowering.params.items() if of_a is of_b]


def test_others_hear_that_nothing_is_trained() -> None:
    agreed_lowering(Led(rank=0, count=2), lambda: None)
    assert agreed_lowering(Led(rank=1, count=2), lambda: None) is None
