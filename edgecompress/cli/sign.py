"""``edgecompress sign``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that compress wrote.")],
    key: Annotated[Path, typer.Option(metavar="KEY.pem", help="Private key, Ed25519.")],
) -> int:
    """Sign a bundle: Ed25519 over its manifest, into manifest.sig."""
    from edgecompress.bundle.signature import load_signing_key, sign_bundle

    written = sign_bundle(bundle, load_signing_key(key))
    typer.echo(f"signed: {written}")
    return 0
