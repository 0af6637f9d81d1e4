"""Commands that run in two processes at once, as ``torchrun`` starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from tests.conftest import ROOT


def run_twice(*command: str) -> list[subprocess.CompletedProcess[str]]:
    """Python with arguments, once for each of two ranks, which find each other; what came of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "PYTHONPATH": str(ROOT), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, *command],
            env={**shared, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=240) for process in started]
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *output)
        for process, output in zip(started, outputs, strict=True)
    ]
