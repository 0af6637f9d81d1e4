"""The exact text of what is told of recipes, targets and files that lie in the way: the cause, then the fix."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.manifest import FORMAT_VERSION, canonical, parse_manifest
from edgecompress.bundle.reading import read_bundle
from edgecompress.bundle.revalidation import check_original, read_golden
from edgecompress.bundle.signature import load_signing_key, load_verify_key, sign_bundle, verify_bundle
from edgecompress.calibration.checkpoint import Sharing
from edgecompress.calibration.state import Calibration, Mark, Survey
from edgecompress.calibration.statistics_file import load, save
from edgecompress.calibration.workers import joined_workers
from edgecompress.comparison.compare import prepare_folder
from edgecompress.comparison.measured import FILE, FORMAT, keep, recall
from edgecompress.comparison.rows import profiles_of
from edgecompress.errors import InputError, OutputError
from edgecompress.recipe.overrides import parse_assignment
from edgecompress.recipe.tables import parse_recipe
from edgecompress.report.reading import check_outside, read_report, write_page
from edgecompress.system.durable import write_whole
from edgecompress.targets import effective_profile
from edgecompress.training.checkpoint import Checkpoints
from edgecompress.validation.elsewhere.cpus import ARM_ROOT, emulated_python, find_cpu
from tests.exporters.bundles import write_bundle, write_keys

Mistake = Callable[[], object]
MARK = Mark(rows=1, sha256="00")
ON_DISK = "No such file or directory"


def _told(mistake: Mistake) -> str:
    with pytest.raises(InputError) as caught:
        mistake()
    return str(caught.value)


def _written(name: str, content: bytes | str) -> Path:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(name)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, text in enumerate(("extends = 3", "extends = 'gone.toml'", "recipe =", "extends = 'own4.toml'")):
        _written(f"own{number + 1}.toml", text)
    _written("latin.toml", b"reason = '\xff'")


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: parse_assignment("pruning.amount"), "'pruning.amount' has no '='; write KEY=VALUE"),
        (
            lambda: parse_assignment("pruning.amuont=1"),
            "unknown key 'pruning.amuont'; did you mean 'pruning.amount'?",
        ),
        (lambda: parse_assignment("zzz=1"), "unknown key 'zzz'; targets show NAME lists the keys"),
        (
            lambda: parse_recipe({"pruning": {"enabled": True}, "order": []}),
            "'pruning' is enabled but not listed in 'order'; add it, or disable it",
        ),
        (
            lambda: parse_recipe({"order": ["pruning", "pruning"]}),
            "a technique stands twice in 'order'; list each once",
        ),
        (
            lambda: parse_recipe(
                {
                    "order": ["distillation", "pruning"],
                    "pruning": {"enabled": True},
                    "distillation": {"enabled": True},
                }
            ),
            "'distillation' stands before 'pruning' in 'order'; compress progressively: pruning and low_rank, then"
            " distillation, then quantization",
        ),
        (
            lambda: parse_recipe({"distillation": {"cache": True, "hints": ["a=b"]}}),
            "'distillation.cache' keeps the teacher's outputs, not its layers; leave it out, or name no layers and"
            " set distillation.block_weight=0",
        ),
        (
            lambda: effective_profile("realtime", ["distillation.cache=true"]),
            "'distillation.cache' keeps the teacher's outputs, not its layers; leave it out, or name no layers and"
            " set distillation.block_weight=0",
        ),
        (
            lambda: profiles_of(["prund:pruning.amount=0.25"]),
            "there is no row 'prund'; did you mean 'pruned'?; the rows are original, pruned, int8, distilled,"
            " low-rank, pruned-int8",
        ),
        (lambda: effective_profile("gone.toml", ()), "target file 'gone.toml' does not exist; check the path"),
        (
            lambda: effective_profile("own1.toml", ()),
            "target 'own1.toml': expected text, got 3 in 'extends'; name a target",
        ),
        (
            lambda: effective_profile("own2.toml", ()),
            "target 'own2.toml': 'extends' names 'gone.toml', and 'gone.toml' does not exist; check the path",
        ),
        (
            lambda: effective_profile("own3.toml", ()),
            "target 'own3.toml' is not TOML: Invalid value (at end of document); repair it",
        ),
        (
            lambda: effective_profile("own4.toml", ()),
            "target 'own4.toml': 'extends' goes in a circle: own4.toml -> own4.toml; take one away",
        ),
        (
            lambda: effective_profile("latin.toml", ()),
            "target file 'latin.toml' cannot be read: UnicodeDecodeError; make it readable UTF-8 text",
        ),
        (
            lambda: effective_profile(str(_written("key.toml", "zzz = 3")), ()),
            "target 'key.toml': unknown key 'zzz'; targets show NAME lists the keys",
        ),
        (
            lambda: effective_profile(str(_written("reason.toml", "reason = 3")), ()),
            "target 'reason.toml': expected text, got 3 in 'reason'; put it in quotes",
        ),
    ],
)
def test_recipes_and_targets(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told


def _manifest(**document: Any) -> bytes:
    digest = hashlib.sha256(canonical(document)).hexdigest()
    return canonical({**document, "digest": digest})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"junk", "manifest.json is not JSON; the bundle was changed, compress again"),
        (b"[]", "manifest.json is no JSON object; the bundle was changed, compress again"),
        (
            b'{"format_version": 99}',
            f"manifest.json has format version 99, this program reads {FORMAT_VERSION}; update it",
        ),
        (b'{"digest": "0"}', "manifest.json was changed after the bundle was written; compress again"),
        (
            _manifest().replace(b"{", b"{ "),
            "manifest.json is not canonical JSON; the bundle was changed, compress again",
        ),
        (_manifest(), "manifest.json is not valid in 'format_version'; compress again"),
    ],
)
def test_manifests(content: bytes, told: str) -> None:
    assert _told(lambda: parse_manifest(content)) == told


def _opened(*files: str) -> Mistake:
    def mistake() -> None:
        for name in files:
            _written(f"out/{name}", "{}")
        with open_draft(Path("out"), overwrite=True):
            pass

    return mistake


def _session(*inputs: str) -> Any:
    named = [SimpleNamespace(name=name) for name in inputs]
    return SimpleNamespace(get_inputs=lambda: named, get_outputs=list)


def _pack() -> Path:
    np.savez("selftest.npz", other=np.zeros(1))
    return Path()


def _disagreeing() -> Any:
    """Two workers, each with a model of its own."""
    found = [Calibration.over(Survey(), model) for model in "ab"]
    return SimpleNamespace(rank=0, count=2, exchange=lambda _: found)


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (_opened("notes.txt"), "output '{here}/out' exists, is no bundle and is kept; name a new folder as --output"),
        (
            lambda: read_bundle(Path("gone")),
            "bundle 'gone' does not exist; give a folder that compress wrote",
        ),
        (
            lambda: read_bundle(Path("a" * 300)),
            f"bundle '{'a' * 300}' cannot be read: File name too long; make it readable",
        ),
        (
            lambda: save(Calibration.over(Survey(), "model"), _written("file", "") / "statistics.npz"),
            "statistics 'file/statistics.npz' cannot be written: Not a directory; choose another --statistics FILE",
        ),
        (
            lambda: check_outside(Path("out/page.html"), Path("out")),
            "'out/page.html' lies in the bundle, which must not change; choose another --output",
        ),
        (
            lambda: write_page({"edgecompress_version": "0.0.1"}, Path("page.html")),
            "the report is of edgecompress 0.0.1, and this one draws others; compress again",
        ),
        (
            lambda: read_golden(_pack(), _session("x")),
            "bundle '.': selftest.npz lacks 'input_x'; compress again",
        ),
        (
            lambda: read_golden(_written("selftest.npz", "junk").parent, _session("x")),
            "bundle '.': selftest.npz is no npz: File is not a zip file; compress again",
        ),
        (
            lambda: check_original(Path("gone.onnx"), []),
            "model file 'gone.onnx' does not exist; check the path",
        ),
        (
            lambda: check_original(Path("nets.py:net"), []),
            "model file 'nets.py:net' does not exist; it is code, and this takes ONNX files: edgecompress compress"
            " nets.py:net --target mobile --set quantization.enabled=false --calibration DATA --output float writes"
            " float/model.onnx",
        ),
        (
            lambda: check_original(_written("net.pth", "junk"), []),
            "'net.pth' is a file of weights; this takes ONNX files: edgecompress compress file.py:callable --weights"
            " net.pth --target mobile --set quantization.enabled=false --calibration DATA --output float writes"
            " float/model.onnx",
        ),
        (
            lambda: load(_written("statistics.npz", "junk")),
            "'statistics.npz' is no statistics file of this version; delete it, or choose another --statistics FILE",
        ),
        (
            lambda: write_whole(_written("file", "") / "inside", b""),
            "'file/inside' cannot be written: File exists; choose another place",
        ),
        (
            lambda: prepare_folder(_written("compared/notes.txt", "").parent),
            "'compared' holds other things, 'notes.txt' for one; choose an empty folder (--output)",
        ),
        (
            lambda: prepare_folder(_written("file", "") / "inside"),
            "'file/inside' cannot be used: Not a directory; choose another --output",
        ),
        (
            lambda: keep(Path("gone"), []),
            f"'gone/{FILE}' cannot be written: {ON_DISK}; free some room",
        ),
        (
            lambda: recall(_written(FILE, f'{{"format_version": {FORMAT + 1}, "rows": []}}').parent),
            f"'{FILE}' is of format {FORMAT + 1}, which this edgecompress does not know; choose another --output, or"
            " upgrade",
        ),
        (lambda: load_signing_key(Path("gone.pem")), "key 'gone.pem' does not exist; give a PEM file"),
        (
            lambda: load_signing_key(_written("junk.pem", "junk")),
            "key 'junk.pem' is no private key in PEM; openssl genpkey -algorithm ed25519 -out KEY.pem makes one",
        ),
        (
            lambda: Checkpoints(_written("kept/notes.txt", "").parent, "run", None, 60),
            "checkpoint folder 'kept' holds other files (notes.txt); choose an empty or a new folder",
        ),
        (
            lambda: Calibration.over(Survey(), "a").merge(Calibration.over(Survey(), "b")),
            "the calibrations are of different models or surveys; merge the surveys first, then count",
        ),
        (
            lambda: Survey().add({"a": np.array([1, np.inf], np.float32)}, 2),
            "tensor 'a' of the float model is not finite on the calibration data; take the samples out that it"
            " overflows on, or repair the model",
        ),
        (
            lambda: Sharing(workers=_disagreeing()).resume("a"),
            "the workers hold different models; give each the same model, weights and versions",
        ),
        (
            lambda: Survey(batches={0: MARK}).merge(Survey(batches={0: MARK})),
            "batch 0 is in both parts of the calibration; give each batch to one of them",
        ),
    ],
)
def test_files(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told.replace("{here}", str(Path.cwd()))


def test_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "many")
    assert _told(lambda: joined_workers().__enter__()) == (
        "WORLD_SIZE is 'many', not a number of workers; unset it, or start by torchrun or accelerate"
    )


@pytest.fixture
def bundle() -> Path:
    write_bundle(Path("bundle"))
    return Path("bundle")


def test_bundles(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, _ = write_keys(Path())
    sign_bundle(bundle, load_signing_key(private))
    write_keys(Path())
    assert _told(lambda: verify_bundle(bundle, load_verify_key(Path("pub.pem")))) == (
        "bundle 'bundle' was not signed with this key, or was changed afterwards; ask whoever made it"
    )
    (bundle / "notes.txt").touch()
    with pytest.raises(OutputError) as caught, open_draft(bundle, overwrite=True):
        pass
    assert str(caught.value) == (
        f"output '{bundle.resolve()}' holds 'notes.txt', which is not of the bundle, and is kept; move it away or"
        " choose another --output"
    )
    (bundle / "notes.txt").unlink()
    assert _told(lambda: read_report(bundle)) == ("'bundle' has no report.json that can be read; compress again")
    (bundle / "model.onnx").write_bytes(b"0NNX")
    assert _told(lambda: read_bundle(bundle)) == (
        "bundle 'bundle': 'model.onnx' was changed after it was written; compress again"
    )
    with open_draft(Path("other"), overwrite=False):
        found = _told(lambda: open_draft(Path("other"), overwrite=False).__enter__())
    assert found == (
        f"output '{Path('other').resolve()}' is being written by another run; wait for it, or choose another --output"
    )


def test_keys_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    made = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    plain = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    assert _told(lambda: load_signing_key(_written("rsa.pem", plain))) == (
        "key 'rsa.pem' is a RSAPrivateKey, not one of Ed25519; openssl genpkey -algorithm ed25519 -out KEY.pem makes"
        " one"
    )
    assert _told(lambda: load_signing_key(_written("locked.pem", locked))) == (
        "key 'locked.pem' has a passphrase; openssl pkey -in KEY.pem -out PLAIN.pem takes it off"
    )
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    assert _told(lambda: load_signing_key(Path("rsa.pem"))) == (
        "signatures need the package cryptography; pip install 'edgecompress[sign]'"
    )


def test_emulated_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    haswell, cortex = find_cpu("haswell"), find_cpu("cortex-a53")
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert _told(lambda: emulated_python(haswell)) == (
        "CPU 'haswell' needs qemu-x86_64, which is not on the PATH; install QEMU's user-mode emulation (Debian,"
        " Ubuntu: apt-get install qemu-user)"
    )
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert _told(lambda: emulated_python(haswell)) == (
        "CPU 'haswell' can be emulated on an x86-64 machine only, this is riscv64; leave it out"
    )
    monkeypatch.setenv(ARM_ROOT, "gone")
    place = str(Path.cwd() / "gone")
    assert _told(lambda: emulated_python(cortex)) == (
        f"CPU 'cortex-a53' needs an Arm root, and {place!r} is none; build it with scripts/arm_root.sh of the"
        f" repository, or set {ARM_ROOT}"
    )
