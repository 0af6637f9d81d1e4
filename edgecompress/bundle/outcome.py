"""The outcome of a run, and the files of the bundle that tell of it."""

from __future__ import annotations

import dataclasses
import io
import platform
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from typing import Any

import numpy as np
import tomli_w

from edgecompress.arithmetic import Arithmetic
from edgecompress.arrays import SHARED
from edgecompress.bundle.manifest import FORMAT_VERSION, Manifest, TargetEntry, VerdictEntry
from edgecompress.bundle.reading import ARTIFACT
from edgecompress.bundle.sbom import make_sbom
from edgecompress.bundle.selftest_file import SELFTEST, selftest_file
from edgecompress.data.batches import Batch
from edgecompress.diagnosis import Diagnosis
from edgecompress.exporters.mobile import Mobile
from edgecompress.exporters.model_metadata import metadata_of
from edgecompress.metrics.metric import DEFAULT
from edgecompress.recipe.toml import dump_recipe, recipe_tables
from edgecompress.runtime import in_words, open_session, run_session
from edgecompress.step import Done, Plan
from edgecompress.targets import TargetProfile
from edgecompress.validation import Elsewhere, Evidence, PlaceResult, Verdict
from edgecompress.validation.byte_file import BYTES_ARTIFACT, ByteFile
from edgecompress.validation.elsewhere.device.cpu_names import cpu_name
from edgecompress.validation.elsewhere.device.program import cpu_lines

