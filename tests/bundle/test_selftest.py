"""The self-test passes on the device as it was written, and fails when anything was changed."""

from __future__ import annotations

import hashlib
import json
import platform
import random
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

import edgecompress
from edgecompress.bundle import selftest
from tests.networks import ConvNet, LinearStack, images, seeded, vectors


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("selftest") / "bundle"
    return edgecompress.compress(seeded(ConvNet), calibration=images(), evaluation=images(seed=1), output=output).path


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bundle, tmp_path / "bundle")


def _run(folder: Path, python: str = sys.executable, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = [python, "-I", str(folder / "selftest.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_it_leaves_no_file_of_onnx_runtime_s_telemetry(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert _run(bundle).returncode == 0
    assert list(tmp_path.iterdir()) == []


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1
    path.write_bytes(content)


FILES = (
    *("model.onnx", "model.ort", "required_operators.config", "manifest.json", "recipe.toml"),
    *("report.html", "report.json", "sbom.json", "selftest.npz", "selftest.py"),
)


def test_a_bundle_holds_these_files(bundle: Path) -> None:
    assert tuple(sorted(path.name for path in bundle.iterdir())) == tuple(sorted(FILES))


def test_it_passes_and_prints_json(bundle: Path) -> None:
    done = _run(bundle)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert done.stderr == ""
    assert report["verdict"] == "pass"
    assert report["parity"]["identical"]
    assert 0 < report["latency_ms"]["median"] <= report["latency_ms"]["p95"] <= report["latency_ms"]["p99"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_changed_byte_of_any_file_fails(copy: Path, name: str, seed: int) -> None:
    _flip(copy / name, random.Random(f"{name}{seed}").randrange(2**40))
    done = _run(copy)
    assert done.returncode == 1
    if name != "selftest.py":  # a changed program may not even start
        assert json.loads(done.stdout)["verdict"] == "fail"


@pytest.mark.parametrize("name", [name for name in FILES if name != "selftest.py"])
def test_a_missing_file_fails(copy: Path, name: str) -> None:
    (copy / name).unlink()
    done = _run(copy)
    assert done.returncode == 1
    assert json.loads(done.stdout)["verdict"] == "fail"


def test_an_added_file_fails(copy: Path) -> None:
    (copy / "notes.txt").write_text("mine")
    done = _run(copy)
    assert done.returncode == 1
    assert json.loads(done.stdout)["files"]["notes.txt"] == "unknown"


def test_it_needs_numpy_and_onnxruntime_alone(bundle: Path, tmp_path: Path) -> None:
    home = tmp_path / "device"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    needed = [f"{name}=={metadata.version(name)}" for name in ("numpy", "onnxruntime")]
    filled = subprocess.run([python, "-m", "pip", "install", "-q", *needed], capture_output=True, check=False)
    if filled.returncode:
        pytest.skip("no package index can be reached, so that no bare environment can be made")
    absent = "import importlib.util as u; assert not any(map(u.find_spec, ('torch', 'onnx', 'edgecompress')))"
    subprocess.run([python, "-I", "-c", absent], check=True)
    done = _run(bundle, python)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["verdict"] == "pass"


class Saturating:
    """A session on a CPU whose sums saturate: half of what the file means."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs

    def run(self, names: None, inputs: dict[str, Any]) -> list[Any]:
        return [output / 2 for output in self._session.run(names, inputs)]


@pytest.mark.parametrize(("isa", "verdict"), [(None, "fail"), ("of this machine", "fail"), ("of another", "pass")])
def test_sums_that_saturate_fail_on_the_target_s_own_kind_of_cpu(
    isa: str | None, verdict: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = "x86-vnni" if platform.machine() in ("x86_64", "AMD64") else "armv8.0"
    there = "armv8.0" if here == "x86-vnni" else "x86-vnni"
    _rewrite(copy, {None: None, "of this machine": here, "of another": there}[isa])
    opened = selftest.open_session

    def saturating(path: Path, *, exact: bool = False, threads: int = 1) -> Any:
        session = opened(path, exact=True, threads=threads)
        return session if exact else Saturating(session)

    monkeypatch.setattr(selftest, "open_session", saturating)
    report = selftest.run(copy)
    assert report["verdict"] == verdict
    assert report["parity"]["sqnr_db"] > 40
    assert report["deployed_parity"]["sqnr_db"] == pytest.approx(6.02, abs=0.01)  # an error of half the signal
    assert "session.x64quantprecision=1" in report["saturates"]


def _rewrite(folder: Path, isa: str | None) -> None:
    """Let the manifest of a bundle name another CPU."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["digest"]
    manifest["recipe"]["cpu"]["isa"] = isa
    manifest["digest"] = hashlib.sha256(selftest.canonical(manifest)).hexdigest()
    (folder / "manifest.json").write_bytes(selftest.canonical(manifest))


def _session(**declared: Sequence[int | str | None]) -> Any:
    return SimpleNamespace(
        get_inputs=lambda: [SimpleNamespace(name=name, shape=list(shape)) for name, shape in declared.items()]
    )


@pytest.mark.parametrize(
    ("declared", "axis", "rows"),
    [((2, "batch", 3), 1, 1), ((2, 4, 3), 1, 4), (("batch", 4, 3), 0, 1), ((2, 4, 3), -1, 1), ((), 0, 1)],
)
def test_one_sample_is_timed_along_its_batch_axis(declared: tuple[int | str, ...], axis: int, rows: int) -> None:
    state = np.arange(24).reshape(2, 4, 3)
    golden = {"input_h": state} | ({"axis_h": np.array(axis)} if axis else {})
    assert selftest.rows_for([_session(h=declared)], golden) == rows
    taken = selftest.take_rows(golden, ["h"], rows)["h"]
    assert (taken == (state if axis < 0 else state.take(range(rows), axis))).all()


def test_samples_are_repeated_where_a_file_takes_more_of_them() -> None:
    golden = {"input_x": np.arange(6).reshape(3, 2), "input_h": np.arange(3)[None], "axis_h": np.array(1)}
    free, fixed = _session(x=("batch", 2), h=(1, "batch")), _session(x=(5, 2), h=(1, 5))
    assert selftest.rows_for([free, fixed], golden) == selftest.rows_for([fixed, free], golden) == 5
    taken = selftest.take_rows(golden, ["x", "h"], 5)
    assert taken["x"][:, 0].tolist() == [0, 2, 4, 0, 2]
    assert taken["h"].tolist() == [[0, 1, 2, 0, 1]]


def test_sessions_are_timed_in_turn_on_the_same_inputs() -> None:
    ran: list[tuple[str, Any]] = []
    first, second = (SimpleNamespace(run=lambda _, given, name=name: ran.append((name, given))) for name in "ab")
    inputs = {"x": np.zeros((4, 2))}
    times = selftest.time_in_turn([first, second], inputs, 3)
    assert [len(each) for each in times] == [3, 3]
    assert all(given is inputs for _, given in ran)
    assert [name for name, _ in ran[:4]] == ["a", "b", "b", "a"]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The float model, as the documentation has it written."""
    output = tmp_path_factory.mktemp("original") / "float"
    plain = ["quantization.enabled=false"]
    return edgecompress.compress(seeded(ConvNet), calibration=images(), output=output, overrides=plain).artifact


def test_the_float_model_is_timed_in_turn_and_gives_the_speedup(bundle: Path, original: Path) -> None:
    done = _run(bundle, options=["--original", str(original), "--runs", "20", "--threads", "2"])
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    speedup, medians = report["speedup"], [report[key]["median"] for key in ("original_latency_ms", "latency_ms")]
    assert 0 < speedup["low"] <= speedup["ratio"] <= speedup["high"]
    assert min(medians) > 0
    assert report["samples"] == 1
    assert "notes" not in report


def _with_batch(path: Path, output: Path, size: int | None) -> Path:
    """The same network with a batch of another size, or of any."""
    model = onnx.load(path)
    for value in [*model.graph.input, *model.graph.output]:
        batch = value.type.tensor_type.shape.dim[0]
        batch.Clear()
        if size is None:
            batch.dim_param = "batch"
        else:
            batch.dim_value = size
    del model.graph.value_info[:]
    onnx.save(model, output)
    return output


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_both_take_as_many_samples_as_the_float_model_fixes(rows: int, bundle: Path, tmp_path: Path) -> None:
    fixed = _with_batch(bundle / "model.onnx", tmp_path / "fixed.onnx", rows)
    done = _run(bundle, options=["--original", str(fixed), "--runs", "5"])
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["verdict"], report["samples"]) == (0, "", "pass", rows)
    with np.load(bundle / "selftest.npz") as golden:
        sessions = [selftest.open_session(path) for path in (bundle / "model.onnx", fixed)]
        assert selftest.rows_for(sessions, golden) == rows


def test_files_that_fix_unequal_batches_are_not_compared(bundle: Path, original: Path, tmp_path: Path) -> None:
    artifact = selftest.open_session(_with_batch(bundle / "model.onnx", tmp_path / "artifact.onnx", 2))
    with np.load(bundle / "selftest.npz") as golden:
        for size in (2, None):
            selftest.open_original(_with_batch(original, tmp_path / "same.onnx", size), artifact, golden, 1)
        other = _with_batch(original, tmp_path / "other.onnx", 4)
        with pytest.raises(
            selftest.UserError, match=r"other\.onnx takes batches of 4, the artifact batches of 2; give"
        ):
            selftest.open_original(other, artifact, golden, 1)


def _network(path: Path, name: str, *, taken: str, answer: str = "same", kind: str = "float") -> Path:
    """A file with an input of that name, and an output of another shape than the bundle's."""
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        g ({kind}[{taken}] {name}) => ({kind}[{taken}] {answer}) {{ {answer} = Identity ({name}) }}"""
    onnx.save(onnx.parser.parse_model(text), path)
    return path


@pytest.mark.parametrize(
    ("kind", "taken", "words"),
    [
        ("float", "N, 3, 80, 80", "of shape ('N', 3, 80, 80) for (1, "),
        ("float", "N, 3", "of shape ('N', 3) for (1, "),
        ("float", "N, a, b, c", "gives outputs of shapes [(1, "),
        ("uint8", "N, a, b, c", "as tensor(uint8) for tensor(float)"),
        ("float16", "N, a, b, c", "as tensor(float16) for tensor(float)"),
    ],
)
def test_a_file_that_does_not_fit_the_artifact_is_a_wrong_argument(
    kind: str, taken: str, words: str, bundle: Path, tmp_path: Path
) -> None:
    name = onnx.load(bundle / "model.onnx").graph.input[0].name
    done = _run(bundle, options=["--original", str(_network(tmp_path / "o.onnx", name, taken=taken, kind=kind))])
    assert (done.returncode, done.stdout) == (2, "")
    said = " ".join(done.stderr.split())
    assert words in said
    assert said.endswith("; give the float model of this bundle")


def test_a_float_model_that_cannot_be_run_is_a_wrong_argument(bundle: Path, tmp_path: Path) -> None:
    name = onnx.load(bundle / "model.onnx").graph.input[0].name
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, a, b, c] {name}) => (float[d, e] y) <int64[2] to = {{7, 13}}> {{ y = Reshape ({name}, to) }}"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "fails.onnx")
    done = _run(bundle, options=["--original", str(tmp_path / "fails.onnx")])
    assert (done.returncode, done.stdout) == (2, "")
    assert "fails.onnx does not run on inputs (1, " in done.stderr
    artifact = SimpleNamespace(run=lambda *_: 1 / 0)
    with pytest.raises(selftest.UserError, match=r"the artifact does not run on .*; give f\.onnx with a batch of 1"):
        selftest.require_same_outputs(Path("f.onnx"), SimpleNamespace(run=lambda *_: []), artifact, {})


def test_without_it_the_report_says_what_to_give(bundle: Path) -> None:
    report = json.loads(_run(bundle).stdout)
    assert report["notes"] == [
        "the speedup is not measured; give the float model as --original FLOAT.onnx, which edgecompress compress with"
        " --set quantization.enabled=false writes"
    ]
    assert "speedup" not in report


def test_a_float_model_in_the_bundle_s_folder_is_no_unknown_file(copy: Path, original: Path) -> None:
    shutil.copy(original, copy / "float.onnx")
    assert json.loads(_run(copy).stdout)["files"]["float.onnx"] == "unknown"
    report = json.loads(_run(copy, options=["--original", "float.onnx"]).stdout)
    assert report["verdict"] == "pass"
    assert "float.onnx" not in report["files"]


def test_a_link_to_the_float_model_is_no_unknown_file(copy: Path, original: Path) -> None:
    (copy / "float.onnx").symlink_to(original)
    (copy / "gone.onnx").symlink_to(copy / "nowhere.onnx")
    assert selftest.check_files(copy)["float.onnx"] == "unknown"
    for given in (copy / "float.onnx", original):
        states = selftest.check_files(copy, given)
        assert "float.onnx" not in states
        assert states["gone.onnx"] == "unknown"


def test_help_is_told_and_nothing_is_run(bundle: Path) -> None:
    done = _run(bundle, options=["--help"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "--original FLOAT.onnx" in done.stdout
    assert "{" not in done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--original", "none.onnx"], "there is no file none.onnx; give the float model as an ONNX file"),
        (["--original", "manifest.json"], "cannot be run: "),
        (["--runs", "0"], "'0' is no number from 1 to 100,000; give one of these"),
        (["--runs", "9" * 5000], "is no number from 1 to 100,000; give one of these"),
        (["--threads", "many"], "'many' is no number from 1 to 256; give one of these"),
        (["--threads", "99999"], "'99999' is no number from 1 to 256; give one of these"),
        (["--run"], "expected one argument"),
        (["--gpu"], "unrecognized arguments: --gpu"),
    ],
)
def test_a_wrong_argument_ends_in_a_line(options: list[str], words: str, bundle: Path) -> None:
    done = _run(bundle, options=options)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_float_model_of_another_network_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = edgecompress.compress(
        seeded(LinearStack),
        calibration=vectors(),
        output=tmp_path / "other",
        overrides=["quantization.enabled=false"],
    ).artifact
    done = _run(bundle, options=["--original", str(other)])
    assert done.returncode == 2
    assert "give the float model of this bundle" in done.stderr


def test_the_speedup_is_the_median_of_rounds_and_its_ends_are_of_ten_parts() -> None:
    before = [2.0] * 40 + [6.0] * 10
    found = selftest.speedup_of(before, [1.0] * 50)
    assert found == {"ratio": 2.0, "low": 2.0, "high": 6.0}
    assert selftest.speedup_of([3.0], [1.5]) == {"ratio": 2.0, "low": 2.0, "high": 2.0}
