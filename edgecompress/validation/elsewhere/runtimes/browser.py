"""A browser: onnxruntime-web (WebAssembly) in a headless Chromium."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecompress.arrays import Array, Inputs
from edgecompress.errors import RecipeError
from edgecompress.system.scratch import scratch_folder
from edgecompress.system.user_folder import user_folder
from edgecompress.validation.elsewhere.page import Served, serve
from edgecompress.validation.elsewhere.place import Answer, Handling, handled

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
HANDLING = Handling(
    step="browse",
    what="the artifact in onnxruntime-web, in a headless Chromium",
    where="in the browser",
    golden=True,
)


@dataclass(frozen=True, kw_only=True)
class Browser:
    """A browser, the folder of the npm package, and after how many seconds a batch counts as failed."""

    program: str
    package: Path
    limit_s: float = TIME_LIMIT_S

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        """Run every batch on a page of its own."""
        content, ran_on = model.read_bytes(), {"onnxruntime_web": _version(self.package)}
        outputs = []
        for inputs in batches:
            answer = self._browse(content, inputs)
            ran_on["browser"] = str(answer.get("browser", ""))
            if answer.get("failure"):
                return Answer(failure=str(answer["failure"]), ran_on=ran_on)
            outputs.append({name: _unpacked(entry) for name, entry in answer["outputs"].items()})
        return Answer(outputs=outputs, ran_on=ran_on)

    def _browse(self, model: bytes, inputs: Inputs) -> dict[str, Any]:
        """What the page answers: outputs by name, or ``failure``."""
        case = json.dumps({"inputs": {name: _packed(array) for name, array in inputs.items()}}).encode()
        served = Served(model=model, case=case, dist=self.package / "dist")
        try:
            with serve(served) as (url, answers), _chromium(self.program, url) as process:
                return self._answer(answers, process)
        except OSError as error:
            return {"failure": f"{self.program} cannot be started: {error.strerror}"}

    def _answer(self, answers: queue.Queue[dict[str, Any]], process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """The first answer; or why none came."""
        until = time.monotonic() + self.limit_s
        while time.monotonic() < until:
            with suppress(queue.Empty):
                return answers.get(timeout=POLL_S)
            if process.poll() is not None:
                return {"failure": f"{self.program} ended with status {process.returncode}"}
        return {"failure": f"not done after {self.limit_s:g} s"}


@handled(HANDLING)
def find_place(device: str) -> Browser:
    """The browser, which has no devices.

    Raises:
        RecipeError: a device is asked for, or a program is missing.
    """
    if device:
        raise RecipeError(f"the browser has no device {device!r}; name it 'browser'")
    missing, name = what_is_missing(), program()
    if missing is not None or name is None:
        raise RecipeError(missing)
    return Browser(program=name, package=package())


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
    """Where the npm package onnxruntime-web is, or should be."""
    return user_folder("node_modules/onnxruntime-web", WEB)


def program() -> str | None:
    """The browser: the one that is named, or the first that is on the PATH."""
    named = os.environ.get(CHROMIUM)
    return next(filter(None, map(shutil.which, [named] if named else PROGRAMS)), None)


@contextmanager
def _chromium(name: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A browser at a page, which is ended with all of its processes."""
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


def _version(package: Path) -> str:
    """The version of onnxruntime-web; empty where a folder of one's own has no description."""
    try:
        return str(json.loads((package / "package.json").read_bytes())["version"])
    except (OSError, ValueError, KeyError):
        return ""


def _packed(array: Array) -> dict[str, Any]:
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {"type": array.dtype.name, "dims": array.shape, "data": base64.b64encode(data.tobytes()).decode()}


def _unpacked(entry: Mapping[str, Any]) -> Array:
    return np.frombuffer(base64.b64decode(entry["data"]), np.dtype(entry["type"])).reshape(entry["dims"])
