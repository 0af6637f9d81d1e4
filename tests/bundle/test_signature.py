"""A signed bundle is known to come from the owner of a key, and from nobody else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.manifest import MANIFEST, SIGNATURE
from edgecompress.bundle.reading import read_bundle
from edgecompress.bundle.signature import load_signing_key, load_verify_key, sign_bundle, signature_of, verify_bundle
from edgecompress.errors import InputError, OutputError
from edgecompress.system.durable import partial_of
from tests.exporters.bundles import FILES, MADE, write_bundle

Openssl = Callable[..., Path]


@pytest.fixture(scope="module")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> Openssl:
    """Runs OpenSSL's own program in one folder; the path of the file that it writes."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("keys")

    def run(command: str, name: str) -> Path:
        subprocess.run(["openssl", *command.split(), "-out", name], cwd=folder, check=True, capture_output=True)
        return folder / name

    return run


@pytest.fixture(scope="module")
def keys(openssl: Openssl) -> tuple[Path, Path]:
    return openssl("genpkey -algorithm ed25519", "key.pem"), openssl("pkey -in key.pem -pubout", "pub.pem")


@pytest.fixture
def signed(keys: tuple[Path, Path], tmp_path: Path) -> Path:
    folder = write_bundle(tmp_path / "bundle").path
    sign_bundle(folder, load_signing_key(keys[0]))
    return folder


def test_what_is_signed_is_verified_and_still_a_bundle(signed: Path, keys: tuple[Path, Path]) -> None:
    verify_bundle(signed, load_verify_key(keys[1]))
    assert read_bundle(signed).passed


def test_openssl_verifies_it_too(signed: Path, keys: tuple[Path, Path], openssl: Openssl, tmp_path: Path) -> None:
    message, raw = tmp_path / "message", tmp_path / "raw"
    message.write_bytes(b"edgecompress bundle manifest, version 1\n" + (signed / MANIFEST).read_bytes())
    openssl(f"base64 -d -A -in {signed / SIGNATURE}", str(raw))
    command = f"openssl pkeyutl -verify -rawin -pubin -inkey {keys[1]} -in {message} -sigfile {raw}"
    assert subprocess.run(command.split(), check=False, capture_output=True).returncode == 0
    message.write_bytes((signed / MANIFEST).read_bytes())
    assert subprocess.run(command.split(), check=False, capture_output=True).returncode != 0


def test_a_draft_is_signed_before_it_becomes_the_output(keys: tuple[Path, Path], tmp_path: Path) -> None:
    key = load_signing_key(keys[0])
    with open_draft(tmp_path / "bundle", overwrite=False) as draft:
        draft.finish(FILES, MADE, lambda manifest: signature_of(manifest, key))
    verify_bundle(tmp_path / "bundle", load_verify_key(keys[1]))
    write_bundle(tmp_path / "bundle", overwrite=True)
    assert not (tmp_path / "bundle" / SIGNATURE).exists()


@pytest.mark.parametrize("name", [SIGNATURE, MANIFEST])
def test_every_changed_byte_is_found(signed: Path, keys: tuple[Path, Path], name: str) -> None:
    key, content = load_verify_key(keys[1]), (signed / name).read_bytes()
    flips = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in range(len(content))]
    for changed in (*flips, content[:-1], content + b"\n", b"", b"="):
        (signed / name).write_bytes(changed)
        with pytest.raises(OutputError, match="was not signed with this key, or was changed afterwards; ask whoever"):
            verify_bundle(signed, key)


def test_another_key_and_no_signature_are_refused(signed: Path, openssl: Openssl) -> None:
    openssl("genpkey -algorithm ed25519", "other.pem")
    other = load_verify_key(openssl("pkey -in other.pem -pubout", "other-pub.pem"))
    with pytest.raises(OutputError, match="was not signed with this key"):
        verify_bundle(signed, other)
    (signed / SIGNATURE).unlink()
    with pytest.raises(OutputError, match=r"^bundle '.*' is not signed; edgecompress sign --key KEY\.pem signs it$"):
        verify_bundle(signed, other)


def test_a_broken_bundle_is_not_signed(signed: Path, keys: tuple[Path, Path]) -> None:
    (signed / "recipe.toml").write_text("seed = 1\n")
    with pytest.raises(OutputError, match="was changed after it was written"):
        sign_bundle(signed, load_signing_key(keys[0]))


def test_what_a_killed_run_left_does_not_keep_from_signing(signed: Path, keys: tuple[Path, Path]) -> None:
    partial_of(signed / SIGNATURE).touch()
    sign_bundle(signed, load_signing_key(keys[0]))
    assert read_bundle(signed).passed


def test_keys_that_cannot_be_used_are_named_with_the_fix(
    keys: tuple[Path, Path], openssl: Openssl, tmp_path: Path
) -> None:
    rsa = openssl("genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256", "ec.pem")
    locked = openssl("genpkey -algorithm ed25519 -aes256 -pass pass:secret", "locked.pem")
    for load, path, words in (
        (load_signing_key, tmp_path / "none.pem", "does not exist"),
        (load_signing_key, keys[1], "is no private key in PEM; openssl genpkey"),
        (load_signing_key, rsa, "not one of Ed25519; openssl genpkey"),
        (load_signing_key, locked, "has a passphrase; openssl pkey"),
        (load_verify_key, keys[0], "is no public key in PEM; openssl pkey -in KEY.pem -pubout"),
        (load_verify_key, openssl("pkey -in ec.pem -pubout", "ec-pub.pem"), "not one of Ed25519; openssl pkey"),
    ):
        with pytest.raises(InputError, match=words):
            load(path)


def test_without_the_package_the_extra_is_named(keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptography.hazmat.primitives")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(InputError, match=r"pip install 'edgecompress\[sign\]'"):
        load_signing_key(keys[0])
