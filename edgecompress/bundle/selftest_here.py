"""What the self-test of a bundle will say on the machine that makes it, where that is not the target."""

from __future__ import annotations

from edgecompress.arithmetic import Arithmetic
from edgecompress.arrays import Inputs
from edgecompress.bundle.selftest import MIN_SQNR_DB
from edgecompress.metrics.agreement import Agreement
from edgecompress.runtime import open_session, run_session, saturates


def doubt_of_self_test(artifact: bytes, inputs: Inputs, arithmetic: Arithmetic) -> str | None:
    """Why the self-test fails here, in words; None where it does not fail.

    The self-test opens the artifact as an application does. On a CPU whose sums of 8-bit products saturate, it sees
    other outputs than those that a target without saturation gives, and that the bundle records.

    Args:
        artifact: the bytes of ``model.onnx``.
        inputs: float or integer arrays of shape (rows, ...) by input name.
        arithmetic: in which the recorded outputs are taken.
    """
    if arithmetic == "native" or not saturates():
        return None
    exact, native = (run_session(open_session(artifact, 1, arithmetic=each), inputs) for each in ("exact", "native"))
    least = min(Agreement.between([answer], [other]).sqnr_db for answer, other in zip(exact, native, strict=True))
    if least >= MIN_SQNR_DB:
        return None
    return (
        "sums of 8-bit products saturate on this CPU, and not on the target's: here the artifact agrees to"
        f" {least:.1f} dB with what it gives there, and its self-test fails; run that on the target"
    )
