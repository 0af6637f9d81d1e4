"""The signature of a bundle: Ed25519 over the exact bytes of its manifest, which holds the hash of every other file.

``manifest.sig`` is one line, the 64 bytes of the signature (RFC 8032) in base64. What is signed is the manifest behind
``DOMAIN``, so that nothing that the same key signs elsewhere can be taken for a bundle. Keys are PEM files as
``openssl genpkey -algorithm ed25519`` and ``openssl pkey -pubout`` write them.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecompress.bundle.manifest import MANIFEST, SIGNATURE
from edgecompress.bundle.reading import read_bundle
from edgecompress.errors import InputError, OutputError, a_kind
from edgecompress.system.durable import partial_of, write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

DOMAIN = b"edgecompress bundle manifest, version 1\n"
MAX_KEY_BYTES, SIGNATURE_BYTES = 2**16, 89


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """A private key from a PEM file.

    Raises:
        InputError: it is missing or no such key, or ``cryptography`` is not installed.
    """
    fix = "openssl genpkey -algorithm ed25519 -out KEY.pem makes one"
    key: Ed25519PrivateKey = _load(path, "private", fix, password=None)
    return key


def load_verify_key(path: Path) -> Ed25519PublicKey:
    """A public key from a PEM file.

    Raises:
        InputError: it is missing or no such key, or ``cryptography`` is not installed.
    """
    key: Ed25519PublicKey = _load(path, "public", "openssl pkey -in KEY.pem -pubout -out PUB.pem writes it")
    return key


def signature_of(manifest: bytes, key: Ed25519PrivateKey) -> bytes:
    """The content of ``manifest.sig``; equal bytes and keys give equal signatures."""
    return base64.b64encode(key.sign(DOMAIN + manifest)) + b"\n"


def sign_bundle(folder: Path, key: Ed25519PrivateKey) -> Path:
    """Write the signature of a bundle that is whole, in the place of one that is there; its path.

    Raises:
        OutputError: the bundle is not what its manifest says, or cannot be written to.
    """
    with suppress(OSError):
        partial_of(folder / SIGNATURE).unlink()  # of a run that was killed
    read_bundle(folder)
    write_whole(folder / SIGNATURE, signature_of((folder / MANIFEST).read_bytes(), key))
    return folder / SIGNATURE


def verify_bundle(folder: Path, key: Ed25519PublicKey) -> None:
    """Check that the owner of a key signed the manifest; :func:`read_bundle` checks that the files are its own.

    Raises:
        OutputError: it is not signed, or not by that key, or was changed after it was signed.
    """
    from cryptography.exceptions import InvalidSignature

    if not (folder / SIGNATURE).is_file() or not (folder / MANIFEST).is_file():
        raise OutputError(f"bundle {str(folder)!r} is not signed; edgecompress sign --key KEY.pem signs it")
    with (folder / SIGNATURE).open("rb") as file:
        written = file.read(SIGNATURE_BYTES + 1)
    try:
        signature = base64.b64decode(written.removesuffix(b"\n"), validate=True)
        key.verify(signature, DOMAIN + (folder / MANIFEST).read_bytes())
    except (binascii.Error, InvalidSignature):
        signature = b""
    if base64.b64encode(signature) + b"\n" != written:  # one way to write it, or bytes could change unseen
        raise OutputError(
            f"bundle {str(folder)!r} was not signed with this key, or was changed afterwards; ask whoever made it"
        )


def _load(path: Path, side: str, fix: str, **options: Any) -> Any:
    """The ``private`` or ``public`` key in a PEM file."""
    from_pem, kind = _cryptography(f"load_pem_{side}_key", f"Ed25519{side.capitalize()}Key")
    content = _read(path)
    try:
        key = from_pem(content, **options)
    except TypeError:
        raise InputError(
            f"key {str(path)!r} has a passphrase; openssl pkey -in KEY.pem -out PLAIN.pem takes it off"
        ) from None
    except Exception:  # cryptography has exceptions of its own for each way in which a key is wrong
        raise InputError(f"key {str(path)!r} is no {side} key in PEM; {fix}") from None
    if not isinstance(key, kind):
        raise InputError(f"key {str(path)!r} is {a_kind(key)}, not one of Ed25519; {fix}")
    return key


def _cryptography(loader: str, kind: str) -> tuple[Any, Any]:
    """A function and a class of the optional package."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise InputError("signatures need the package cryptography; pip install 'edgecompress[sign]'") from None
    return getattr(serialization, loader), getattr(ed25519, kind)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"key {str(path)!r} does not exist; give a PEM file")
    with path.open("rb") as file:
        return file.read(MAX_KEY_BYTES)
