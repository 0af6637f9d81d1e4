"""A bundle logged to MLflow as a run: parameters, metrics and its files, and nothing else."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from edgecompress.bundle.manifest import SIGNATURE
from edgecompress.bundle.reading import read_bundle
from edgecompress.errors import InputError, OutputError, first_line
from edgecompress.report.run_record import RunRecord, record_of

FORMS = "http://HOST:PORT, https://HOST or sqlite:///FILE.db"
HOST_AND_PORT = re.compile(r"[A-Za-z0-9_.-]+:[0-9]+(/.*)?")
SECRETS = ("password", "passwd", "pwd", "token", "secret")
"""What keys of a URI's query are called whose value nobody should read."""
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
DATABASES = ("sqlite", *PORTS)
LOGIN = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
CONNECT_S = 10
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
"""How MLflow is set up where the user says nothing else: nobody else is told, and nothing is printed."""
FIRST = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(CONNECT_S)}
"""And for the first question, after which it is known that somebody answers."""
MAX_EXPERIMENT, BATCH = 500, 100
ARTIFACTS = "bundle"
UNKNOWN = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """A run that was logged whole.

    Attributes:
        run_id: MLflow's name of it.
        run_name: the name that people read.
        experiment: that it belongs to.
        experiment_id: MLflow's name of that.
        url: of its page; None where no server shows pages.
        record: what was logged.
    """

    run_id: str
    run_name: str
    experiment: str
    experiment_id: str
    url: str | None
    record: RunRecord

    @property
    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        names = ("run_id", "run_name", "experiment", "experiment_id", "url")
        record = {
            "parameters": dict(self.record.parameters),
            "metrics": dict(self.record.measures),
            "artifacts": [f"{ARTIFACTS}/{name}" for name in self.record.files],
        }
        return {**{name: getattr(self, name) for name in names}, **record}


def log_bundle(folder: Path, uri: str, *, experiment: str, run_name: str | None = None) -> LoggedRun:
    """Log a bundle as a run of MLflow; a run that does not become whole is marked FAILED.

    Args:
        folder: of the bundle; every hash is checked before anything is sent.
        uri: of the tracking server or store. It holds no password: ``MLFLOW_TRACKING_USERNAME`` and
            ``MLFLOW_TRACKING_PASSWORD``, or ``MLFLOW_TRACKING_TOKEN``, do.
        experiment: that the run belongs to; it is made where there is none.
        run_name: by default the folder's name.

    Raises:
        OutputError: it is no bundle, or was changed.
        InputError: MLflow is not installed, does not answer, or refuses what it is given.
    """
    checked_uri(uri)
    checked_experiment(experiment)
    bundle = read_bundle(folder)
    signature = SIGNATURE if (folder / SIGNATURE).is_file() else None
    record, name = record_of(bundle.manifest, signature=signature), run_name or folder.resolve().name
    with _settings(QUIET):
        with _settings(FIRST), _told(uri):
            client = _client(uri)
            experiment_id = _experiment(client, experiment)
        with _told(uri):
            run_id = client.create_run(experiment_id, run_name=name).info.run_id
        with _whole(client, run_id, uri):
            _send(client, run_id, record, folder)
    parts = urlsplit(uri)
    page = f"{uri.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}" if parts.scheme.startswith("http") else None
    return LoggedRun(
        run_id=run_id, run_name=name, experiment=experiment, experiment_id=experiment_id, url=page, record=record
    )


def checked_uri(uri: str) -> None:
    """Refuse a URI that is none, or that holds a secret; no message repeats it.

    Raises:
        InputError: it is one of these.
    """
    try:
        parts = urlsplit(uri)
        secret = parts.password is not None or any(key.lower() in SECRETS for key, _ in parse_qsl(parts.query))
        secret = secret or (parts.scheme.startswith("http") and "@" in parts.netloc)
    except ValueError:
        raise InputError(f"{uri!r} is no URI; write {FORMS}") from None
    if secret:
        way = LOGIN
        if not parts.scheme.startswith("http"):
            way = "keep it where the database's own client looks, such as ~/.pgpass"
        raise InputError(f"the URI of MLflow holds a name or password, which others can read; leave it out, and {way}")
    if HOST_AND_PORT.fullmatch(uri):
        raise InputError(f"{uri!r} is no URI; did you mean 'http://{uri}'?")
    if uri != "databricks" and (not parts.scheme or not re.search(r":.+", uri)):
        raise InputError(f"{uri!r} is no URI; write {FORMS}")
    if parts.scheme.startswith("http") and not parts.hostname:
        raise InputError(f"{uri!r} names no host; write {FORMS}")
    _require_database(uri)


def checked_experiment(name: str) -> None:
    """Refuse a name that no experiment can have.

    Raises:
        InputError: it is empty, too long, or no text of one line.
    """
    if not name.strip() or not name.isprintable():
        raise InputError(f"experiment {name!r} is no name; give a text of one line")
    if len(name) > MAX_EXPERIMENT:
        raise InputError(f"the experiment's name has {len(name)} characters; give at most {MAX_EXPERIMENT}")


