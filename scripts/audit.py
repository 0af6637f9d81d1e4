"""Known flaws in what the project needs (pip-audit), and risky lines in its own code (bandit): python scripts/audit.py

pip-audit asks the network. Where nobody answers, a line says that nothing was checked, and bandit alone decides.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def own_lines() -> bool:
    """Whether bandit finds nothing."""
    command = [sys.executable, "-m", "bandit", "--quiet", "--recursive", "edgecompress"]
    command += ["--configfile", "pyproject.toml"]
    # What it finds goes to standard output; on the other, it warns of every comment that explains an exception.
    return subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL).returncode == 0


def known_flaws() -> bool:
    """Whether pip-audit knows of no flaw in the pinned versions."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"]
    done = subprocess.run([*command, "--format", "json"], cwd=ROOT, check=False, capture_output=True, text=True)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        found = []
    checked = [one for one in found if "skip_reason" not in one]
    flaws = [f"{one['name']} {one['version']}: {flaw['id']}" for one in checked for flaw in one["vulns"]]
    print(*flaws, sep="\n", end="\n" if flaws else "")
    if len(checked) < len(found) or not found:
        print(f"pip-audit: {len(checked)} of {len(found)} versions checked; the database of advisories gave no answer")
    else:
        print(f"pip-audit: {len(checked)} versions checked, {len(flaws)} flaws known")
    return not flaws


if __name__ == "__main__":
    results = [own_lines(), known_flaws()]
    print(f"bandit: {'clean' if results[0] else 'not clean'}")
    sys.exit(not all(results))
