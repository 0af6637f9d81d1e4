"""The commands as a user runs them: what they print, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgecompress.cli import main
from edgecompress.runtime import to_bytes
from edgecompress.targets import profile_names
from edgecompress.targets.schema import profile_schema
from tests.exporters.bundles import write_keys
from tests.exporters.graphs import graph

COMPRESS = ["compress", "nets.py:net", "--calibration", "batches.py:calibration", "--set", "export.simplify=false"]
LOOSE = ["--set", "budgets.min_compression_ratio=none", "--set", "budgets.min_speedup=none"]
LOOSE += ["--set", "budgets.max_accuracy_drop=100"]


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    captured = capsys.readouterr()
    assert [line for line in captured.err.splitlines() if not line.startswith("warning: ")] == []
    return json.loads(captured.out)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80  # the last line may name a long path
    return lines


@pytest.fixture
def bundle(project: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main([*COMPRESS, *LOOSE, "--evaluation", "batches.py:evaluation", "--output", "out"]) == 0
    capsys.readouterr()
    return project / "out"


def test_compress_prints_plan_measures_and_verdict(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPRESS, *LOOSE, "--evaluation", "batches.py:evaluation"]) == 0
    lines = _lines(capsys)
    assert lines[0] == "mobile: quantization (much smaller model)"
    assert "  1. capture      torch.export, batch dimension dynamic" in lines
    assert any(line.startswith("accuracy, top-1") for line in lines)
    assert lines[-1].startswith("within budget (1 warning above): ")  # a network that was not trained guesses
    assert lines[-1].endswith("net-mobile")
    assert (project / "net-mobile" / "model.onnx").is_file()


def test_compress_prints_the_manifest_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPRESS, *LOOSE, "--output", "out", "--json"]) == 0
    document = _json(capsys)
    assert document["files"]["model.onnx"]["size_bytes"] == (project / "out" / "model.onnx").stat().st_size


def test_what_a_user_s_code_prints_stays_out_of_the_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loud = "print('read')\nfrom nets import net as silent\ndef net():\n    print('made')\n    return silent()\n"
    Path("loud.py").write_text(loud)
    assert main(["inspect", "loud.py:net", "--json"]) == 0
    captured = capsys.readouterr()
    assert "features.0" in {layer["name"] for layer in json.loads(captured.out)["layers"]}
    assert captured.err == "read\nmade\n"
    assert main(["inspect", "loud.py:net"]) == 0
    assert "made\n" in capsys.readouterr().out


def test_a_missed_budget_is_exit_1_and_the_bundle_is_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPRESS, "--set", "budgets.min_compression_ratio=1000", "--output", "out"]) == 1
    lines = _lines(capsys)
    assert any(line.startswith("min_compression_ratio") and line.rstrip().endswith("missed") for line in lines)
    assert lines[-1].startswith("budget missed: ")
    assert not any(line.startswith("to meet") for line in lines)  # what is mostly its graph gets no smaller
    assert (project / "out" / "model.onnx").is_file()


DICTS = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, 64), torch.nn.Linear(64, 2)
    def forward(self, inputs):
        return self.last(torch.relu(self.first(inputs["left"] - inputs["right"])))
def data():
    return [{"left": torch.linspace(-1, 1, 64).view(16, 4), "right": torch.linspace(0, 1, 64).view(16, 4) ** 2}] * 2
"""


def test_advice_on_a_missed_budget_takes_inputs_in_a_dict_as_the_run_did(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dicts.py").write_text(DICTS)
    given = ["compress", "dicts.py:Net", "--calibration", "dicts.py:data", "--set", "export.simplify=false", *LOOSE]
    assert main([*given, "--set", "budgets.max_latency_ms=1e-9", "--output", "out"]) == 1
    captured = capsys.readouterr()
    assert "to meet max_latency_ms: --train DATA --set pruning.enabled=true" in captured.out
    assert "error" not in captured.err


def test_training_data_that_nothing_reads_is_a_warning(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPRESS, *LOOSE, "--train", "batches.py:calibration", "--output", "out"]) == 0
    assert "warning: the training data is not read" in capsys.readouterr().err


