"""``edgecompress targets list`` and ``edgecompress targets show NAME``."""

from __future__ import annotations

from typing import Annotated

import typer

from edgecompress.cli.tables import console, print_json, print_table
from edgecompress.recipe import dump_recipe
from edgecompress.targets import load_profile, profile_names

app = typer.Typer(help="Deployment profiles.", rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """Each target with its strategy and the reason for it."""
    profiles = [load_profile(name) for name in profile_names()]
    rows = [[profile.name, profile.strategy, profile.reason] for profile in profiles]
    if as_json:
        print_json([dict(zip(("name", "strategy", "reason"), row, strict=True)) for row in rows])
    else:
        print_table(["target", "strategy", "reason"], rows, left=3)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a profile, or a TOML file.")],
    as_json: AsJson = False,
) -> None:
    """The whole recipe of a target, as TOML."""
    profile = load_profile(name)
    if as_json:
        head = {"name": profile.name, "strategy": profile.strategy, "reason": profile.reason}
        print_json({**head, "recipe": profile.recipe.model_dump(mode="json", exclude_none=True)})
        return
    console().print(f"# {profile.name}: {profile.strategy} ({profile.reason})", highlight=False)
    typer.echo(dump_recipe(profile.recipe), nl=False)
