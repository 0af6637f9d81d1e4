"""The artifact in a browser: onnxruntime-web (WebAssembly) in a headless Chromium, against ONNX Runtime here."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import signal
import subprocess  # of the browser that the user has  # nosec B404
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecompress.data.batches import Array, Batch, Inputs
from edgecompress.errors import first_line
from edgecompress.metrics.agreement import Agreement, share_of
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Budgets
from edgecompress.runtime import ALL_CORES, open_session, run_session
from edgecompress.system.scratch import scratch_folder
from edgecompress.validation.elsewhere.page import Served, serve

WEB, CHROMIUM = "EDGECOMPRESS_ONNXRUNTIME_WEB", "EDGECOMPRESS_CHROMIUM"
"""Environment variables that say where the npm package onnxruntime-web is, and a Chromium."""
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
TIME_LIMIT_S = 120.0
POLL_S = 0.2
# A new profile, no sandbox that containers lack room for, and not a packet to anywhere but this machine.
FLAGS = (
    *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0"),
)


@dataclass(frozen=True, kw_only=True)
class BrowserResult:
    """The artifact's outputs in a browser against those on this machine.

    ``failure`` says in one line why there are none; where that is for want of a program, nothing is ``installed``.
    """

    samples: int
    installed: bool = True
    identical: bool = False
    agreement: Agreement = field(default_factory=Agreement)
    browser: str = ""
    onnxruntime_web: str = ""
    failure: str | None = None

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON; no figures where nothing ran."""
        ran = self.failure is None
        return {
            "outcome": "ran" if ran else "failed" if self.installed else "not installed",
            "identical": self.identical,
            **(self.agreement.entry if ran else dict.fromkeys(Agreement().entry)),
            "lost": list(self.agreement.lost()),
            "samples": self.samples,
            "browser": self.browser or None,
            "onnxruntime_web": self.onnxruntime_web or None,
            "failure": self.failure,
        }


def compare_browser(
    artifact: bytes,
    batch: Batch,
    progress: Progress,
    *,
    class_axis: int | None = None,
    limit_s: float = TIME_LIMIT_S,
) -> BrowserResult:
    """Run an artifact in a browser and compare its outputs with those on this machine.

    Args:
        artifact: bytes of the ONNX file.
        batch: inputs that fit it.
        progress: told of the run, and warned of what is missing for it.
        class_axis: the axis of the first output that holds the scores of classes, where it is known to hold them.
        limit_s: seconds after which the browser counts as failed.
    """
    session = open_session(artifact, ALL_CORES)
    taken = {spec.name: batch.inputs[spec.name] for spec in session.get_inputs()}
    samples = batch.rows if taken else 0
    missing = what_is_missing()
    if missing is not None:
        progress.warn(missing)
        return BrowserResult(samples=samples, installed=False, failure=missing)
    names = [spec.name for spec in session.get_outputs()]
    with progress.step("run in a browser"):
        answer = _browse(artifact, taken, limit_s)
    result = _compare(samples, run_session(session, taken), names, answer, class_axis)
    if result.failure is not None:
        progress.warn(f"the artifact does not run in the browser: {result.failure}")
    return result


def what_is_missing() -> str | None:
    """What to install before an artifact can be run in a browser, in one line; None where all is there."""
    if not (package() / "dist" / "ort.wasm.min.js").is_file():
        return (
            f"the browser run needs onnxruntime-web, and {str(package())!r} is none; run npm install --prefix"
            f" ~/.cache/edgecompress onnxruntime-web, or set {WEB} to the folder of the npm package"
        )
    if program() is None:
        return (
            f"the browser run needs Chromium or Chrome, and {os.environ.get(CHROMIUM) or 'the PATH'} has none; install"
            f" it (Debian: apt-get install chromium), or set {CHROMIUM} to the program"
        )
    return None