def test_the_teacher_is_the_original_of_what_it_taught(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loose = [text for key in ("max_accuracy_drop", "min_speedup") for text in ("--set", f"budgets.{key}=none")]
    taught = ["--teacher", "nets.py:residual", "--train", "batches.py:evaluation", "--set", "training.epochs=1"]
    data = ["--evaluation", "batches.py:evaluation", "--output", "out"]
    assert main(["compress", "nets.py:net", "--target", "realtime", *taught, *loose, *data]) == 0
    assert "the model learns for 1 epoch what ResidualNet says" in " ".join(capsys.readouterr().out.split())
    assert main(["compress", "nets.py:residual", "--set", "quantization.enabled=false", *loose, *data[:2]]) in (0, 1)
    size, own = (
        json.loads(Path(folder, "manifest.json").read_text())["metrics"]["size_bytes"]
        for folder in ("out", "residual-mobile")
    )
    assert size["original"] == own["original"]
    assert size["compressed"] != size["original"]


def test_validate_measures_a_bundle_again(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "out", "--evaluation", "batches.py:evaluation", "--json"]) == 0
    document = _json(capsys)
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert document["measures"]["accuracy"]["value"] == manifest["metrics"]["accuracy"]["compressed"]
    assert document["measures"]["accuracy"]["source"] == "measured here"
    assert document["measures"]["speedup"]["source"] == "recorded"
    assert document["measures"]["self_test_db"]["value"] == 200.0
    assert main(["validate", "out"]) == 0
    assert any(line.startswith("size_mb") for line in _lines(capsys))


@pytest.mark.parametrize(
    ("option", "limit"), [("--max-size-mb", "0.000001"), ("--max-latency-ms", "0.000001"), ("--min-speedup", "1000")]
)
def test_validate_holds_a_bundle_to_a_tighter_budget(
    bundle: Path, option: str, limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "out", option, limit]) == 1
    assert _lines(capsys)[-1].startswith("budget missed")


def test_a_budget_that_nothing_was_measured_for_is_told_and_is_no_gate(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMPRESS, *LOOSE, "--output", "out"]) == 0
    assert _lines(capsys)[-1].startswith("within budget (accuracy not measured: give --evaluation DATA with labels; ")
    for option, measure, fix in (
        (
            "--max-accuracy-drop",
            "accuracy_drop",
            "give labelled --evaluation data and the float model (--original)",
        ),
        ("--min-cpu-agreement", "cpu_agreement", "name a CPU with --cpu"),
        ("--min-runtime-agreement", "runtime_agreement", "name a runtime with --on"),
    ):
        assert main(["validate", "out", option, "1"]) == 2
        line = f"error: '{option}' was asked for, and {measure} is not measured; {fix}"
        assert capsys.readouterr().err.splitlines()[-1] == line


