"""The folder in which a run keeps what it would need to go on after a kill."""

from __future__ import annotations

from pathlib import Path

from edgecompress.training.checkpoint import FILE, PARTIAL

TEACHER_OUTPUTS = "teacher"
"""The folder of what the teacher said, where the recipe keeps it."""
CHOICE = ".choice.json"
"""How the name of a file ends that keeps a choice."""
WRITTEN = (
    f"*{CHOICE}",
    f".*{CHOICE}.partial",
    f"*/{FILE}",
    f"*/{PARTIAL}",
    f"{TEACHER_OUTPUTS}/*.sqlite*",
)
"""What the techniques write there: what was chosen, the checkpoints of each training, and the teacher's outputs."""


def checkpoints_of(output: Path) -> Path:
    """Where a run that trains keeps its checkpoints until its bundle is written."""
    return output.with_name(f"{output.name}.checkpoints")


def remove_checkpoints(folder: Path) -> None:
    """Remove what runs into this folder wrote, and the folder if it held nothing else."""
    written = [file for pattern in WRITTEN for file in folder.glob(pattern)]
    for file in written:
        file.unlink()
    inner = {file.parent for file in written} - {folder}
    for part in (*inner, folder):
        if part.is_dir() and not any(part.iterdir()):
            part.rmdir()