def package() -> Path:
    """Where the npm package onnxruntime-web is, or should be.

    >>> import os; os.environ["EDGECOMPRESS_ONNXRUNTIME_WEB"] = "/opt/onnxruntime-web"
    >>> str(package())
    '/opt/onnxruntime-web'
    >>> del os.environ["EDGECOMPRESS_ONNXRUNTIME_WEB"]
    """
    named = os.environ.get(WEB)
    cache = Path.home() / ".cache" / "edgecompress" / "node_modules" / "onnxruntime-web"
    return Path(named).absolute() if named else cache


def program() -> str | None:
    """The browser: the one that is named, or the first that is on the PATH."""
    named = os.environ.get(CHROMIUM)
    return next(filter(None, map(shutil.which, [named] if named else PROGRAMS)), None)


def browser_agreement(entry: Mapping[str, Any]) -> float | None:
    """The share of samples that agree, as :func:`share_of` says; a browser that fails agrees on nothing.

    None where it was not asked, or nothing is installed.

    >>> browser_agreement({"outcome": "failed", "top1_agreement": None})
    0.0
    """
    return 0.0 if entry.get("outcome") == "failed" else share_of(entry)


def strict_in_browser(budgets: Budgets, entry: Mapping[str, Any]) -> Budgets:
    """Whoever asks for a browser and sets no limit means that no answer may change."""
    if not entry or budgets.min_browser_agreement is not None:
        return budgets
    return budgets.model_copy(update={"min_browser_agreement": 1.0})


def _browse(artifact: bytes, inputs: Inputs, limit_s: float) -> dict[str, Any]:
    """What the page answers: outputs by name, or ``failure``."""
    case = json.dumps({"inputs": {name: _packed(array) for name, array in inputs.items()}}).encode()
    served = Served(model=artifact, case=case, dist=package() / "dist")
    try:
        with serve(served) as (url, answers), _chromium(url) as process:
            return _answer(answers, process, limit_s)
    except OSError as error:
        return {"failure": f"{program()} cannot be started: {error.strerror}"}


def _answer(answers: queue.Queue[dict[str, Any]], process: subprocess.Popen[bytes], limit_s: float) -> dict[str, Any]:
    """The first answer; or why none came."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        with suppress(queue.Empty):
            return answers.get(timeout=POLL_S)
        if process.poll() is not None:
            return {"failure": f"{program()} ended with status {process.returncode}"}
    return {"failure": f"not done after {limit_s:g} s"}


@contextmanager
def _chromium(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A browser at a page, which is ended with all of its processes."""
    name = program()
    assert name is not None  # what_is_missing has looked
    with scratch_folder() as profile:
        rights = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
        command = [name, *FLAGS, *rights, f"--user-data-dir={profile}", url]
        process = subprocess.Popen(  # no shell, a page of our own  # nosec B603
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _compare(
    samples: int, expected: Sequence[Array], names: Sequence[str], answer: Mapping[str, Any], class_axis: int | None
) -> BrowserResult:
    found = BrowserResult(samples=samples, onnxruntime_web=_version(), browser=str(answer.get("browser", "")))
    try:
        if answer.get("failure"):
            raise ValueError(str(answer["failure"]))
        outputs = [_unpacked(answer["outputs"][name]) for name in names]
        agreement = Agreement.between(expected, outputs, names=names, class_axis=class_axis)
        if not agreement.finite:
            raise ValueError("outputs that are not finite")
    except Exception as error:  # whatever a page can answer; the line says it
        return replace(found, failure=first_line(error))
    same = all(one.tobytes() == other.tobytes() for one, other in zip(expected, outputs, strict=True))
    return replace(found, agreement=agreement, identical=same)


def _version() -> str:
    """The version of onnxruntime-web; empty where a folder of one's own has no description."""
    try:
        return str(json.loads((package() / "package.json").read_bytes())["version"])
    except (OSError, ValueError, KeyError):
        return ""


def _packed(array: Array) -> dict[str, Any]:
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {"type": array.dtype.name, "dims": array.shape, "data": base64.b64encode(data.tobytes()).decode()}


def _unpacked(entry: Mapping[str, Any]) -> Array:
    return np.frombuffer(base64.b64decode(entry["data"]), np.dtype(entry["type"])).reshape(entry["dims"])