NETWORK = "model.safetensors"
VALUES = ("original", "compressed", "drop", "drop_interval_95")
UNKNOWN = "unknown"
"""In the place of the name of a CPU."""
FAMILIES = ("", "arm", "arm64", "aarch64", "i386", "i686", "amd64", "x86_64")
"""What some systems call every CPU of a kind."""
VERSIONED = ("torch", "onnx", "onnxruntime", "onnxsim", "numpy")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that a run found out; the bundle is written from nothing else.

    ``command`` is what started the run, as one would type it; ``model`` what the model is called, and ``made_on`` the
    day, in UTC; ``network`` the file of the PyTorch network that the techniques made.
    """

    artifact: bytes
    plan: Plan
    profile: TargetProfile
    done: tuple[Done, ...]
    evidence: Evidence
    diagnosis: Diagnosis
    verdict: Verdict
    golden: Batch
    command: str
    model: str
    made_on: date
    elsewhere: tuple[PlaceResult, ...] = ()
    mobile: Mobile | None = None
    byte_file: ByteFile | None = None
    network: bytes | None = None


def make_manifest(outcome: Outcome) -> Manifest:
    """The manifest, its ``files`` still empty."""
    profile = outcome.profile
    return Manifest(
        format_version=FORMAT_VERSION,
        edgecompress_version=metadata.version("edgecompress"),
        target=TargetEntry(name=profile.name, strategy=profile.strategy, reason=profile.reason),
        recipe=recipe_tables(profile.recipe),
        files={},
        data=_data(outcome),
        metrics=metrics_of(outcome),
        verdict=VerdictEntry.model_validate(outcome.verdict.entry),
        environment=environment(),
        mobile=outcome.mobile.entry if outcome.mobile is not None else {},
        image_input=outcome.byte_file.entry if outcome.byte_file is not None else {},
        metadata=metadata_of(outcome.artifact),
        **vars(Elsewhere.of(outcome.elsewhere)),
    )


def make_files(outcome: Outcome) -> dict[str, bytes]:
    """The artifact in all of its formats, the network, the recipe and the self-test, by file name."""
    return {
        ARTIFACT: outcome.artifact,
        **({NETWORK: outcome.network} if outcome.network is not None else {}),
        **(outcome.mobile.files if outcome.mobile is not None else {}),
        **{name: content for result in outcome.elsewhere for name, content in result.files.items()},
        **({BYTES_ARTIFACT: outcome.byte_file.content} if outcome.byte_file is not None else {}),
        "recipe.toml": recipe_file(outcome.profile).encode(),
        SELFTEST: selftest_file(),
        "selftest.npz": golden_file(outcome.artifact, outcome.golden, outcome.evidence.arithmetic),
        "sbom.json": make_sbom(outcome.artifact),
    }


def recipe_file(profile: TargetProfile) -> str:
    """The effective profile as TOML: ``--target recipe.toml`` runs it again."""
    head = {"name": profile.name, "strategy": profile.strategy, "reason": profile.reason}
    return tomli_w.dumps(head) + "\n" + dump_recipe(profile.recipe)


def golden_file(artifact: bytes, golden: Batch, arithmetic: Arithmetic) -> bytes:
    """Inputs, batch axes that are not 0, and the artifact's outputs for them in the target's arithmetic, as npz."""
    outputs = run_session(open_session(artifact, threads=1, arithmetic=arithmetic), golden.inputs)
    axes = {name: golden.axis(name) for name in golden.inputs}
    arrays = {f"input_{name}": array for name, array in golden.inputs.items()}
    arrays |= {f"axis_{name}": np.array(SHARED if axis is None else axis) for name, axis in axes.items() if axis != 0}
    arrays |= {f"output_{index}": array for index, array in enumerate(outputs)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def metrics_of(outcome: Outcome) -> dict[str, Any]:
    """The measures as the manifest holds them: original, compressed, and their ratio or drop."""
    evidence = outcome.evidence
    latency = evidence.latency
    float_parity = [step.agreement for step in outcome.done if step.lossless]
    return {
        "size_bytes": {
            "original": evidence.original_bytes,
            "compressed": evidence.compressed_bytes,
            "ratio": evidence.compression_ratio,
        },
        "latency_ms": {
            "original": latency.first.entry,
            "compressed": latency.second.entry,
            "ratio": latency.speedup,
            "ratio_interval_95": [latency.low, latency.high],
            "verdict": latency.ratio.verdict,
            "arithmetic": in_words("native"),
            "runs": latency.runs,
            "threads": latency.threads,
            "doubts": list(evidence.noise),
        },
        "accuracy": {
            **(_values(evidence) if evidence.measure.name == DEFAULT else dict.fromkeys(VALUES)),
            "unit": "percent top-1",
            "class_axis": evidence.class_axis,
            "arithmetic": in_words(evidence.arithmetic),
        },
        "metric": {
            **_values(evidence),
            "verdict": None if evidence.drop is None else evidence.drop.verdict,
            "kept": evidence.measure.kept(evidence.original_metric, evidence.compressed_metric),
            "name": evidence.measure.name,
            "unit": evidence.measure.unit,
            "higher_is_better": evidence.measure.wants_more,
            "postprocess": None if evidence.measure.postprocess is None else evidence.measure.postprocess.name,
            "worst_class": dataclasses.asdict(evidence.classes[0]) if evidence.classes else None,
        },
        "parity": {
            "original": min(float_parity, key=lambda parity: parity.sqnr_db).entry if float_parity else None,
            "compressed": {**evidence.parity.entry, "lost": list(evidence.lost)},
            "drop": min(parity.sqnr_db for parity in float_parity) - evidence.parity.sqnr_db if float_parity else None,
            "arithmetic": in_words(evidence.arithmetic),
        },
    }


def _values(evidence: Evidence) -> dict[str, Any]:
    interval = None if evidence.drop is None or evidence.drop.interval_95 is None else list(evidence.drop.interval_95)
    values = (evidence.original_metric, evidence.compressed_metric, evidence.metric_drop, interval)
    return dict(zip(VALUES, values, strict=True))


def environment() -> dict[str, str]:
    """Versions and machine on which the measures were taken."""
    versions = {name: metadata.version(name) for name in VERSIONED}
    return {"python": platform.python_version(), "machine": platform.machine(), "cpu": cpu_here(), **versions}


def cpu_here() -> str:
    """What the CPU calls itself; for Arm, which has numbers in the place of names, what its cores are called."""
    told = platform.processor()
    return cpu_name(cpu_lines()) or (told if told.lower() not in FAMILIES else UNKNOWN)


def _data(outcome: Outcome) -> dict[str, Any]:
    """Samples and digests of the data that the run saw."""
    evidence = outcome.evidence
    found: dict[str, Any] = {"evaluated_samples": evidence.evaluated_samples}
    found["evaluation_digest"] = evidence.evaluation_digest
    for step in outcome.done:
        found |= step.result.metrics
    return found
