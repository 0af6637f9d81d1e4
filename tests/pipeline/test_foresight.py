"""What a run lacks is said before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.pipeline.compress import plan_of
from edgecompress.pipeline.foresight import foreseen
from edgecompress.pipeline.request import make_request
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe
from edgecompress.recipe.toml import dump_recipe
from edgecompress.targets import effective_profile
from tests.networks import ConvNet, seeded

ALL = ("calibration", "evaluation", "train")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, "x86-vnni")


def _pretend(monkeypatch: pytest.MonkeyPatch, isa: str | None) -> None:
    monkeypatch.setattr("edgecompress.targets.cpus.host_isa", lambda: isa)


def _told(target: str, *assignments: str, roles: tuple[str, ...] = ALL, taught: bool = False) -> list[str]:
    asked = [each.partition("=")[0] for each in assignments]
    return [*foreseen(effective_profile(target, assignments).recipe, roles, taught=taught, asked=asked)]


@pytest.mark.parametrize("target", ["edge", "cloud", "realtime", "vnni-server"])
def test_a_run_that_has_all_is_not_doubted(target: str) -> None:
    assert _told(target, taught=True) == []


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        ((), ["pruned"]),
        (("low_rank.enabled=true",), ["pruned", "factorized"]),
        (("training.epochs=0",), []),
        (("pruning.enabled=false",), []),
    ],
)
def test_a_target_that_trains_without_training_data(assignments: tuple[str, ...], told: list[str]) -> None:
    found = _told("edge", *assignments, roles=("calibration", "evaluation"))
    assert found == [
        f"there is no training data (--train): the {what} network is not trained to recover" for what in told
    ]


def test_what_is_given_and_not_used() -> None:
    assert _told("mobile", "training.loss=mse", taught=True) == [
        f"{what}: no technique of this recipe trains"
        for what in ("the training data is not read", "the teacher is not asked", "the loss is not asked")
    ]


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        ((), "max_accuracy_drop is not measured: there is no evaluation data (--evaluation)"),
        (
            ("budgets.max_metric_drop=1", "budgets.min_metric=50"),
            "max_accuracy_drop, max_metric_drop, min_metric are not measured: there is no evaluation data"
            " (--evaluation)",
        ),
    ],
)
def test_budgets_of_the_metric_need_evaluation_data(assignments: tuple[str, ...], told: str) -> None:
    assert _told("mobile", *assignments, roles=("calibration",)) == [told]


def test_a_floor_that_passes_everything_is_told() -> None:
    assert _told("mobile", "budgets.min_compression_ratio=0.25", roles=ALL[:2]) == [
        "min_compression_ratio=0.25 passes an artifact 4 times larger than the float model; for 4 times smaller write 4"
    ]


def test_agreement_needs_no_evaluation_data() -> None:
    assert _told("mobile", "budgets.max_accuracy_drop=none", "budgets.min_sqnr_db=30", roles=("calibration",)) == []


@pytest.mark.parametrize(
    ("target", "assignments", "told"),
    [
        ("vnni-server", (), []),
        (
            "raspberry-pi-5",
            (),
            [
                "min_speedup is not measured: the target's CPU is armv8.2-dotprod, this machine's x86-vnni; to time it"
                " there, give --device ssh://HOST or adb://SERIAL"
            ],
        ),
        ("raspberry-pi-5", ("budgets.min_speedup=none",), []),
        (
            "raspberry-pi-5",
            ("budgets.min_speedup=none", "low_rank.enabled=true", "low_rank.goal=latency", "training.epochs=0"),
            [
                "low_rank.goal=latency is decided by this machine's times: the target's CPU is armv8.2-dotprod, this"
                " machine's x86-vnni; to time it there, give --device ssh://HOST"
            ],
        ),
        ("raspberry-pi-5", ("device.url=ssh://pi@board",), []),
        ("raspberry-pi-5", ('validation.on=["ssh://pi@board"]',), []),
        (
            "mobile",
            ('cpu.emulate=["cortex-a76"]', "budgets.max_latency_ms=5"),
            [
                "min_speedup, max_latency_ms are measured on this machine; of an emulated CPU only the answers are"
                " compared"
            ],
        ),
    ],
)
def test_times_are_this_machine_s(target: str, assignments: tuple[str, ...], told: list[str]) -> None:
    assert _told(target, *assignments, roles=ALL if target == "vnni-server" else ALL[:2]) == told


def test_a_machine_that_does_not_tell_counts_by_its_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, None)
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    (told,) = _told("raspberry-pi-5", roles=("calibration", "evaluation"))
    assert told.startswith("min_speedup is not measured: the target's CPU is armv8.2-dotprod, this machine's AMD64;")
    assert _told("mobile", roles=("calibration", "evaluation")) == []
    assert _told("mini-pc", roles=("calibration", "evaluation")) == []
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert _told("raspberry-pi-5", roles=("calibration", "evaluation")) == []


def test_a_student_for_a_latency_budget_is_sized_by_this_machine_s_times() -> None:
    told = "the size of the derived student is decided by this machine's times: the target's CPU is armv8.0"
    given = ("cpu.isa=armv8.0", "budgets.min_speedup=1.5")
    assert any(line.startswith(told) for line in _told("realtime", *given))
    assert not any(line.startswith(told) for line in _told("realtime", *given, taught=True))
    assert not any(line.startswith(told) for line in _told("realtime", *given, "device.url=ssh://pi@board"))


def test_no_device_times_a_browser() -> None:
    (told,) = _told("browser", "budgets.min_speedup=2", "export.browser=false", roles=("calibration", "evaluation"))
    assert told == (
        "min_speedup is not measured: the target's CPU is wasm, this machine's x86-vnni; time it in the browser"
    )


def test_a_float_artifact_has_a_latency_of_its_own() -> None:
    told = _told(
        "android", "quantization.enabled=false", "budgets.max_latency_ms=3", roles=("calibration", "evaluation")
    )
    assert any(line.startswith("max_latency_ms is not measured: the target's CPU is armv8.2-dotprod") for line in told)
    assert not any("min_speedup" in line and "target's CPU" in line for line in told)


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        (("budgets.min_cpu_agreement=1",), "min_cpu_agreement is not measured: no other CPU is named; set cpu.emulate"),
        (("budgets.min_cpu_agreement=1", 'validation.on=["qemu:haswell"]'), None),
        (
            ("budgets.min_runtime_agreement=1", 'validation.on=["browser"]'),
            "min_runtime_agreement is not measured: no other place to run is named; set validation.on",
        ),
        (("budgets.min_browser_agreement=1", 'validation.on=["browser"]'), None),
    ],
)
def test_agreement_elsewhere_needs_a_place(assignments: tuple[str, ...], told: str | None) -> None:
    found = _told("cloud", *assignments, "budgets.min_speedup=none")
    assert found == ([] if told is None else [told])


def test_the_float_model_is_not_compared_with_itself() -> None:
    told = _told("mobile", "quantization.enabled=false", roles=("calibration", "evaluation"))
    assert told == [
        "min_compression_ratio, min_speedup are not measured: no technique is enabled, and the artifact is the float"
        " model itself"
    ]


OFF = "has no effect: pruning is off; set pruning.enabled=true"
UNTRAINED = "has no effect: there is no training data (--train)"
NO_TRAINING = (
    "has no effect: no technique of this recipe trains; take --target edge or realtime, which train, and give"
    " --train DATA"
)


@pytest.mark.parametrize(
    ("target", "assignment", "roles", "told"),
    [
        ("mobile", "pruning.amount=0.4", ALL[:2], f"pruning.amount {OFF}"),
        ("edge", "pruning.enabled=false", ALL, None),
        ("edge", "pruning.amount=0.4", ALL, None),
        (
            "mobile",
            "low_rank.amount=0.4",
            ALL[:2],
            "low_rank.amount has no effect: low_rank is off; set low_rank.enabled=true",
        ),
        ("mobile", "training.epochs=2", ALL[:2], f"training.epochs {NO_TRAINING}"),
        ("edge", "training.epochs=2", ALL[:2], f"training.epochs {UNTRAINED}"),
        ("edge", "training.epochs=2", ALL, None),
        ("mobile", "training.task=regression", ALL[:2], None),
        ("mobile", "training.ignore_index=3", ALL[:2], None),
        ("edge", "distillation.alpha=0.4", ALL, None),
        (
            "mobile",
            "distillation.alpha=0.4",
            ALL[:2],
            "distillation.alpha has no effect: distillation is off; set distillation.enabled=true",
        ),
        ("mobile", "quantization.scheme=fbgemm", ALL[:2], None),
        (
            "mobile",
            'quantization.uint16_activations=["add"]',
            ALL[:2],
            "quantization.uint16_activations has no effect: that is for NPUs; set quantization.enclose=true",
        ),
        ("snapdragon", 'quantization.uint16_activations=["add"]', ALL[:2], None),
    ],
)
def test_what_is_set_and_changes_nothing_is_told(
    target: str, assignment: str, roles: tuple[str, ...], told: str | None
) -> None:
    found = [line for line in _told(target, assignment, roles=roles) if "has no effect" in line]
    assert found == ([] if told is None else [told])


def test_a_caller_of_python_is_told_so_too() -> None:
    network = seeded(ConvNet)
    for overrides in (["pruning.amount=0.4"], {"pruning": {"amount": 0.4}}, {"pruning.amount": 0.4}):
        plan = plan_of(make_request(network, data={"calibration": []}, overrides=overrides))
        assert f"pruning.amount {OFF}" in plan.warnings
    assert not any("has no effect" in line for line in plan_of(make_request(network, data={})).warnings)


def test_what_a_file_of_the_user_s_sets_is_told_as_what_an_override_sets(tmp_path: Path) -> None:
    own, above = tmp_path / "own.toml", tmp_path / "above.toml"
    above.write_text("extends = 'mobile'\n[pruning]\namount = 0.4\n")
    own.write_text("extends = 'above.toml'\n[training]\nepochs = 3\n[cpu]\nthreads = 2\n")
    plan = plan_of(make_request(seeded(ConvNet), target=own, data={"calibration": []}, overrides=["seed=3"]))
    told = [line for line in plan.warnings if "has no effect" in line]
    assert told == [f"pruning.amount {OFF}", f"training.epochs {NO_TRAINING}"]


@pytest.mark.parametrize("target", ["mobile", "browser", "snapdragon"])
def test_a_run_that_is_repeated_from_its_record_is_told_nothing_new(tmp_path: Path, target: str) -> None:
    profile, record = effective_profile(target, ["pruning.amount=0.4"]), tmp_path / "recipe.toml"
    record.write_text(dump_recipe(profile.recipe))
    plan = plan_of(make_request(seeded(ConvNet), target=record, data={"calibration": []}))
    assert not [line for line in plan.warnings if "has no effect" in line]


def test_budgets_of_a_placement_need_an_npu() -> None:
    asked = override(Recipe(), ["budgets.max_cpu_nodes=0", "budgets.min_npu_share=0.9"])
    told = "max_cpu_nodes, min_npu_share are not measured: no NPU is named; set validation.device"
    assert told in [*foreseen(asked, ())]
    named = override(asked, ["validation.device=qnn:sm8650"])
    assert told not in [*foreseen(named, ())]
