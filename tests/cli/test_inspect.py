"""The tables of ``inspect``: within 80 columns, with totals, and with what they leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.cli import main
from edgecompress.inspection import Halved, Inspection, Layer, LayerSensitivity, Sensitivities
from edgecompress.metrics.metric import named_measure
from edgecompress.quantization.sensitivity import Sensitivity

LONG = [f"classifier.encoder.layers.{index}.attention.output.query_projection" for index in range(12)]


def _layer(name: str, macs: int | None = 29_000_000, share: float | None = 0.0625) -> Layer:
    return Layer(
        name=name,
        kind="VeryLongKindOfLayer",
        shape=(192, 3, 16, 16),
        precision="float32",
        parameters=147_456,
        bytes=590_592,
        macs=macs,
        share=share,
    )


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_long_names_leave_a_table_of_80_columns(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = (*map(_layer, LONG), _layer("last", None, None))
    found = Inspection(layers=layers, other_macs=1000, latency_ms=2.5, other_share=0.25, notes=("not counted: X (1)",))
    monkeypatch.setattr("edgecompress.api.inspect.inspect_model", lambda *_: found)
    assert main(["inspect", "any"]) == 0
    lines = _lines(capsys)
    heading, rows, rest = lines[0], lines[1:14], lines[14:]
    assert all(len(line) <= 80 for line in lines)
    assert len({row.split()[0] for row in rows}) == 13  # each still has a name of its own
    assert {row.index("192x3x16x16") for row in rows} == {heading.index("weight")}
    assert {len(row) for row in rows} == {len(heading)}
    assert rows[0].split()[2:] == ["192x3x16x16", "fp32", "147.5k", "29.0M", "590.6", "kB", "6.2", "%"]
    assert rows[-1].split()[-4:] == ["-", "590.6", "kB", "-"]
    assert rest == [
        "",
        "13 layers with weights, 1,916,928 parameters, 7.68 MB",
        "348.0M multiply-accumulates, 1.0k of them in products without weights",
        "2.50 ms in ONNX Runtime's operators; other operators: 25.0 %",
        "not counted: X (1)",
    ]


def test_losses_stand_side_by_side_and_reasons_below(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    integer = Sensitivity(name="a", kind="Conv", group=("a",), sqnr_db=40.0, gain_db=1.5, lost_ms=0.02)
    found = (
        LayerSensitivity(name="a", kind="Conv", quantized=integer, halved=Halved(group=("a", "b"), sqnr_db=12.0)),
        LayerSensitivity(name="b", kind="Conv", quantized=None, halved=Halved(group=("a", "b"), sqnr_db=12.0)),
        LayerSensitivity(name="head", kind="Gemm", quantized=integer, halved=Halved(reason="it is an output")),
    )
    monkeypatch.setattr("edgecompress.api.inspect.inspect_sensitivity", lambda *_: Sensitivities(layers=found))
    assert main(["inspect", "any", "--sensitivity", "--calibration", "data"]) == 0
    heading, first, second, third, *rest = _lines(capsys)
    assert heading.split() == ["layer", "kind", "integer", "float", "wins", "and", "costs", "halved"]
    assert first.split() == ["a", "Conv", "40.0", "dB", "+1.50", "dB", "+0.020", "ms", "12.0", "dB"]
    assert second.split() == ["b", "Conv", "-", "-", "-", "12.0", "dB"]
    assert third.split()[-1] == "-"
    assert rest[-2:] == ["halved together: a, b", "not halved: head: it is an output"]


@pytest.mark.parametrize(
    ("metric", "drop", "cell", "told"),
    [
        ("top1", 1.5, "1.50", "loses: of accuracy, top-1, with only that layer as integers, in points"),
        ("mae", 0.015625, "0.01562", "loses: of mae, with only that layer as integers"),
    ],
)
def test_what_the_metric_loses_has_a_column(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    metric: str,
    drop: float,
    cell: str,
    told: str,
) -> None:
    integer = Sensitivity(
        name="a", kind="Conv", group=("a",), sqnr_db=40.0, gain_db=1.5, lost_ms=0.02, metric_drop=drop
    )
    found = (
        LayerSensitivity(name="a", kind="Conv", quantized=integer, halved=Halved(sqnr_db=12.0)),
        LayerSensitivity(name="b", kind="Conv", quantized=None, halved=Halved(sqnr_db=12.0)),
    )
    result = Sensitivities(layers=found, measure=named_measure(metric))
    monkeypatch.setattr("edgecompress.api.inspect.inspect_sensitivity", lambda *_: result)
    assert main(["inspect", "any", "--sensitivity", "--calibration", "data", "--evaluation", "data"]) == 0
    heading, first, second, *rest = _lines(capsys)
    assert heading.split()[2:4] == ["integer", "loses"]
    assert first.split()[2:5] == ["40.0", "dB", cell]
    assert second.split()[2:4] == ["-", "-"]
    assert told in rest


def test_an_onnx_file_cannot_be_pruned_and_the_table_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = LayerSensitivity(name="a", kind="Conv", quantized=None, halved=None)
    monkeypatch.setattr("edgecompress.api.inspect.inspect_sensitivity", lambda *_: Sensitivities(layers=(row,)))
    assert main(["inspect", "any.onnx", "--sensitivity", "--calibration", "data"]) == 0
    assert _lines(capsys)[-1] == "halved: only a PyTorch module can be pruned; give file.py:callable"
