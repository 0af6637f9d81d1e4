"""``edgecompress demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edgecompress.cli.compress import print_bundle, print_plan

FOLDER = Path("demo-mobile")


def run(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the bundle.")] = FOLDER,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another bundle than demo-mobile.")] = False,
) -> int:
    """Train a small network on scikit-learn's digits and compress it for mobile."""
    from edgecompress.bundle.draft import open_draft
    from edgecompress.cli.demo_network import make_demo
    from edgecompress.pipeline.compress import compress
    from edgecompress.pipeline.plan import make_plan
    from edgecompress.progress import progress_for
    from edgecompress.recipe.wording import in_options
    from edgecompress.targets import load_profile

    progress = progress_for(Console(stderr=True))
    overwrite = overwrite or output == FOLDER
    with open_draft(output, overwrite=overwrite):  # an output that cannot be written is refused before the training
        demo = make_demo(progress)
    print_plan(make_plan(demo.model, load_profile("mobile")))
    bundle = in_options(compress)(
        demo.model,
        target="mobile",
        calibration=demo.calibration,
        evaluation=demo.evaluation,
        output=output,
        overwrite=overwrite,
        progress=progress,
    )
    print_bundle(bundle)
    return 0 if bundle.passed else 1
