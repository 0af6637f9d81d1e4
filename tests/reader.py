"""Reads files as the commands do, in a process that may die of them: python -m tests.reader

Each line of stdin is a kind and a path; a line of stdout answers: ``read``, ``refused`` with the class of the error,
or ``fault`` with what no user should see. ``native`` comes first where ONNX Runtime is about to load a file, which
happens in a child process of its own for a user.
"""

from __future__ import annotations

import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import edgecompress.loading.onnx_files
import edgecompress.system.isolation
from edgecompress.bundle.manifest import dump_manifest, file_entry
from edgecompress.bundle.reading import read_bundle
from edgecompress.calibration.statistics_file import load
from edgecompress.errors import EdgecompressError
from edgecompress.loading.models import load_model
from edgecompress.loading.onnx_files import read_onnx
from edgecompress.loading.sources import open_source
from edgecompress.loading.weights import load_weights
from edgecompress.recipe.samples import Images
from edgecompress.recipe.tables import Recipe
from edgecompress.report.reading import read_report, write_page
from edgecompress.runtime import ALL_CORES, open_session
from edgecompress.system.onnx_sanitizer import sanitize
from edgecompress.targets import load_profile
from tests.exporters.bundles import MADE
from tests.networks import ConvNet, seeded

LIMIT_BYTES = 2 * 10**9
"""More than the files of a few kilobytes, damaged, may ask for."""


def _onnx(path: Path) -> None:
    open_session(read_onnx(path), ALL_CORES)


def _data(path: Path) -> None:
    for _ in open_source(str(path), "calibration", Recipe(images=Images(size=(8, 8))))():
        pass


def _report(path: Path) -> None:
    """With a manifest that fits it: whoever can write one file of a bundle can write the other."""
    manifest = MADE.model_copy(update={"files": {path.name: file_entry(path.read_bytes())}})
    (path.parent / "manifest.json").write_bytes(dump_manifest(manifest))
    write_page(read_report(path.parent), path.parent.parent / "page.html")


READERS: dict[str, Callable[[Path], object]] = {
    "onnx": _onnx,
    "program": lambda path: load_model(str(path)),
    "safetensors": lambda path: load_weights(seeded(ConvNet), path),
    "state": lambda path: load_weights(seeded(ConvNet), path),
    "npz": _data,
    "image": lambda path: _data(path.parent),
    "labels": lambda path: _data(path.parent),
    "coco": lambda path: _data(path.parent),
    "yolo": lambda path: _data(path.parent.parent),
    "mask": lambda path: _data(path.parent.parent),
    "manifest": lambda path: read_bundle(path.parent),
    "report": _report,
    "profile": lambda path: load_profile(str(path)),
    "statistics": load,
}


def _answer(kind: str, path: Path) -> str:
    try:
        READERS[kind](path)
    except EdgecompressError as error:
        return f"refused {type(error).__name__}" if "\n" not in str(error) else f"fault several lines: {error!r}"
    except BaseException as error:
        return f"fault {type(error).__name__}: {error!r}"
    return "read"


def _not_looked_at(path: Path, *, timeout_s: float = 0.0, memory_bytes: int | None = None) -> None:
    """In the place of the first load in a child: this process is one."""


def _sanitized(source: Path, folder: Path, *, upgrade: bool = True) -> None:
    """In the place of the child that reads ONNX files."""
    print("native", flush=True)
    sanitize(source, folder, upgrade=upgrade)


def main() -> None:
    """Answer until the end of stdin."""
    edgecompress.system.isolation.load_fault = _not_looked_at
    edgecompress.loading.onnx_files.sanitize_onnx = _sanitized  # type: ignore[attr-defined]
    warnings.simplefilter("ignore")
    print("ready", flush=True)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        kind, path = line.rstrip("\n").split(" ", 1)
        print(_answer(kind, Path(path)).replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
