"""What is made of what Qualcomm's compiler says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from edgecompress.validation.elsewhere.in_qnn import PROVIDER, assigned, complaint, refusal

WARNING = (
    "2026-11-30 00:27:25.2 [W:onnxruntime:, qnn_model_wrapper.cc:565 CreateQnnNode] QNN.backendValidateOpConfig()"
    " failed for node `linear` of type `FullyConnected` with error code 3110\n"
)
ERROR = "2026-11-30 00:27:26.1 [E:onnxruntime:, qnn_execution_provider.cc:22 Setup] QNN  SetupBackend failed\n"
LAYOUT = (
    "[ONNXRuntimeError] : 1 : FAIL : Node 'pool_token_9' OpType:MaxPool with domain:com.ms.internal.nhwc was inserted"
    " using the NHWC format as requested by QNNExecutionProvider, but was not selected by that EP. This means"
)


def _part(provider: str, *nodes: tuple[str, str]) -> SimpleNamespace:
    made = [SimpleNamespace(name=name, op_type=kind) for name, kind in nodes]
    return SimpleNamespace(ep_name=provider, get_nodes=lambda: made)


def test_nodes_are_told_by_where_they_run_and_why() -> None:
    parts = [
        _part(PROVIDER, ("conv_token_12", "Conv"), ("q", "QuantizeLinear"), ("dq", "DequantizeLinear")),
        _part("CPUExecutionProvider", ("view", "Reshape")),
        _part("CPUExecutionProvider", ("linear", "Gemm")),
    ]
    assert assigned(parts, ERROR + WARNING) == [
        {"name": "conv", "operator": "Conv", "unit": "NPU", "why": ""},
        {"name": "view", "operator": "Reshape", "unit": "CPU", "why": ""},
        {"name": "linear", "operator": "Gemm", "unit": "CPU", "why": f"{PROVIDER} refuses FullyConnected, error 3110"},
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (WARNING + ERROR, "QNN SetupBackend failed"),
        (WARNING, "its compiler refuses node 'linear' of type FullyConnected"),
        ("", "no reason given"),
    ],
)
def test_a_log_is_one_line(said: str, told: str) -> None:
    assert complaint(said) == told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError(LAYOUT), "its compiler refuses node 'pool' (MaxPool) after it took it, and with it the file"),
        (
            RuntimeError("\nFailed to finalize QNN graph\nat 7"),
            "its compiler refuses the artifact: Failed to finalize QNN graph",
        ),
        (RuntimeError(), "its compiler refuses the artifact: RuntimeError"),
    ],
)
def test_an_exception_is_one_line(error: Exception, told: str) -> None:
    assert refusal(error) == told