def _require_database(uri: str) -> None:
    """Ask whether the server of a database is there; MLflow would ask for many minutes."""
    parts = urlsplit(uri)
    port = PORTS.get(parts.scheme.partition("+")[0])
    if port is None or not parts.hostname:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or port), timeout=CONNECT_S).close()
    except OSError as error:
        raise _unreachable(uri, error) from None


def _client(uri: str) -> Any:
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        if error.name != "mlflow":
            raise
        raise InputError("logging needs the package mlflow-skinny; pip install 'edgecompress[mlflow]'") from None
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri)


def _experiment(client: Any, name: str) -> str:
    """The identifier of an experiment, which is made where there is none."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except Exception:  # another run may have made it in between
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise InputError(f"experiment {name!r} was deleted; restore it there, or give another with --experiment")
    return str(found.experiment_id)


def _send(client: Any, run_id: str, record: RunRecord, folder: Path) -> None:
    from mlflow.entities import Metric, Param

    now = time.time_ns() // 10**6
    for params in _batches([Param(name, text) for name, text in record.parameters.items()]):
        client.log_batch(run_id, params=params)
    for metrics in _batches([Metric(name, value, now, 0) for name, value in record.measures.items()]):
        client.log_batch(run_id, metrics=metrics)
    for name in record.files:
        client.log_artifact(run_id, str(folder / name), ARTIFACTS)
    read_bundle(folder)  # what was sent is what was checked
    client.set_terminated(run_id, "FINISHED")


def _batches(entries: Sequence[Any]) -> Iterator[Sequence[Any]]:
    yield from (entries[start : start + BATCH] for start in range(0, len(entries), BATCH))


@contextmanager
def _whole(client: Any, run_id: str, uri: str) -> Iterator[None]:
    """Mark the run as failed where it does not become whole, whatever ends it."""
    try:
        with _told(uri):
            yield
    except BaseException as error:
        with _settings(FIRST):
            marked = _marked(client, run_id)
        if isinstance(error, InputError):
            where = f"run {run_id} is marked FAILED there" if marked else f"run {run_id} is left there unfinished"
            raise type(error)(f"{error}; {where}") from None
        raise


def _marked(client: Any, run_id: str) -> bool:
    with suppress(Exception):
        client.set_terminated(run_id, "FAILED")
        return True
    return False


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Tell in one line what MLflow raises; it has an exception for everything, and so have its stores."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for those who write MLflow
            yield
    except (InputError, OutputError):
        raise
    except Exception as error:
        raise _reason(uri, error) from None


def _reason(uri: str, error: Exception) -> InputError:
    chain = list(_chain(error))
    network = [each for each in chain if type(each).__module__.startswith(("requests", "urllib3"))]
    if network:
        return _unreachable(uri, next((each for each in chain if isinstance(each, OSError) and each.errno), chain[-1]))
    said, shown = first_line(error).partition(". ")[0].rstrip("."), _shown(uri)
    if isinstance(error, ImportError):
        return InputError(f"{shown!r} cannot be used here: {error.name} is missing; install it, or log to a server")
    if "got unsupported URI" in said:
        known = urlsplit(uri).scheme.partition("+")[0] in DATABASES
        fix = "pip install mlflow, since mlflow-skinny has no databases" if known else f"write {FORMS}"
        return InputError(f"{shown!r} names no store that MLflow has here; {fix}")
    if "filesystem tracking backend" in said:
        return InputError(f"MLflow no longer writes to folders; write {FORMS}, or set MLFLOW_ALLOW_FILE_STORE=true")
    if re.search(r"\b40[13]\b", said):
        return InputError(f"MLflow at {shown} does not let you in; {LOGIN}")
    if re.search(r"error code 404 != 200|not in a valid JSON", said):
        return InputError(f"what answers at {shown} is not MLflow; check the address")
    return InputError(f"MLflow at {shown} refuses: {said}; correct that, or log elsewhere")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unreachable(uri: str, error: BaseException) -> InputError:
    why = (getattr(error, "strerror", None) or first_line(error)).rstrip(".").lower()
    why = f"no answer within {CONNECT_S} s" if "timed out" in why or isinstance(error, TimeoutError) else why
    return InputError(f"MLflow at {_shown(uri)} cannot be reached: {why}; check the address, and that it runs")


def _shown(uri: str) -> str:
    """A URI without its query."""
    return uri.partition("?")[0]


@contextmanager
def _settings(wanted: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment that the user does not set, for as long as this lasts."""
    before = {name: os.environ.get(name) for name in wanted}
    ours = [name for name, value in before.items() if value in (None, QUIET.get(name))]
    os.environ.update({name: wanted[name] for name in ours})
    try:
        yield
    finally:
        for name in ours:
            value = before[name]
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
