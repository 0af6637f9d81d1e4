"""Wheels of ONNX Runtime for a device, fetched by the pip of this machine: the device needs no network and no pip."""

from __future__ import annotations

import subprocess  # of this very Python's pip  # nosec B404
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecompress.errors import RecipeError
from edgecompress.system.scratch import scratch_folder

LIMIT_S = 900.0
OLDEST_GLIBC, FIRST_MUSL = 17, 1
MUSL = "musllinux_1_{}_{}"


def fetch_wheels(version: str, device: Mapping[str, Any]) -> dict[str, bytes]:
    """The wheels of a version of ONNX Runtime and of what it needs, by file name.

    Args:
        version: as ``device.onnxruntime`` has it.
        device: what it said of itself: ``machine``, ``python`` and ``libc``.

    Raises:
        RecipeError: there are none for it, or the package index cannot be reached.
    """
    python = ".".join(str(device["python"]).split(".")[:2])
    tags = [part for tag in platform_tags(device["machine"], device["libc"]) for part in ("--platform", tag)]
    with scratch_folder() as folder:
        done = subprocess.run(  # no shell; the version has only digits and dots  # nosec B603
            [
                *(sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--only-binary=:all:", "--implementation", "cp", "--python-version", python, *tags),
                *("--dest", str(folder), f"onnxruntime=={version}", "numpy"),
            ],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if done.returncode:
            said = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            raise RecipeError(
                f"onnxruntime {version} cannot be fetched for Python {python} on {device['machine']}:"
                f" {said[-1] if said else f'pip ended with status {done.returncode}'}; set device.onnxruntime to"
                " another version"
            )
        return {file.name: file.read_bytes() for file in sorted(Path(folder).glob("*.whl"))}


def platform_tags(machine: str, libc: list[str]) -> list[str]:
    """The tags of wheels that a device takes, the newest first.

    >>> platform_tags("aarch64", ["glibc", "2.19"])
    ['manylinux_2_19_aarch64', 'manylinux_2_18_aarch64', 'manylinux_2_17_aarch64', 'manylinux2014_aarch64']
    """
    name, _, version = libc[0], *libc[1].partition(".")[1:]
    if name != "glibc" or not version.isdecimal():
        return [MUSL.format(minor, machine) for minor in (2, FIRST_MUSL)]
    minors = range(int(version), OLDEST_GLIBC - 1, -1)
    return [*(f"manylinux_2_{minor}_{machine}" for minor in minors), f"manylinux2014_{machine}"]
