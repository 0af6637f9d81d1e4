"""The documentation says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgecompress.bundle.manifest import Manifest
from edgecompress.cli.app import app
from edgecompress.recipe.tables import Isa, Recipe, key_paths
from edgecompress.targets import device_names, load_profile, strategy_names
from edgecompress.targets.cpus import FAMILIES
from edgecompress.targets.effects import EFFECTS
from edgecompress.targets.inheritance import read_chain
from edgecompress.targets.rules import LIMITS, SERVES

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
RECIPE = (ROOT / "docs" / "recipe.md").read_text()
TARGETS = (ROOT / "docs" / "targets.md").read_text()
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
    for name in strategy_names():
        profile = load_profile(name)
        assert f"| `{name}` | {profile.strategy} | {profile.reason} |" in TARGETS


@pytest.mark.parametrize("name", device_names())
def test_a_device_stands_in_the_table_of_devices(name: str) -> None:
    *_, parent, _ = (file.label for file in read_chain(name))
    recipe = load_profile(name).recipe
    quantization, isa = recipe.quantization, recipe.cpu.isa
    assert isa is not None
    stand_in = f"`{FAMILIES[isa].stand_in}`" if FAMILIES[isa].stand_in else "none"
    row = [f"`{name}`", f"`{parent}`", f"`{isa}`", f"`{quantization.scheme}`", recipe.pruning.multiple]
    assert f"| {' | '.join(map(str, row))} | {recipe.cpu.threads} | {stand_in} |" in TARGETS


@pytest.mark.parametrize("isa", FAMILIES)
def test_a_family_of_cpus_stands_in_its_table(isa: Isa) -> None:
    family = FAMILIES[isa]
    assert f"| `{isa}` | {family.what} | {', '.join(f'`{name}`' for name in family.names)} |" in TARGETS


@pytest.mark.parametrize("name", strategy_names())
def test_what_a_strategy_reached_and_serves_stands_there(name: str) -> None:
    profile = load_profile(name)
    techniques = profile.recipe.techniques
    for reference in EFFECTS[techniques].references:
        assert (
            f"| {reference.network} | {reference.float_mb} MB | {reference.smaller:.2f}x | {reference.faster:.2f}x |"
            in TARGETS
        )
    serves = " | ".join(str(SERVES[techniques][limit]) for limit in LIMITS)
    assert f"| {profile.strategy}: {profile.reason} | {serves} |" in TARGETS


def test_every_command_stands_in_the_table_of_commands() -> None:
    commands = [str(command.name) for command in app.registered_commands]
    assert len(commands) == 12
    for name in [*commands, "targets"]:
        assert f"| `edgecompress {name}" in COMMANDS


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (page.parent / target).exists() or target.startswith("https://"), f"{page.name}: {target}"
