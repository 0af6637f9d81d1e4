"""Outputs in a browser are compared with this machine's, and whatever goes wrong there is one line.

A browser is a program that opens a page. Here it is mostly a script that does what the page would, so that these tests
need no browser; the last one takes Chromium and onnxruntime-web, where both are there.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgecompress
from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.errors import RecipeError
from edgecompress.progress import Progress
from edgecompress.runtime import to_bytes
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.places import BROWSER, find_places
from edgecompress.validation.elsewhere.results import Elsewhere, PlaceResult
from edgecompress.validation.elsewhere.runtimes.browser import CHROMIUM, WEB, find_place, what_is_missing
from tests.exporters.graphs import draw, graph
from tests.heard import Heard
from tests.networks import ConvNet, images, seeded

SCORES = to_bytes(graph("p = GlobalAveragePool(x) y = Flatten(p)"))
INPUTS = {"x": draw(5, 4, 8, 8), "unused": draw(5, 1)}
PAGE = """#!{python}
import base64, json, sys, urllib.request
url = sys.argv[-1]
def get(path): return urllib.request.urlopen(url + path).read()
one = json.loads(get("case.json"))["inputs"]["x"]
assert get("model.onnx") and b"ort.wasm.min.js" in get("")
values = __import__("struct").unpack("<1280f", base64.b64decode(one["data"]))
mean = [FACTOR * sum(values[64 * i : 64 * i + 64]) / 64 for i in range(20)]
packed = base64.b64encode(__import__("struct").pack("<20f", *mean)).decode()
answer = {"outputs": {"y": {"type": "float32", "dims": [5, 4], "data": packed}}, "browser": "Script/1"}
ANSWER
urllib.request.urlopen(url + "answer", json.dumps(answer).encode())
__import__("time").sleep(60)
"""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the npm package."""
    folder = tmp_path / "onnxruntime-web"
    (folder / "dist").mkdir(parents=True)
    (folder / "dist" / "ort.wasm.min.js").write_text("")
    (folder / "package.json").write_text('{"version": "1.2.3"}')
    monkeypatch.setenv(WEB, str(folder))
    return folder


