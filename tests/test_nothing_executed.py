"""Data is data: nothing in it is executed, nothing is asked of the network, and what is too large is not read."""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.reading import read_bundle
from edgecompress.cli import main
from edgecompress.errors import DataError
from edgecompress.loading.folders import picture
from edgecompress.loading.sources import open_source
from edgecompress.recipe.tables import Recipe

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "edgecompress").rglob("*.py"))
COMPRESS = ["compress", "nets.py:net", "--calibration", "batches.py:calibration", "--set", "export.simplify=false"]
FORBIDDEN = ("eval", "exec", "os.system", "os.popen", "marshal.loads", "yaml.load", "pickle.load", "pickle.loads")
MALICE = "from pathlib import Path\nPath('{place}').touch()\n"


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _keywords(call: ast.Call) -> dict[str | None, str]:
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_runs_what_it_reads(path: Path) -> None:
    for name, call in _calls(path):
        given = _keywords(call)
        assert name not in FORBIDDEN, f"line {call.lineno}"
        assert name != "torch.load" or given["weights_only"] == "True", f"line {call.lineno}"
        assert not name.endswith(("np.load", "np.savez", "np.savez_compressed")) or given["allow_pickle"] == "False"
        assert "shell" not in given, f"line {call.lineno}"
        assert given.get("trust_remote_code", "False") == "False", f"line {call.lineno}"
        assert (
            not name.endswith("from_pretrained")
            or {
                "trust_remote_code",
                "weights_only",
            }
            & given.keys()
        ), f"line {call.lineno}"
        assert given.get("weights_only", "True") == "True", f"line {call.lineno}"


def test_pickle_is_imported_only_to_keep_pytorch_from_it() -> None:
    importing = {
        path.name
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import) and {alias.name for alias in node.names} & {"pickle", "dill", "cloudpickle"}
    }
    assert importing == {"programs.py"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was asked of the network, which nobody answers."""
    found: list[object] = []

    def refuse(*arguments: object, **_: object) -> NoReturn:
        found.append(arguments)
        raise OSError("no network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    return found


def test_no_command_asks_the_network(project: Path, asked: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPRESS, "--output", "out"]) in (0, 1)
    assert main(["validate", "out"]) in (0, 1)
    assert main(["benchmark", "out/model.onnx", "--runs", "10"]) == 0
    assert main(["inspect", "out/model.onnx"]) == 0
    assert asked == []


def test_a_command_works_where_there_is_no_network(project: Path) -> None:
    unshare = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("no namespaces")
    command = [*unshare, sys.executable, "-B", "-m", "edgecompress", "inspect", "nets.py:net", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["layers"][0]["name"] == "features.0"


def test_a_stranger_s_bundle_is_validated_without_running_any_of_it(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMPRESS, "--output", "out"]) in (0, 1)
    whole = read_bundle(Path("out"))
    (project / "malice.py").write_text(MALICE.format(place=tmp_path / "imported") + "def net(): pass\n")
    files = {name: Path("out", name).read_bytes() for name in whole.manifest.files}
    selftest = MALICE.format(place=tmp_path / "selftest").encode()
    recipe = {**whole.manifest.recipe, "model": "malice.py:net", "teacher": "malice.py:net"}
    for name, manifest in (
        ("code", whole.manifest),
        ("recipe", whole.manifest.model_copy(update={"recipe": recipe})),
        ("empty", whole.manifest.model_copy(update={"metrics": {}, "data": {}, "environment": {}})),
        ("text", whole.manifest.model_copy(update={"metrics": {"latency_ms": {"ratio": "[bold]"}}})),
    ):
        with open_draft(Path(name), overwrite=False) as draft:
            draft.finish({**files, "selftest.py": selftest, "sitecustomize.py": selftest}, manifest)
    assert main(["validate", "code"]) in (0, 1)
    assert main(["validate", "empty"]) in (0, 1)
    capsys.readouterr()
    assert main(["validate", "recipe"]) == 2
    assert "unknown key" in capsys.readouterr().err
    assert main(["validate", "text"]) == 2
    told = "error: bundle 'text': 'metrics.latency_ms.ratio' of its manifest is no number; compress again\n"
    assert capsys.readouterr().err == told
    assert not (tmp_path / "imported").exists()
    assert not (tmp_path / "selftest").exists()


def _pictures(folder: Path, name: str) -> Path:
    (folder / "labels.csv").write_text(f"{name},0\n")
    return folder


def _first_batch(folder: Path) -> None:
    next(iter(open_source(str(folder), "calibration", Recipe())()))


def test_a_picture_that_is_a_bomb_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 63)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png' cannot be read: it has 8 x 8 pixels, more than 63; repair the file"):
        _first_batch(_pictures(tmp_path, "a.png"))


def test_a_picture_that_pillow_takes_for_a_bomb_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png' cannot be read: "):
        _first_batch(_pictures(tmp_path, "a.png"))


@pytest.mark.parametrize(
    "content", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n", b"", b"\x89PNG\r\n"]
)
def test_what_is_no_picture_of_the_listed_formats_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png' cannot be read: "):
        _first_batch(_pictures(tmp_path, "a.png"))
