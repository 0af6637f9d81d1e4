"""A bundle of two small files, and keys to sign it."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.manifest import Manifest, TargetEntry, VerdictEntry
from edgecompress.bundle.reading import Bundle

FILES = {"model.onnx": b"onnx", "recipe.toml": b"seed = 0\n"}
MADE = Manifest(
    format_version=1,
    edgecompress_version="0",
    target=TargetEntry(name="mobile", strategy="s", reason="r"),
    recipe={},
    files={},
    data={},
    metrics={},
    verdict=VerdictEntry(outcome="pass", budgets=()),
    environment={},
)


def write_bundle(output: Path, files: dict[str, bytes] = FILES, overwrite: bool = False) -> Bundle:
    with open_draft(output, overwrite=overwrite) as draft:
        return draft.finish(files, MADE)


def write_keys(folder: Path) -> tuple[Path, Path]:
    """``key.pem`` and ``pub.pem``, new ones."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "pub.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return folder / "key.pem", folder / "pub.pem"
