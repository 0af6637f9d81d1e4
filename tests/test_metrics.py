"""A metric that is no accuracy decides as accuracy does, from the command line and from Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

import edgecompress
from edgecompress.bundle.reading import read_bundle
from edgecompress.bundle.revalidation import revalidate
from edgecompress.cli.app import main
from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.progress import Progress
from edgecompress.report.page import render
from edgecompress.runtime import open_session, run_session

QUICK = ("export.simplify=false", "cpu.runs=10", "budgets.min_speedup=none", "budgets.min_compression_ratio=none")
NETS = """
import torch
from torch import nn

class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 64), nn.Linear(64, 1)
    def forward(self, x): return self.last(torch.relu(self.first(x)))

class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 4, 1)
    def forward(self, x): return self.last(torch.relu(self.first(x)))

def seeded(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind().eval()

def regressor(): return seeded(Regressor)
def segmenter(): return seeded(Segmenter)

def draw(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for _ in range(3)]

def vectors(): return draw(0, 64, 8)
def numbers():
    with torch.no_grad(): return [(x, regressor()(x)[:, 0] + 0.001) for x in draw(1, 64, 8)]
def mean_error(outputs, targets): return float(abs(outputs[:, 0] - targets).mean())

def pictures(): return draw(0, 8, 3, 16, 16)
def masks():
    found = []
    for x in draw(1, 8, 3, 16, 16):
        with torch.no_grad(): mask = segmenter()(x).argmax(1)
        mask[:, :2] = 255
        found.append((x, mask.to(torch.uint8)))
    return found
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a regressor and a segmenter, their data, and a metric of their author's."""
    (tmp_path / "own_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _options(kind: str, output: str, *more: str) -> list[str]:
    inputs, targets = {"regressor": ("vectors", "numbers"), "segmenter": ("pictures", "masks")}[kind]
    data = ["--calibration", f"own_nets.py:{inputs}", "--evaluation", f"own_nets.py:{targets}"]
    sets = [part for key in QUICK for part in ("--set", key)]
    return ["compress", f"own_nets.py:{kind}", *data, *sets, "--output", output, *more]


def _oracle(bundle: edgecompress.Bundle, data: Any) -> float:
    """The mean absolute error of the artifact, by a session and NumPy alone."""
    session = open_session(bundle.artifact, threads=1)
    found = [abs(run_session(session, {"x": x.numpy()})[0][:, 0] - y.numpy()) for x, y in data]
    return float(np.concatenate(found).mean())


def _loaded(nets: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(NETS, str(nets / "own_nets.py"), "exec"), names)
    return names


@pytest.mark.parametrize("metric", ["mae", "own_nets.py:mean_error"])
def test_an_error_decides_the_exit_status_and_is_shown(
    nets: Path, metric: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lower = ["--set", "evaluation.higher_is_better=false", "--set", "quantization.fallback_evaluations=0"]
    status = {}
    for limit in ("1e-6", "0.5"):
        budget = ["--set", f"budgets.max_metric_drop={limit}", "--overwrite"]
        status[limit] = main(_options("regressor", "out", "--metric", metric, *lower, *budget))
    assert status == {"1e-6": 1, "0.5": 0}
    bundle = read_bundle(nets / "out")
    found, accuracy = bundle.manifest.metrics["metric"], bundle.manifest.metrics["accuracy"]
    assert found["original"] == pytest.approx(0.001, rel=1e-3)
    assert found["compressed"] == pytest.approx(_oracle(bundle, _loaded(nets)["numbers"]()), rel=1e-4)
    assert found["drop"] == pytest.approx(found["compressed"] - found["original"])
    assert found["kept"] == pytest.approx(found["original"] / found["compressed"])
    assert (found["name"], found["unit"], found["higher_is_better"]) == (metric, "", False)
    assert [accuracy[key] for key in ("original", "compressed", "drop")] == [None] * 3
    shown = capsys.readouterr().out.splitlines()
    title = metric.rpartition(":")[2]
    assert any(line.split()[:2] == [title, "0.001000"] for line in shown)
    assert any(line.split()[0] == "max_metric_drop" for line in shown if line.strip())
    page = render(json.loads((bundle.path / "report.json").read_text()))
    assert f"</b>{title}\n" in page
    assert "top-1" not in page


def test_the_metric_decides_which_layers_return_to_float(nets: Path) -> None:
    """With as many evaluations as it wants, what the budget does not allow does not ship."""
    integers = {}
    for limit in ("1e-6", "0.5"):
        budget = ("--set", f"budgets.max_metric_drop={limit}", "--set", "quantization.fallback_evaluations=4")
        assert main(_options("regressor", f"out{limit}", "--metric", "mae", *budget)) == 0
        operators = [node.op_type for node in ir.load(nets / f"out{limit}" / "model.onnx").graph]
        integers[limit] = "QuantizeLinear" in operators
    assert integers == {"1e-6": False, "0.5": True}


def test_masks_with_unknown_places_are_measured_and_points_bound_them(nets: Path) -> None:
    assert main(_options("segmenter", "out", "--metric", "miou")) in (0, 1)
    manifest = read_bundle(nets / "out").manifest
    assert manifest.metrics["metric"]["original"] == pytest.approx(100)
    assert [check.budget for check in manifest.verdict.budgets] == ["max_metric_drop"]
    assert manifest.recipe["budgets"] == {"max_metric_drop": 1.5}
    assert manifest.metrics["parity"]["compressed"]["top1_agreement"] is not None


def test_points_of_a_share_are_doubted_wherever_they_are_given(nets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (nets / "shares.py").write_text(
        "def right(outputs, targets): return float((outputs.argmax(1) == targets).mean())\n"
    )
    limit = ("--set", "budgets.max_metric_drop=1.5", "--set", "quantization.fallback_evaluations=0")
    assert main(_options("segmenter", "out", "--metric", "shares.py:right", *limit)) == 0
    masked = 1 - 2 / 16
    told = (
        f"if 'shares.py:right', {masked} before, is a share: the limit is in its own unit; write 0.015 for 1.5 points"
    )
    given = f"warning: max_metric_drop=1.5 cannot be missed {told}"
    assert given in capsys.readouterr().err.splitlines()
    again = ("--evaluation", "own_nets.py:masks", "--metric", "shares.py:right")
    assert main(["validate", "out", *again]) == 0
    assert given in capsys.readouterr().err.splitlines()
    main(["diff", "out", "out", *again, "--max-metric-loss", "1.5"])
    heard = capsys.readouterr().err
    assert "warning: max_metric_loss=1.5 cannot be missed if 'shares.py:right'" in heard
    assert main(["validate", "out", *again, "--max-metric-drop", "0.015"]) == 0
    assert "cannot be missed" not in capsys.readouterr().err


def _in_python(nets: Path, metric: Any, **options: Any) -> edgecompress.Bundle:
    names = _loaded(nets)
    return edgecompress.compress(
        names["regressor"](),
        calibration=names["vectors"](),
        evaluation=names["numbers"](),
        metric=metric,
        output=nets / "python",
        overwrite=True,
        overrides=[*QUICK, "budgets.max_metric_drop=0.5", "evaluation.higher_is_better=false"],
        **options,
    )


class MeanError(nn.Module):
    """The form of torchmetrics."""

    higher_is_better = False
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(2, dtype=torch.float64))

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.total += torch.tensor([(preds[:, 0] - target).abs().sum(), len(target)])

    def compute(self) -> Tensor:
        return self.total[0] / self.total[1]

    def reset(self) -> None:
        self.total.zero_()


def _error(outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any]) -> float:
    return float(abs(outputs[:, 0] - targets).mean())


@pytest.mark.parametrize("metric", ["mae", MeanError(), MeanError, _error], ids=["name", "object", "class", "function"])
def test_every_form_gives_the_figures_of_the_built_in(nets: Path, metric: Any) -> None:
    bundle = _in_python(nets, metric)
    found = bundle.manifest.metrics["metric"]
    assert found["original"] == pytest.approx(0.001, rel=1e-3)
    assert found["compressed"] == pytest.approx(_oracle(bundle, _loaded(nets)["numbers"]()), rel=1e-4)
    assert bundle.passed


def _validated(bundle: Path, metric: Any = None, evaluation: str | None = None, **limits: float) -> dict[str, Any]:
    return revalidate(
        bundle, limits, evaluation=evaluation, original=None, on=(), progress=Progress(), by=MeasuredBy(metric=metric)
    ).document()


def test_a_bundle_is_validated_by_its_metric(nets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_options("regressor", "out", "--metric", "mae", "--set", "budgets.max_metric_drop=0.5")) == 0
    recorded, data = read_bundle(nets / "out").manifest.metrics["metric"], "own_nets.py:numbers"
    for found in (_validated(nets / "out"), _validated(nets / "out", evaluation=data)):
        values = {name: found["measures"][name]["value"] for name in ("metric", "metric_drop", "metric_kept")}
        assert values == pytest.approx(
            {"metric": recorded["compressed"], "metric_drop": recorded["drop"], "metric_kept": recorded["kept"]}
        )
        assert found["verdict"]["budgets"][0]["budget"] == "max_metric_drop"
    tight = _validated(nets / "out", evaluation=data, max_metric_drop=1e-9)
    assert tight["verdict"]["outcome"] == "fail"
    other = _validated(nets / "out", "rmse", data)
    assert other["measures"]["metric"]["value"] >= recorded["compressed"]
    assert other["measures"]["metric_drop"]["value"] is None  # nothing says what the float model's is
    capsys.readouterr()
    assert main(["validate", "out", "--evaluation", data, "--min-metric-kept", "0.1"]) == 0
    assert any(line.startswith("mae ") for line in capsys.readouterr().out.splitlines())
    # A floor holds whatever became of the float model.
    reached = str(1.01 * recorded["compressed"])
    assert main(["validate", "out", "--evaluation", data, "--max-metric", reached]) == 0
    assert main(["validate", "out", "--evaluation", data, "--max-metric", "1e-9"]) == 1
    assert "max_metric" in capsys.readouterr().out
    assert main(["validate", "out", "--evaluation", data, "--min-metric", "0"]) == 2


def test_code_of_the_bundle_s_maker_runs_where_it_is_named_again(
    nets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lower = ("--set", "evaluation.higher_is_better=false", "--set", "budgets.max_metric_drop=0.5")
    assert main(_options("regressor", "out", "--metric", "own_nets.py:mean_error", *lower)) == 0
    data = "own_nets.py:numbers"
    with pytest.raises(RecipeError, match="code that its maker named; give --metric"):
        _validated(nets / "out", evaluation=data)
    found = _validated(nets / "out", "own_nets.py:mean_error", data)
    assert found["measures"]["metric_drop"]["value"] == pytest.approx(
        _validated(nets / "out")["measures"]["metric_drop"]["value"]
    )
    assert main(["validate", "out", "--evaluation", data, "--metric", "own_nets.py:mean_error"]) == 0


FAULTS: dict[str, tuple[str, str]] = {
    "is nan": ("def f(outputs, targets): return float('nan')", "gives nan for evaluation batch 0"),
    "is a vector": ("def f(outputs, targets): return abs(outputs)", "gives float32 (64, 1) for evaluation batch 0"),
    "raises": ("def f(outputs, targets): raise ValueError('odd')", "raised ValueError on evaluation batch 0: odd"),
    "is not there": ("def g(outputs, targets): return 1.0", "has no callable 'f'; name one that it has"),
    "takes three": ("def f(a, b, c): return 1.0", "cannot be called with (outputs, targets)"),
    "is a vector at last": (
        "class f:\n  def update(self, o, t): ...\n  def compute(self): return [1.0]\n  def reset(self): ...",
        "gives a list of 1, the first a float for all batches",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_metric_that_is_none_ends_in_one_line(nets: Path, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, told = FAULTS[fault]
    (nets / "bad.py").write_text(text)
    sets = ("--set", "evaluation.higher_is_better=true", "--set", "budgets.max_metric_drop=1")
    assert main(_options("regressor", "out", "--metric", "bad.py:f", *sets)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]
    assert ";" in lines[0]
    assert not (nets / "out").exists()


def _comparison(nets: Path, *more: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    data = ["--calibration", "own_nets.py:vectors", "--evaluation", "own_nets.py:numbers", "--output", "table"]
    sets = [part for key in QUICK for part in ("--set", key)]
    capsys.readouterr()
    assert main(["compare", "own_nets.py:regressor", *data, *sets, "--json", *more]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_every_row_of_a_comparison_is_measured_by_the_metric(nets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _comparison(nets, "--metric", "mae", capsys=capsys)
    rows = {row["key"]: row for row in found["rows"]}
    assert rows["original"]["metric_value"] == pytest.approx(0.001, rel=1e-3)
    assert rows["original"]["metric_drop"] == 0
    integers = rows["int8"]
    wanted = _oracle(read_bundle(nets / "table" / "int8"), _loaded(nets)["numbers"]())
    assert integers["metric_value"] == pytest.approx(wanted, rel=1e-4)
    assert integers["metric_drop"] == pytest.approx(wanted - 0.001, rel=1e-2)
    assert (integers["metric"], integers["accuracy"], integers["accuracy_drop"]) == ("mae", None, None)
    head, _, first, *_ = (nets / "table" / "comparison.md").read_text().splitlines()
    assert head == "| model | size | smaller | latency | speedup | mae | drop |"
    assert first.endswith("| 0.001000 | 0.000 |")
    assert (
        (nets / "table" / "comparison.csv")
        .read_text()
        .splitlines()[0]
        .endswith(",mae,mae_drop,drop_low,drop_high,drop_verdict,missing")
    )


def test_a_row_is_measured_again_where_the_code_of_its_metric_changed(
    nets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (nets / "scores.py").write_text("def error(o, t): return float(abs(o[:, 0] - t).mean())\n")
    options = ("--metric", "scores.py:error", "--set", "evaluation.higher_is_better=false")
    first = _comparison(nets, *options, capsys=capsys)
    assert _comparison(nets, *options, capsys=capsys)["measured_now"] == []
    (nets / "scores.py").write_text("def error(o, t): return 2 * float(abs(o[:, 0] - t).mean())\n")
    again = _comparison(nets, *options, capsys=capsys)
    assert again["measured_now"] == first["measured_now"]
