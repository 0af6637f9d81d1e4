"""A bundle in MLflow: what is logged comes back whole, and a run that fails says so."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import edgecompress
from edgecompress.bundle.reading import read_bundle
from edgecompress.cli import main
from edgecompress.errors import InputError, OutputError
from edgecompress.report import tracking
from edgecompress.report.tracking import checked_experiment, log_bundle
from tests.networks import ConvNet, images, seeded

LOGIN = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="pip install 'edgecompress[mlflow]'")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("tracking") / "net-mobile"
    options = ["quantization.enabled=false", "export.simplify=false", "export.formats=[]"]
    return edgecompress.compress(seeded(ConvNet), calibration=images(), output=output, overrides=options).path


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "net-mobile"))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a store in a folder, which needs no database."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return f"file:{tmp_path / 'runs'}"


def _runs(uri: str, experiment: str = "edgecompress") -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id]))


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_what_is_logged_comes_back_whole(bundle: Path, store: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    logged = log_bundle(bundle, store, experiment="edgecompress")
    (run,) = _runs(store)
    assert (run.info.status, run.info.run_name, run.info.run_id) == ("FINISHED", "net-mobile", logged.run_id)
    assert run.data.params == logged.record.parameters
    assert run.data.metrics == pytest.approx(logged.record.measures)
    assert run.data.metrics["size_bytes.compressed"] == (bundle / "model.onnx").stat().st_size
    assert {*run.data.tags} == {"mlflow.runName"}
    folder = MlflowClient(tracking_uri=store).download_artifacts(run.info.run_id, "bundle", str(tmp_path))
    assert read_bundle(folder).manifest == read_bundle(bundle).manifest


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_second_run_joins_the_experiment(bundle: Path, store: str) -> None:
    for name in ("first", "second"):
        log_bundle(bundle, store, experiment="camera", run_name=name)
    assert sorted(run.info.run_name for run in _runs(store, "camera")) == ["first", "second"]


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("raised", [KeyboardInterrupt, OSError("the disk is full")], ids=["interrupted", "failed"])
def test_a_run_that_does_not_become_whole_is_failed(
    bundle: Path, store: str, raised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    def log_artifact(*arguments: Any) -> None:
        raise raised

    monkeypatch.setattr(MlflowClient, "log_artifact", log_artifact)
    with pytest.raises((KeyboardInterrupt, InputError)) as told:
        log_bundle(bundle, store, experiment="edgecompress")
    (run,) = _runs(store)
    assert run.info.status == "FAILED"
    if told.type is KeyboardInterrupt:
        assert told.value.__notes__ == [f"run {run.info.run_id} is marked FAILED there"]
    else:
        refused = f"MLflow at {store} refuses: the disk is full; correct that, or log elsewhere"
        assert str(told.value) == f"{refused}; run {run.info.run_id} is marked FAILED there"


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("again", [KeyboardInterrupt, OSError("no answer")], ids=["interrupted", "failed"])
def test_a_run_that_cannot_be_marked_is_told_to_be_unfinished(
    bundle: Path, store: str, again: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    def raise_it(raised: Any) -> Any:
        def call(*arguments: Any) -> None:
            raise raised

        return call

    monkeypatch.setattr(MlflowClient, "log_artifact", raise_it(KeyboardInterrupt))
    monkeypatch.setattr(MlflowClient, "set_terminated", raise_it(again))
    assert main(["log", str(bundle), "--mlflow", store]) == 130
    (run,) = _runs(store)
    assert run.info.status == "RUNNING"
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: interrupted; run {run.info.run_id} is left there unfinished"
    )


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("get_experiment_by_name", "no run was left unfinished"),
        ("create_run", "a run may have been begun there"),
    ],
)
def test_an_interruption_before_a_run_is_known_says_so(
    bundle: Path,
    store: str,
    method: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mlflow import MlflowClient

    def call(*arguments: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, method, call)
        assert main(["log", str(bundle), "--mlflow", store]) == 130
    assert _runs(store) == []
    assert capsys.readouterr().err.splitlines()[-1] == f"error: interrupted; {told}"


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_bundle_that_changes_meanwhile_is_failed(bundle: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    def log_artifact(client: Any, run_id: str, file: str, folder: str) -> None:
        Path(file).write_text("another file")

    monkeypatch.setattr(MlflowClient, "log_artifact", log_artifact)
    with pytest.raises(OutputError, match=r"manifest\.json is not JSON.* is marked FAILED there$"):
        log_bundle(bundle, store, experiment="edgecompress")
    assert [run.info.status for run in _runs(store)] == ["FAILED"]


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_bundle_that_fails_its_hashes_is_not_logged(bundle: Path, store: str) -> None:
    (bundle / "selftest.npz").write_bytes(b"0" * (bundle / "selftest.npz").stat().st_size)
    with pytest.raises(OutputError, match=r"'selftest\.npz' was changed"):
        log_bundle(bundle, store, experiment="edgecompress")
    assert _runs(store) == []


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_an_experiment_that_was_deleted_is_told(bundle: Path, store: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    client.delete_experiment(client.create_experiment("old"))
    with pytest.raises(InputError) as told:
        log_bundle(bundle, store, experiment="old")
    assert str(told.value) == "experiment 'old' was deleted; restore it there, or give another with --experiment"


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_store_that_mlflow_does_not_have_is_told(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'ftp://host' names no store that MLflow has here; write http://HOST:PORT"):
        log_bundle(bundle, "ftp://host", experiment="edgecompress")
    with pytest.raises(InputError) as told:
        log_bundle(bundle, f"file:{tmp_path}", experiment="edgecompress")
    assert str(told.value) == (
        "MLflow no longer writes to folders; write http://HOST:PORT, https://HOST or sqlite:///FILE.db, or set"
        " MLFLOW_ALLOW_FILE_STORE=true"
    )


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_what_a_store_lacks_is_told(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    def get_experiment_by_name(*arguments: Any) -> None:
        raise ModuleNotFoundError("No module named 'psycopg2'", name="psycopg2")

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", get_experiment_by_name)
    with pytest.raises(InputError) as told:
        log_bundle(bundle, "http://host", experiment="edgecompress")
    assert str(told.value) == "'http://host' cannot be used here: psycopg2 is missing; install it, or log to a server"


@contextmanager
def _answering(status: int, text: str) -> Iterator[str]:
    """The URI of a server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("status", "text", "told"),
    [
        (401, "", f"MLflow at URI does not let you in; {LOGIN}"),
        (403, "", f"MLflow at URI does not let you in; {LOGIN}"),
        (404, "", "what answers at URI is not MLflow; check the address"),
        (200, "<html>a page</html>", "what answers at URI is not MLflow; check the address"),
    ],
)
def test_what_answers_otherwise_is_told(bundle: Path, status: int, text: str, told: str) -> None:
    with _answering(status, text) as uri, pytest.raises(InputError) as error:
        log_bundle(bundle, uri, experiment="edgecompress")
    assert str(error.value) == told.replace("URI", uri)


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_not_there_or_silent_is_given_up(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tracking.FIRST, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    before = dict(os.environ)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match="cannot be reached: no answer within 10 s; check the address"):
            log_bundle(bundle, uri, experiment="edgecompress")
    with pytest.raises(InputError) as told:
        log_bundle(bundle, uri, experiment="edgecompress")
    assert str(told.value) == (
        f"MLflow at {uri} cannot be reached: connection refused; check the address, and that it runs"
    )
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00b"])
def test_what_is_no_name_of_an_experiment_is_told(name: str) -> None:
    with pytest.raises(InputError) as told:
        checked_experiment(name)
    assert str(told.value) == f"experiment {name!r} is no name; give a text of one line"


def test_a_name_that_is_too_long_is_told() -> None:
    with pytest.raises(InputError) as told:
        checked_experiment("a" * 501)
    assert str(told.value) == "the experiment's name has 501 characters; give at most 500"


def test_without_mlflow_the_extra_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(InputError) as told:
        log_bundle(bundle, "http://127.0.0.1:1", experiment="edgecompress")
    assert str(told.value) == "logging needs the package mlflow-skinny; pip install 'edgecompress[mlflow]'"


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_the_command_prints_where_the_run_is(bundle: Path, store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", str(bundle), "--mlflow", store, "--name", "net 1.1"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    (run,) = _runs(store)
    assert first.startswith(f"logged: {len(run.data.params)} parameters, {len(run.data.metrics)} metrics, ")
    assert rest == ["experiment: edgecompress", f"run: net 1.1, {run.info.run_id}"]
