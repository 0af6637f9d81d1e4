"""A runtime in a process of its own: what crashes, hangs or takes all memory there ends only that process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import onnx

from edgecompress.arrays import Inputs
from edgecompress.progress import Progress
from edgecompress.system.isolation import WatchedScript
from edgecompress.validation.elsewhere.packs import load_outputs, save_batches
from edgecompress.validation.elsewhere.place import Answer, RunNode


def run_in_child(
    script: Path,
    model: Path,
    batches: Sequence[Inputs],
    arguments: Sequence[str],
    *,
    limit_s: float,
    memory_bytes: int | None = None,
    progress: Progress,
    label: str,
) -> Answer:
    """Let a script run every batch.

    Args:
        script: it is called as ``FOLDER ARGUMENTS OUTPUTS``, finds ``model.onnx`` and ``inputs.npz`` in the folder, and
            writes ``outputs.npz`` with the named outputs there, and ``answer.json`` with ``ran_on``, ``nodes`` and
            perhaps ``files``, the names of what it made, or with ``failure``. It adds a byte to ``beats`` after each
            batch.
        model: ``model.onnx`` in a folder that may be written to.
        batches: for the inputs of the model.
        arguments: of the script.
        limit_s: seconds without a batch done after which it is ended.
        memory_bytes: address space that it may take, by default three quarters of the machine's memory.
        progress: told of every batch.
        label: of the work.
    """
    folder = model.parent
    save_batches(folder / "inputs.npz", batches)
    outputs = [value.name for value in onnx.load(model, load_external_data=False).graph.output]
    running = WatchedScript(
        script,
        [str(folder), *arguments, *outputs],
        beats=folder / "beats",
        pieces=len(batches),
        timeout_s=limit_s,
        memory_bytes=memory_bytes,
    )
    for _ in progress.track(running, label, "batch", total=len(batches)):
        pass
    if running.fault is not None:
        return Answer(failure=running.fault)
    written = folder / "answer.json"
    if not written.is_file():
        return Answer(failure="it ended without an answer")
    told = json.loads(written.read_text())
    if told.get("failure"):
        return Answer(failure=told["failure"])
    return Answer(
        outputs=load_outputs(folder / "outputs.npz", len(batches)),
        ran_on=told["ran_on"],
        nodes=[RunNode(**node) for node in told["nodes"]],
        files={name: (folder / name).read_bytes() for name in told.get("files", [])},
    )
