"""What a run keeps to go on after a kill is removed again, and nothing else."""

from __future__ import annotations

from pathlib import Path

from edgecompress.techniques.checkpoints import checkpoints_of, remove_checkpoints


def test_only_what_a_run_wrote_is_removed(tmp_path: Path) -> None:
    for name in (
        "channels-1.choice.json",
        "training-1/training.pt",
        "training-2/training.pt",
        "training-2/thesis.pt",
        "student.choice.json",
        "ranks.choice.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    remove_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["thesis.pt"]
    assert not (tmp_path / "training-1").exists()
    remove_checkpoints(tmp_path / "not there")


def test_it_lies_next_to_the_output() -> None:
    assert checkpoints_of(Path("out/net-edge")) == Path("out/net-edge.checkpoints")