def test_an_output_that_exists_is_refused_before_the_model_is_loaded(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compress", "absent.py:net", "--calibration", "batches.py:calibration", "--output", "out"]) == 2
    assert capsys.readouterr().err == "error: output 'out' exists; choose another --output or add --overwrite\n"


def test_validate_times_against_the_float_model(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = str(bundle / "model.onnx")
    assert main(["validate", "out", "--original", original, "--json"]) in (0, 1)
    speedup = _json(capsys)["measures"]["speedup"]
    assert speedup["source"] == "measured here"
    assert speedup["value"] == pytest.approx(1.0, abs=0.5)


def test_validate_refuses_what_cannot_be_a_limit(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--max-size-mb", "-1"), ("--max-latency-ms", "nan"), ("--min-speedup", "inf")):
        assert main(["validate", "out", option, value]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: expected a value that is ")
        assert line.endswith(f"in '{option}'")


def test_validate_refuses_an_original_of_another_network(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong.onnx").write_bytes(to_bytes(graph("y = Relu(x)")))
    Path("garbage.onnx").write_bytes(b"garbage")
    for name in ("wrong.onnx", "garbage.onnx"):
        assert main(["validate", "out", "--original", name]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: '{name}'")


def test_threads_have_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "model.onnx", "--threads", "99999999999"]) == 2
    assert "256" in capsys.readouterr().err


def test_validate_refuses_a_bundle_that_was_changed(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (bundle / "model.onnx").open("ab") as file:
        file.write(b"\0")
    assert main(["validate", "out"]) == 2
    assert "'model.onnx' was changed after it was written" in capsys.readouterr().err


def test_a_signed_bundle_is_validated_with_the_key(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_keys(Path())
    assert main(["validate", "out", "--verify-key", "pub.pem"]) == 2
    assert capsys.readouterr().err == "error: bundle 'out' is not signed; edgecompress sign --key KEY.pem signs it\n"
    assert main(["sign", "out", "--key", "key.pem"]) == 0
    assert capsys.readouterr().out == "signed: out/manifest.sig\n"
    assert main(["validate", "out", "--verify-key", "pub.pem"]) == 0
    capsys.readouterr()
    assert main([*COMPRESS, *LOOSE, "--output", "out", "--overwrite", "--sign", "pub.pem"]) == 2
    assert "'pub.pem' is no private key in PEM" in capsys.readouterr().err
    assert main([*COMPRESS, *LOOSE, "--output", "out", "--overwrite", "--sign", "key.pem"]) == 0
    assert main(["validate", "out", "--verify-key", "pub.pem"]) == 0


def test_benchmark_compares_with_the_first_file(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = f"{bundle.name}/model.onnx"
    assert main(["benchmark", file, file, "--runs", "20", "--json"]) == 0
    first, second = _json(capsys)
    assert first["speedup"] == 1
    assert first["verdict"] == "no difference"
    assert second["low"] <= second["speedup"] <= second["high"]
    assert (second["batch_size"], second["threads"], first["latency"]["median_ms"] > 0) == (1, 1, True)
    assert first["memory_bytes"] >= 0
    assert main(["benchmark", file, file, "--runs", "20", "--batch-size", "2", "--batch-size", "3"]) == 0
    heading, *rows, two, three = _lines(capsys)
    assert heading.split() == ["file", "batch", "size", "memory", "median", "p95", "p99"]
    assert [row.split()[:2] for row in rows] == [[file, size] for size in "2233"]
    assert all(len(row) <= 80 for row in rows)
    assert two.startswith(f"{file}, batch 2: ")
    assert three.startswith(f"{file}, batch 3: ")
    assert three.endswith(("than the first", "x)"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["absent.onnx"], "model file 'absent.onnx' does not exist"),
        (["nets.py"], "'nets.py': ONNX Runtime refuses the model"),
        (["fixed.onnx", "--batch-size", "4"], "the batch size of 'fixed.onnx' is fixed at 1"),
        (["fixed.onnx", "other.onnx"], "give files that take the same inputs"),
        (["fixed.onnx", "--threads", "0"], "--threads"),
        (["fixed.onnx", "--runs", "0"], "--runs"),
        (["fixed.onnx", "--batch-size", "0"], "--batch-size"),
    ],
)
def test_benchmark_refuses_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    for name, shape in (("fixed", "float[1,3]"), ("other", "float[1,4]")):
        text = f'<ir_version: 8, opset_import: ["" : 13]> one ({shape} x) => ({shape} y) {{ y = Relu(x) }}'
        (project / f"{name}.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    assert main(["benchmark", *options]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert captured.out == ""


def test_inspect_lists_a_model_and_its_artifact(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "nets.py:net", "--json"]) == 0
    document = _json(capsys)
    layers = {layer["name"]: layer for layer in document["layers"]}
    assert layers["features.0"]["shape"] == [8, 3, 3, 3]
    assert (layers["features.0"]["parameters"], layers["features.0"]["bytes"]) == (216, 864)
    assert (layers["features.0"]["macs"], layers["features.0"]["share"], document["latency_ms"]) == (None, None, None)
    assert "give calibration data" in document["notes"][0]
    assert main(["inspect", "nets.py:net", "--calibration", "batches.py:calibration", "--json"]) == 0
    document = _json(capsys)
    assert document["layers"][0]["macs"] == 8 * 27 * 16 * 16
    assert document["macs"] > document["layers"][0]["macs"]
    assert document["latency_ms"] > 0
    assert main(["inspect", str(bundle / "model.onnx"), "--json"]) == 0
    document = _json(capsys)
    layers = {layer["name"]: layer for layer in document["layers"]}
    assert 0 < layers["features.0"]["share"] < 1
    assert 0 < document["other_share"] < 1
    assert (layers["features.0"]["kind"], layers["features.0"]["precision"]) == ("Conv", "float32")
    assert (layers["features.3"]["kind"], layers["features.3"]["precision"]) == ("Conv", "int8")
    assert layers["features.3"]["bytes"] == 16 * 72 + 16 * 4  # int8 weights, and an int32 bias for each channel
    assert main(["inspect", "nets.py:net"]) == 0
    lines = _lines(capsys)
    assert lines[0].split() == ["layer", "kind", "weight", "type", "params", "MACs", "bytes", "time"]
    assert any("classifier" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_inspect_refuses_in_one_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.onnx").write_text("no model")
    Path("small.onnx").write_bytes(to_bytes(graph("y = Relu(x)")))
    for options, words in (
        (["absent.onnx"], "model file 'absent.onnx' does not exist"),
        (["text.onnx"], "'text.onnx' is not a valid ONNX model"),
        (["."], "is a folder"),
        (["small.onnx", "--calibration", "batches.py:calibration"], "the exported model takes float32 (N, 4, 8, 8)"),
        (["nets.py:net", "--sensitivity"], "--sensitivity runs the model on data; give --calibration"),
        (
            ["nets.py:net", "--sensitivity", "--metric", "f1"],
            "a metric is measured on data with labels; give --evaluation",
        ),
        (
            ["nets.py:net", "--evaluation", "x"],
            "layers are measured on evaluation data for --sensitivity only; give it, too",
        ),
    ):
        assert main(["inspect", *options]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert words in line


def test_targets_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "list"]) == 0
    lines = _lines(capsys)
    assert (len(lines), lines[6].split()) == (15, ["device", "extends", "CPU", "reason"])
    assert main(["targets", "list", "--json"]) == 0
    rows = {row["name"]: row for row in _json(capsys)}
    assert list(rows) == profile_names()
    assert (rows["edge"]["extends"], rows["raspberry-pi-4"]["extends"]) == (None, "edge")
    assert main(["targets", "show", "mobile", "--json"]) == 0
    assert _json(capsys)["recipe"]["quantization"]["scheme"] == "qnnpack"


def test_what_targets_show_prints_is_a_target(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "show", "mobile"]) == 0
    Path("mine.toml").write_text(capsys.readouterr().out)
    assert main(["targets", "show", "mine.toml", "--json"]) == 0
    mine = _json(capsys)["recipe"]
    assert main(["targets", "show", "mobile", "--json"]) == 0
    assert mine == _json(capsys)["recipe"]


def test_targets_show_says_where_each_value_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "show", "mini-pc", "--set", "cpu.threads=2"]) == 0
    lines = [line.split() for line in _lines(capsys)]
    assert ["threads", "=", "2", "#", "--set"] in lines
    assert ["scheme", "=", '"fbgemm"', "#", "mini-pc"] in lines
    assert main(["targets", "show", "mini-pc", "--set", "cpu.threads=2", "--json"]) == 0
    document = _json(capsys)
    assert document["files"] == ["mobile", "mini-pc"]
    assert (document["recipe"]["cpu"]["threads"], document["sources"]["cpu.threads"]) == (2, "--set")


def test_targets_schema_is_the_schema_of_a_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "schema"]) == 0
    assert _json(capsys) == profile_schema()


def test_sensitivity_of_a_target_that_prunes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["inspect", "nets.py:net", "--sensitivity", "--target", "edge", "--calibration", "batches.py:calibration"]
    assert main([*command, "--json"]) == 0
    rows = {row["name"]: row for row in _json(capsys)}
    assert rows["features.0"]["quantized"] is None  # floats are faster there
    assert rows["features.3"]["quantized"]["sqnr_db"] > 10
    assert rows["features.3"]["halved"]["sqnr_db"] < rows["features.3"]["quantized"]["sqnr_db"]
    assert rows["classifier"]["halved"]["reason"].endswith("is an output of the network")
