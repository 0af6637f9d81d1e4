"""The release: a wheel and a source archive of the last commit, the same bytes wherever they are built.

    python scripts/dist.py [FOLDER]

What git does not track is not in them. Times are those of the commit (SOURCE_DATE_EPOCH), owners and modes are fixed.
They are built twice, in two folders, and compared; prints the SHA-256 of each.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = """
import sys
from setuptools import build_meta

out = sys.argv[1]  # setuptools puts arguments of its own there
build_meta.build_wheel(out)
build_meta.build_sdist(out)
"""


def build(epoch: str) -> dict[str, bytes]:
    """Both files by name, from a fresh copy of the commit."""
    tree = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name, "tree"), Path(name, "out")
        out.mkdir()
        with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
            archive.extractall(folder, filter="data")
        environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-c", BUILD, str(out)]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        files = {path.name: path.read_bytes() for path in sorted(out.iterdir())}
    return {name: normalized(data, int(epoch)) if name.endswith(".tar.gz") else data for name, data in files.items()}


def normalized(data: bytes, epoch: int) -> bytes:
    """The source archive with the members in order; setuptools writes today's time and the owner into it."""
    plain = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(data)) as old,
        tarfile.open(fileobj=plain, mode="w") as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode, member.pax_headers = 0o755 if member.isdir() or member.mode & 0o100 else 0o644, {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    return gzip.compress(plain.getvalue(), mtime=epoch)


def main(folder: Path) -> int:
    """Build twice, compare, write."""
    command = ["git", "log", "-1", "--format=%ct"]
    epoch = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    os.umask(0o022)
    first, second = build(epoch), build(epoch)
    if first != second:
        print("the two builds differ", file=sys.stderr)
        return 1
    folder.mkdir(exist_ok=True)
    for name, data in first.items():
        (folder / name).write_bytes(data)
        print(f"{hashlib.sha256(data).hexdigest()}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"))
