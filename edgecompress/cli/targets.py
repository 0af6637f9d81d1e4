"""``edgecompress targets``: the profiles, and which of them to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from edgecompress.cli import completion, recommend
from edgecompress.cli.compress import Assignments
from edgecompress.cli.help import HelpfulCommand, HelpfulGroup, examples
from edgecompress.cli.tables import console, print_json, print_table
from edgecompress.recipe.toml import recipe_tables
from edgecompress.targets import device_names, load_profile, strategy_names

if TYPE_CHECKING:
    from edgecompress.targets.provenance import Explained

app = typer.Typer(
    help="List, show and recommend targets.",
    cls=HelpfulGroup,
    rich_markup_mode=None,
    epilog=examples("targets", "edgecompress targets list", "edgecompress targets recommend --cpu raspberry-pi-5"),
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
app.command(
    name="recommend",
    cls=HelpfulCommand,
    epilog=examples(
        "targets",
        "edgecompress targets recommend --cpu raspberry-pi-5 --max-size-mb 2",
        "edgecompress targets recommend --cpu phone --model nets.py:net --weights net.pt --calibration data.py:train"
        " --evaluation data.py:test --measure",
    ),
)(recommend.run)


@app.command(
    name="list",
    cls=HelpfulCommand,
    epilog=examples("targets", "edgecompress targets list", "edgecompress targets list --json"),
)
def list_(as_json: AsJson = False) -> None:
    """Each target with its strategy and the reason for it: the four strategies, then the devices."""
    strategies, devices = _rows(strategy_names()), _rows(device_names())
    if as_json:
        keys = ("name", "strategy", "reason", "extends", "isa")
        print_json([dict(zip(keys, row, strict=True)) for row in (*strategies, *devices)])
        return
    print_table(["target", "strategy", "reason"], [[text or "" for text in row[:3]] for row in strategies], left=3)
    console().print()
    table = [[text or "" for text in (name, extends, isa, reason)] for name, _, reason, extends, isa in devices]
    print_table(["device", "extends", "CPU", "reason"], table, left=4)


def _rows(names: Sequence[str]) -> list[tuple[str, str, str, str | None, str | None]]:
    from edgecompress.targets.inheritance import read_chain

    rows: list[tuple[str, str, str, str | None, str | None]] = []
    for name in names:
        profile, chain = load_profile(name), read_chain(name)
        parent = chain[-2].label if len(chain) > 1 else None
        rows.append((profile.name, profile.strategy, profile.reason, parent, profile.recipe.cpu.isa))
    return rows


@app.command(
    cls=HelpfulCommand,
    epilog=examples(
        "targets",
        "edgecompress targets show raspberry-pi-5",
        "edgecompress targets show mobile --set quantization.scheme=fbgemm > mine.toml",
    ),
)
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", autocompletion=completion.targets, help="Name of a profile, or a TOML file."),
    ],
    assignments: Assignments = None,
    as_json: AsJson = False,
) -> None:
    """The effective profile of a target as TOML, and where each of its values comes from."""
    from edgecompress.progress import progress_for
    from edgecompress.targets.annotated import annotated_toml
    from edgecompress.targets.provenance import explain_profile

    explained = explain_profile(name, assignments or [])
    for line in explained.missing:
        progress_for(Console(stderr=True)).warn(line)
    if as_json:
        print_json(_document(explained))
    else:
        typer.echo(annotated_toml(explained.values), nl=False)


def _document(explained: Explained) -> dict[str, Any]:
    profile = explained.profile
    head = {"name": profile.name, "strategy": profile.strategy, "reason": profile.reason}
    sources = {".".join(value.path): value.source for value in explained.values}
    recipe = recipe_tables(profile.recipe)
    return {**head, "files": explained.chain, "recipe": recipe, "sources": sources}


@app.command(
    cls=HelpfulCommand,
    epilog=examples("targets", "edgecompress targets schema", "edgecompress targets schema > profile.schema.json"),
)
def schema() -> None:
    """The JSON Schema of a profile's file, for editors."""
    from edgecompress.targets.schema import profile_schema

    print_json(profile_schema())
