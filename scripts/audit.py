"""Known flaws in what the project needs (pip-audit), and risky lines in its own code (bandit): python scripts/audit.py

pip-audit asks PyPI for each version. A mirror often has only the page of each project, which lists the flaws of its
newest version: that answers for what is pinned to it. Versions for which nobody answers are named as not checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def own_lines() -> bool:
    """Whether bandit finds nothing."""
    command = [sys.executable, "-m", "bandit", "--quiet", "--recursive", "edgecompress"]
    command += ["--configfile", "pyproject.toml"]
    # What it finds goes to standard output; on the other, it warns of every comment that explains an exception.
    return subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL).returncode == 0


def known_flaws() -> bool:
    """Whether no flaw is known in the pinned versions."""
    answers = _ask_pip_audit()
    with ThreadPoolExecutor(8) as pool:
        answers |= pool.map(_ask_project_page, [pin for pin, flaws in answers.items() if flaws is None])
    checked = {pin: flaws for pin, flaws in answers.items() if flaws is not None}
    for pin, flaws in checked.items():
        print(*(f"{pin}: {flaw}\n" for flaw in flaws), sep="", end="")
    print(f"{len(checked)} of {len(answers)} versions checked, {sum(map(len, checked.values()))} flaws known")
    if len(checked) < len(answers):
        print(f"not checked: {', '.join(sorted(answers.keys() - checked.keys()))}")
    return not any(checked.values())


def _ask_pip_audit() -> dict[str, list[str] | None]:
    """The flaws of each pinned version; None where there was no answer."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"]
    done = subprocess.run([*command, "--format", "json"], cwd=ROOT, check=False, capture_output=True, text=True)
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    answers: dict[str, list[str] | None] = {line.strip(): None for line in lines if "==" in line}
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        found = []
    for each in found:
        if "skip_reason" not in each:
            answers[f"{each['name']}=={each['version']}"] = [flaw["id"] for flaw in each["vulns"]]
    return answers


def _ask_project_page(pin: str) -> tuple[str, list[str] | None]:
    name, _, version = pin.partition("==")
    try:
        with urllib.request.urlopen(f"https://pypi.org/pypi/{name}/json", timeout=60) as answer:
            page: dict[str, Any] = json.load(answer)
    except (OSError, HTTPException, ValueError):
        return pin, None
    if page["info"]["version"] != version or "vulnerabilities" not in page:
        return pin, None
    return pin, [flaw["id"] for flaw in page["vulnerabilities"] if not flaw.get("withdrawn")]


if __name__ == "__main__":
    results = [own_lines(), known_flaws()]
    print(f"bandit: {'clean' if results[0] else 'not clean'}")
    sys.exit(not all(results))
