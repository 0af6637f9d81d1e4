"""A bundle logged to MLflow as a run: parameters, metrics and its files, and nothing else."""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecompress.bundle.manifest import SIGNATURE
from edgecompress.bundle.reading import read_bundle
from edgecompress.errors import InputError, OutputError, first_line
from edgecompress.progress import Progress
from edgecompress.report.run_record import RunRecord, record_of
from edgecompress.report.tracking_uri import CONNECT_S, FORMS, LOGIN, checked_uri, database_of, shown, unreachable

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


def log_bundle(
    folder: Path, uri: str, *, experiment: str, run_name: str | None = None, progress: Progress | None = None
) -> LoggedRun:
    """Log a bundle as a run of MLflow; a run that does not become whole is marked FAILED.

    An interruption carries a note (PEP 678) that names the run, and says whether it is marked.

    Args:
        folder: of the bundle; every hash is checked before anything is sent.
        uri: of the tracking server or store. It holds no password: ``MLFLOW_TRACKING_USERNAME`` and
            ``MLFLOW_TRACKING_PASSWORD``, or ``MLFLOW_TRACKING_TOKEN``, do.
        experiment: that the run belongs to; it is made where there is none.
        run_name: by default the folder's name.
        progress: told of the files; by default nobody.

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
        with _noted("a run may have been begun there"), _told(uri):
            run_id = client.create_run(experiment_id, run_name=name).info.run_id
        with _whole(client, run_id, uri):
            _send(client, run_id, record, folder, progress or Progress())
    page = f"{shown(uri).rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"
    url = page if uri.lower().startswith("http") else None
    return LoggedRun(
        run_id=run_id, run_name=name, experiment=experiment, experiment_id=experiment_id, url=url, record=record
    )


def checked_experiment(name: str) -> None:
    """Refuse a name that no experiment can have.

    Raises:
        InputError: it is empty, too long, or no text of one line.
    """
    if not name.strip() or not name.isprintable():
        raise InputError(f"experiment {name!r} is no name; give a text of one line")
    if len(name) > MAX_EXPERIMENT:
        raise InputError(f"the experiment's name has {len(name)} characters; give at most {MAX_EXPERIMENT}")


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


def _send(client: Any, run_id: str, record: RunRecord, folder: Path, progress: Progress) -> None:
    from mlflow.entities import Metric, Param

    now = time.time_ns() // 10**6
    for params in _batches([Param(name, text) for name, text in record.parameters.items()]):
        client.log_batch(run_id, params=params)
    for metrics in _batches([Metric(name, value, now, 0) for name, value in record.measures.items()]):
        client.log_batch(run_id, metrics=metrics)
    for name in progress.track(record.files, "logging to MLflow", "file"):
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
        where = f"run {run_id} is marked FAILED there" if marked else f"run {run_id} is left there unfinished"
        if isinstance(error, InputError):
            raise type(error)(f"{error}; {where}") from None
        error.add_note(where)
        raise


def _marked(client: Any, run_id: str) -> bool:
    with suppress(BaseException):  # a second Ctrl-C ends the waiting
        client.set_terminated(run_id, "FAILED")
        return True
    return False


@contextmanager
def _noted(what: str) -> Iterator[None]:
    """Add to an interruption what it leaves."""
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        error.add_note(what)
        raise


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
        return unreachable(uri, next((each for each in chain if isinstance(each, OSError) and each.errno), chain[-1]))
    place = shown(uri)
    said = first_line(error).replace(uri, place).partition(". ")[0].rstrip(".")
    if isinstance(error, ImportError):
        return InputError(f"{place!r} cannot be used here: {error.name} is missing; install it, or log to a server")
    if "got unsupported URI" in said:
        fix = "pip install mlflow, since mlflow-skinny has no databases" if database_of(uri) else f"write {FORMS}"
        return InputError(f"{place!r} names no store that MLflow has here; {fix}")
    if "filesystem tracking backend" in said:
        return InputError(f"MLflow no longer writes to folders; write {FORMS}, or set MLFLOW_ALLOW_FILE_STORE=true")
    if re.search(r"\b40[13]\b", said):
        return InputError(f"MLflow at {place} does not let you in; {LOGIN}")
    if re.search(r"error code 404 != 200|not in a valid JSON", said):
        return InputError(f"what answers at {place} is not MLflow; check the address")
    return InputError(f"MLflow at {place} refuses: {said}; correct that, or log elsewhere")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


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
