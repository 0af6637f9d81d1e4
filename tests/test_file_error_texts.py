"""The exact text of what is told of recipes, targets and files that lie in the way: the culprit, then the mend."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgecompress.calibration.record import Calibration, Mark, Survey
from edgecompress.calibration.statistics_file import load
from edgecompress.calibration.workers import _number
from edgecompress.comparison.compare import _prepare
from edgecompress.comparison.measured import FILE, FORMAT, keep, recall
from edgecompress.comparison.rows import profiles_of
from edgecompress.data import Batch
from edgecompress.durable import write_whole
from edgecompress.errors import InputError
from edgecompress.exporters.bundle import read_bundle
from edgecompress.exporters.draft import open_draft
from edgecompress.exporters.manifest import FORMAT_VERSION, canonical, parse_manifest
from edgecompress.exporters.signature import load_signing_key
from edgecompress.low_rank.factorize import factorize
from edgecompress.low_rank.layers import _protection, check_finite, unprotected
from edgecompress.low_rank.request import Request
from edgecompress.overrides import parse_assignment
from edgecompress.progress import Progress
from edgecompress.pruning.blocks import choose_blocks
from edgecompress.pruning.masks.sparsity import seeded_generator
from edgecompress.pruning.names import check_names
from edgecompress.recipe import parse_recipe
from edgecompress.report.reading import check_outside, write_page
from edgecompress.revalidation import _check_original, _golden
from edgecompress.targets import effective_profile
from edgecompress.training import SCHEDULES, Settings
from edgecompress.training.augmentation import crop_and_flip
from edgecompress.training.bound_optimizer import _check_owned
from edgecompress.training.checkpoint import _prepare as prepare_checkpoints
from edgecompress.training.evaluation import _score, score
from edgecompress.training.feeding import Part
from edgecompress.training.losses import check_distillation, first_output
from edgecompress.training.packed_rows import RowForm
from edgecompress.training.running import run_loss, run_network
from edgecompress.training.statistics import reestimate_batch_norm
from edgecompress.training.tapped import _find

Mistake = Callable[[], object]
FLOATS = torch.zeros(2, 3)
CPU = torch.device("cpu")
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
        (lambda: parse_assignment("pruning.amount"), "--set 'pruning.amount' has no '='; write --set KEY=VALUE"),
        (
            lambda: parse_assignment("pruning.amuont=1"),
            "unknown key 'pruning.amuont' in --set; did you mean 'pruning.amount'?",
        ),
        (lambda: parse_assignment("zzz=1"), "unknown key 'zzz' in --set; targets show NAME lists the keys"),
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
            "'distillation.cache' keeps the teacher's outputs, not its layers; leave it, or the layers, out",
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


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (_opened("notes.txt"), "output '{here}/out' is no bundle and is kept; choose another --output"),
        (
            lambda: read_bundle(Path("gone")),
            "'gone' is no bundle: it has no manifest.json; give a folder that compress wrote",
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
            lambda: _golden(_pack(), _session("x")),
            "bundle '.': selftest.npz lacks 'input_x'; compress again",
        ),
        (
            lambda: _golden(_written("selftest.npz", "junk").parent, _session("x")),
            "bundle '.': selftest.npz is no npz: File is not a zip file; compress again",
        ),
        (
            lambda: _check_original(Path("gone.onnx"), {}, 1),
            "model file 'gone.onnx' does not exist; check the path",
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
            lambda: _prepare(_written("compared/notes.txt", "").parent),
            "'compared' holds other things, 'notes.txt' for one; choose an empty folder (--output)",
        ),
        (
            lambda: _prepare(_written("file", "") / "inside"),
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
            lambda: prepare_checkpoints(_written("kept/notes.txt", "").parent),
            "checkpoint folder 'kept' holds other files (notes.txt); choose an empty or a new folder",
        ),
        (
            lambda: Calibration.over(Survey(), "a").merge(Calibration.over(Survey(), "b")),
            "the calibrations are of different models or surveys; merge the surveys first, then count",
        ),
        (
            lambda: Survey(batches={0: MARK}).merge(Survey(batches={0: MARK})),
            "batch 0 is in both parts of the calibration; give each batch to one of them",
        ),
    ],
)
def test_files(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told.replace("{here}", str(Path.cwd()))


MARK = Mark(rows=1, sha256="00")


def test_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "many")
    assert _told(lambda: _number("WORLD_SIZE", 1)) == (
        "WORLD_SIZE is 'many', not a number of workers; unset it, or start by torchrun or accelerate"
    )


class _Failing(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        raise RuntimeError("no such backbone")


def _loss_of(value: Any) -> Mistake:
    part = Part(inputs={}, labels=None, rows=2)
    return lambda: run_loss(lambda *_: value() if callable(value) else value, FLOATS, part, "batch 0")


def _low_rank(include: tuple[str, ...]) -> Mistake:
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    return lambda: unprotected({"0": network[0]}, network, None, include, ())


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (
            lambda: run_network(_Failing(), {"x": FLOATS}, "batch 0"),
            "batch 0: the network fails: RuntimeError: no such backbone; repair its forward",
        ),
        (
            _loss_of(lambda: 1 // 0),
            "batch 0: the loss fails: ZeroDivisionError: integer division or modulo by zero; repair it",
        ),
        (_loss_of(FLOATS), "batch 0: the loss is no single number; return the mean over the batch"),
        (lambda: first_output("text"), "the network returns a str without a tensor; return scores"),
        (lambda: check_distillation(0, 0.5), "temperature is 0; give a number above 0"),
        (lambda: check_distillation(1, 2), "alpha is 2; give 0 (labels alone) to 1 (teacher alone)"),
        (lambda: SCHEDULES["cubic"](1.5, 2), "amount is 1.5; give 0 or more, and less than 1"),
        (lambda: SCHEDULES["cubic"](0.5, 0), "a schedule of 0 steps prunes nothing; give 1 or more"),
        (
            lambda: Settings(average_decay=1.0),
            "average_decay is 1.0; give a number between 0 and 1, or None",
        ),
        (lambda: Settings(epochs=0), "epochs is 0; give 1 or more"),
        (lambda: Settings(learning_rate=0.0), "learning_rate is 0.0; give a number above 0"),
        (
            lambda: crop_and_flip({"x": FLOATS}),
            "no input among x is an image (rows, channels, height, width); leave augment out",
        ),
        (
            lambda: _check_owned(nn.Linear(3, 2), torch.optim.SGD(nn.Linear(5, 4).parameters())),
            "the optimizer holds a parameter of shape (4, 5) that Linear does not have; make it for the parameters of"
            " the network that is trained",
        ),
        (
            lambda: score(nn.Identity(), [Batch(inputs={"x": FLOATS.numpy()})], lambda *_: FLOATS.sum(), CPU),
            "evaluation batch 0 has no labels; return (inputs, labels)",
        ),
        (
            lambda: _score(torch.zeros(4)),
            "the evaluation data yields no labelled samples; return at least one batch",
        ),
        (
            lambda: RowForm.of((FLOATS,), 3),
            "the teacher's outputs are not all tensors with the batch first; leave cache out",
        ),
        (
            lambda: reestimate_batch_norm(nn.BatchNorm1d(3), [], Progress()),
            "the data for batch norm yields no batches; return at least one",
        ),
        (
            lambda: _find(nn.Sequential(nn.ReLU()), "zzz"),
            "Sequential has no layer 'zzz'; network.named_modules() has the names",
        ),
        (
            lambda: check_names(["zzz"], nn.Sequential(nn.ReLU()), "pruning.protect"),
            "'pruning.protect' names 'zzz', which the model does not have; inspect lists the names",
        ),
        (
            lambda: choose_blocks([], 0.5),
            "the model has no residual block that could go; choose another pruning.method",
        ),
        (lambda: seeded_generator(-1), "seed is -1; give a whole number from 0 up to 2^63"),
        (
            lambda: factorize(nn.Linear(3, 3), Request(amount=0.5, goal="macs")),
            "the goal 'macs' needs example inputs; give them, or choose 'parameters'",
        ),
        (
            _low_rank(("1",)),
            "'low_rank.include' names '1', which holds no layer that can be decomposed; take it out",
        ),
        (
            lambda: _protection("head", False, ["head"], ["head"]),
            "'head' stands in both 'low_rank.include' and 'low_rank.protect'; leave it out of one",
        ),
        (
            lambda: check_finite({"head": _spoiled()}),
            "'head.weight' holds NaN; repair it, or name its layer in 'low_rank.protect'",
        ),
    ],
)
def test_techniques(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told


def _spoiled() -> nn.Module:
    layer = nn.Linear(3, 3)
    nn.init.constant_(layer.weight, torch.nan)
    return layer
