"""What the plan says of the device: integers that answer differently, stand-ins, and threads that are not there."""

from __future__ import annotations

import pytest

from edgecompress.pipeline.plan import make_plan
from edgecompress.step import Plan
from edgecompress.targets import effective_profile
from tests.networks import LinearStack, seeded


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecompress.targets.cpus.available_cores", lambda: 8)


def _plan(target: str, *assignments: str) -> Plan:
    return make_plan(seeded(LinearStack), effective_profile(target, assignments))


def _validation(plan: Plan) -> str:
    return next(step.what for step in plan.steps if step.name == "validate")


@pytest.mark.parametrize("target", ["mobile", "mini-pc", "browser", "raspberry-pi-5"])
def test_no_target_that_comes_along_is_doubted(target: str) -> None:
    assert _plan(target).warnings == ()


def test_integers_that_saturate_on_the_device_are_doubted() -> None:
    (line,) = _plan("mini-pc", "quantization.scheme=qnnpack").warnings
    assert line.startswith("8-bit products saturate on x86-avx2, and scheme qnnpack gives other answers there")
    assert _plan("mini-pc", "quantization.scheme=qnnpack", "cpu.isa=x86-vnni").warnings == ()


def test_the_plan_names_the_cpu_that_stands_in_unless_one_is_tried() -> None:
    assert _validation(_plan("mini-pc")).endswith('; cpu.emulate=["haswell"] would try x86-avx2')
    assert "would try" not in _validation(_plan("mini-pc", 'cpu.emulate=["haswell"]'))
    assert "would try" not in _validation(_plan("browser"))
    assert "would try" not in _validation(_plan("mobile"))


@pytest.mark.parametrize(
    ("cores", "told"), [(1, "1 thread (this machine has 1 core"), (2, "2 threads (this machine has 2 cores")]
)
def test_a_target_of_more_threads_than_cores_is_timed_with_these(
    cores: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecompress.targets.cpus.available_cores", lambda: cores)
    assert f"latency at {told}; cpu.threads is 4), size" in _validation(_plan("mini-pc"))
    assert _plan("mini-pc").warnings == ()
    assert "this machine" not in _validation(_plan("mini-pc", "cpu.threads=1"))


@pytest.mark.parametrize(
    ("goal", "residual", "told"),
    [
        ("macs", "auto", "channels, inside of blocks where that suffices, go"),
        ("macs", "keep", "channels inside of blocks go"),
        ("macs", "prune", "channels go"),
        ("channels", "auto", "channels go"),  # a share of every layer's channels is one of the residual stream's too
    ],
)
def test_the_plan_says_which_channels_go(goal: str, residual: str, told: str) -> None:
    plan = _plan("cloud", f"pruning.goal={goal}", f"pruning.residual={residual}")
    assert f"; {told} " in next(step.what for step in plan.steps if step.name == "prune")
