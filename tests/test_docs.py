"""The documentation says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgecompress.cli.app import app
from edgecompress.exporters.manifest import Manifest
from edgecompress.recipe import Recipe, key_paths
from edgecompress.targets import load_profile, profile_names

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
RECIPE = (ROOT / "docs" / "recipe.md").read_text()
BUNDLE = (ROOT / "docs" / "bundle.md").read_text()


@pytest.mark.parametrize("key", key_paths())
def test_a_key_stands_there_with_its_default(key: str) -> None:
    row = re.search(rf"^\| `{re.escape(key)}` \| (.+?) \|", RECIPE, re.MULTILINE)
    assert row, key
    default = Recipe().model_dump(mode="json")
    for part in key.split("."):
        default = default[part]
    shown = "none" if default is None else f"`{json.dumps(default)}`"
    assert row[1] == shown


def test_no_key_stands_there_that_does_not_exist() -> None:
    written = re.findall(r"^\| `([a-z_]+(?:\.[a-z0-9_]+)?)` \|", RECIPE, re.MULTILINE)
    assert set(written) == set(key_paths())


@pytest.mark.parametrize("key", [*Manifest.model_fields, "digest"])
def test_a_key_of_the_manifest_stands_there(key: str) -> None:
    assert f"| `{key}` |" in BUNDLE


def test_the_table_of_targets_is_that_of_the_profiles() -> None:
    for name in profile_names():
        profile = load_profile(name)
        assert f"| `{name}` | {profile.strategy} | {profile.reason} |" in README


def test_every_command_stands_in_the_readme() -> None:
    commands = [str(command.name) for command in app.registered_commands]
    assert len(commands) == 5
    for name in [*commands, "targets"]:
        assert f"`edgecompress {name}" in README


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"
