"""What a runtime compiled for a device, in a bundle: it runs with the version that made it."""

from __future__ import annotations

from importlib import metadata

from edgecompress.bundle.reading import Bundle
from edgecompress.errors import OutputError
from edgecompress.registry import RUNTIMES, is_known
from edgecompress.validation.elsewhere.places import handling_of, runtime_of


def require_same_compiler(bundle: Bundle) -> None:
    """Require that what was compiled is of the version of its compiler that is installed here, where it is.

    Raises:
        OutputError: it is of another version.
    """
    for place, entry in bundle.elsewhere.runtimes.items():
        files = [name for name in entry.get("files", []) if name in bundle.manifest.files]
        compiler = handling_of(runtime_of(place)).compiler if is_known(RUNTIMES, runtime_of(place)) else ""
        made, here = entry["ran_on"].get(compiler), _installed(compiler)
        if files and here is not None and made != here:
            by = f"an unknown version of {compiler}" if made is None else f"{compiler} {made}"
            other = "" if made is None else f", or install {compiler}=={made}"
            raise OutputError(
                f"bundle {str(bundle.path)!r}: {files[0]!r} was compiled by {by}, and {here} is installed; compile it"
                f" again: compress with --target {bundle.path / 'recipe.toml'}{other}"
            )


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package) if package else None
    except metadata.PackageNotFoundError:
        return None