def _browser(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "browser"
    program.write_text(script.replace("{python}", sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv(CHROMIUM, str(program))


def _page(factor: float = 1.0, answer: str = "") -> str:
    return PAGE.replace("FACTOR", str(factor)).replace("ANSWER", answer)


def _run(class_axis: int | None = None) -> tuple[PlaceResult, list[str]]:
    lines, places = Heard(), find_places([BROWSER], spared=[BROWSER])
    (result,) = compare_places(SCORES, Batch(inputs=INPUTS, class_axis=class_axis), [], places, lines)
    return result, lines.lines


def _agreement(result: PlaceResult) -> float | None:
    return Elsewhere.of([result]).agreements["browser_agreement"]


def test_means_that_the_page_computes_itself_agree(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _browser(web, monkeypatch, _page())
    result, warnings = _run()
    assert (result.failure, result.samples, warnings) == (None, 5, [])
    entry = Elsewhere.of([result]).browser
    assert (entry["browser"], entry["onnxruntime_web"]) == ("Script/1", "1.2.3")
    assert result.agreement.sqnr_db > 120  # float32 sums in another order
    assert _agreement(result) == 1.0
    assert result.entry["outcome"] == "ran"


@pytest.mark.parametrize(("factor", "share"), [(1.05, 1.0), (1.5, 0.0)])
def test_where_no_class_is_known_samples_agree_to_25_db(
    web: Path, monkeypatch: pytest.MonkeyPatch, factor: float, share: float
) -> None:
    _browser(web, monkeypatch, _page(factor))
    result, _ = _run()
    assert (result.entry["top1_agreement"], _agreement(result)) == (None, share)  # 26 dB and 6 dB
    known, _ = _run(class_axis=1)
    assert (known.entry["top1_agreement"], _agreement(known)) == (1.0, 1.0)


def test_a_class_that_is_silent_there_agrees_on_nothing(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _browser(web, monkeypatch, _page().replace("/ 64 for", "* (i % 4 != 2) / 64 for"))
    result, _ = _run(class_axis=1)
    assert result.entry["lost"] == ["y[:, 2]"]
    assert _agreement(result) == 0.0


def test_other_answers_are_told(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _browser(web, monkeypatch, _page(-1.0))
    result, _ = _run()
    assert not result.identical
    assert result.agreement.sqnr_db == pytest.approx(-6.0206, abs=1e-3)  # 20 log10(1 / 2)
    assert _agreement(result) == 0.0


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (_page(answer='answer = {"failure": "no WebAssembly\\nhere"}'), "no WebAssembly"),
        (
            _page(answer='answer["outputs"]["y"]["dims"] = [4, 5]'),
            "gives output 'y' as float32 (4, 5), expected float32 (5, 4)",
        ),
        (_page(answer='answer["outputs"] = {}'), "runtime 'browser' gives no outputs, expected outputs 'y'"),
        (_page(answer="del answer['outputs']"), "runtime 'browser' fails: 'outputs'"),
        (_page(answer="answer = 3"), "the page sent something else than an object"),
        (_page(float("nan")).replace("nan", "float('nan')"), "outputs that are not finite"),
        ("#!/bin/sh\nexit 3\n", "ended with status 3"),
        ("no program", "cannot be started"),
    ],
)
def test_a_browser_that_fails_agrees_on_nothing(
    web: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    _browser(web, monkeypatch, script)
    result, (warning,) = _run()
    assert reason in str(result.failure)
    assert warning.startswith("the artifact does not run in the browser: ")
    assert "\n" not in warning
    assert result.entry["outcome"] == "failed"
    assert result.entry["sqnr_db"] is None
    assert _agreement(result) == 0.0


def test_a_browser_that_hangs_is_ended_with_all_that_it_started(
    web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _browser(web, monkeypatch, f"#!/bin/sh\nsleep 60 & echo $! > {web}/child\nwait\n")
    start = time.perf_counter()
    (tmp_path / "model.onnx").write_bytes(SCORES)
    answer = replace(find_place(""), limit_s=1.0).run(tmp_path / "model.onnx", [INPUTS])
    assert answer.failure == "not done after 1 s"
    assert time.perf_counter() - start < 20
    state = Path(f"/proc/{(web / 'child').read_text().strip()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_what_is_missing_is_said_with_what_to_install(
    web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHROMIUM, "no-such-browser")
    assert "no-such-browser has none; install it (Debian: apt-get install chromium)" in str(what_is_missing())
    monkeypatch.setenv(WEB, str(tmp_path / "nowhere"))
    result, warnings = _run()
    assert warnings == [f"the artifact is not run in the browser: {result.failure}"]
    assert "npm install --prefix ~/.cache/edgecompress onnxruntime-web" in warnings[0]
    assert result.entry["outcome"] == "not installed"
    assert _agreement(result) is None


def test_who_names_a_browser_is_told_before_anything_runs_what_is_missing(
    web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHROMIUM, "no-such-browser")
    with pytest.raises(RecipeError) as caught:
        find_places([BROWSER])
    assert str(caught.value) == (
        "the browser run needs Chromium or Chrome, and no-such-browser has none; install it (Debian: apt-get install"
        f" chromium), or set {CHROMIUM} to the program"
    )


def test_the_browser_has_no_devices() -> None:
    with pytest.raises(RecipeError) as caught:
        find_places(["browser:firefox"])
    assert str(caught.value) == "the browser has no device 'firefox'; name it 'browser'"


def test_it_has_the_keys_that_manifests_always_had(web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"sqnr_db", "max_abs_error", "top1_agreement", "alike", "worst_slice"}
    keys = {"outcome", "identical", *figures, "lost", "samples", "browser", "onnxruntime_web", "failure"}
    for program in (_page(), "#!/bin/sh\nexit 3\n"):
        _browser(web, monkeypatch, program)
        assert Elsewhere.of([_run()[0]]).browser.keys() == keys


def test_the_answer_is_in_the_manifest_and_the_verdict(
    web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _browser(web, monkeypatch, "#!/bin/sh\nexit 3\n")
    quick = ("export.simplify=false", "cpu.runs=10", "quantization.enabled=false", "export.browser=true")
    limits = ("budgets.min_compression_ratio=none", "budgets.min_speedup=none")
    bundle = edgecompress.compress(
        seeded(ConvNet), calibration=images(), output=tmp_path / "bundle", overrides=(*quick, *limits)
    )
    assert bundle.manifest.browser["outcome"] == "failed"
    assert [check.budget for check in bundle.manifest.verdict.budgets if check.outcome == "fail"] == [
        "min_browser_agreement"
    ]
    assert "ended with status 3" in (bundle.path / "report.html").read_text()


@pytest.mark.skipif(what_is_missing() is not None, reason=str(what_is_missing()))
def test_chromium_agrees_on_every_type_of_number() -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
    main (float[N,2] x, double[N,1] d, int64[N,1] i, bool[N,1] b, uint8[N,1] u) => (float[N,2] y, int64[N,1] j) {
        e = Cast<to=1>(d) f = Cast<to=1>(b) g = Cast<to=1>(u) h = Add(x, e) k = Add(h, f) y = Add(k, g) j = Neg(i)
    }"""
    column = np.arange(3).reshape(3, 1)
    inputs: dict[str, Array] = {
        "x": draw(3, 2),
        "d": column / 3,
        "i": column - 2**40,
        "b": column > 0,
        "u": column.astype(np.uint8),
    }
    model = onnx.parser.parse_model(text).SerializeToString()
    (result,) = compare_places(model, Batch(inputs=inputs), [], find_places([BROWSER]), Progress())
    assert result.failure is None
    assert result.identical
    assert result.ran_on["browser"].startswith("Chrome/")
