"""What runs in the process of OpenVINO: python in_openvino.py FOLDER DEVICE OUTPUT...

FOLDER has ``model.onnx`` and ``inputs.npz`` with arrays named ``BATCH_NAME``; OUTPUT are the names of the model's
outputs in order. It writes ``outputs.npz``, and ``answer.json`` with ``ran_on`` and ``nodes``, or with ``failure``
alone. Needs Python, numpy and openvino, and nothing else.
"""

import json
import sys
from pathlib import Path
from typing import Any

IN_THE_FILES_PRECISION = {"EXECUTION_MODE_HINT": "ACCURACY", "PERF_COUNT": True}
"""What the file leaves in float32 is computed so: by default it is bfloat16 where the CPU has that."""
LAID_OUT = ("Const", "Input", "Output", "Reorder", "Reshape")
"""Types of nodes that compute nothing."""


def run(folder: Path, device: str, outputs: list[str]) -> dict[str, Any]:
    """Run every batch and save the outputs; returns the answer."""
    import numpy as np
    import openvino

    core, found = openvino.Core(), {}
    compiled = core.compile_model(core.read_model(folder / "model.onnx"), device, IN_THE_FILES_PRECISION)
    request = compiled.create_infer_request()
    with np.load(folder / "inputs.npz", allow_pickle=False) as pack:
        names = [port.any_name for port in compiled.inputs]
        for batch in sorted({name.partition("_")[0] for name in pack.files}):
            request.infer({name: pack[f"{batch}_{name}"] for name in names})
            for index, name in enumerate(outputs):
                found[f"{batch}_{name}"] = request.get_output_tensor(index).data.copy()
            with (folder / "beats").open("ab") as beats:
                beats.write(b".")
    np.savez(folder / "outputs.npz", allow_pickle=False, **found)
    ran_on = {"openvino": openvino.__version__.partition("-")[0], device: core.get_property(device, "FULL_DEVICE_NAME")}
    return {"ran_on": ran_on, "nodes": executed(compiled.get_runtime_model(), device.partition(".")[0])}


def executed(graph: Any, unit: str) -> list[dict[str, str]]:
    """The nodes of an execution graph that ran and computed something."""
    nodes = []
    for node in graph.get_ordered_ops():
        told = {key: str(value.astype(str)) for key, value in node.get_rt_info().items()}
        if told["layerType"] not in LAID_OUT and told["execTimeMcs"] != "not_executed":
            name = node.get_friendly_name().partition("/WithoutBiases")[0]
            precision = told["runtimePrecision"]
            nodes.append({"name": name, "operator": told["layerType"], "unit": unit, "precision": precision})
    return nodes


def in_one_line(error: Exception) -> str:
    """What OpenVINO says, without where in its source that is.

    >>> in_one_line(RuntimeError("Exception from src/core.cpp:8:\\nNo rule for:\\n-- Strange\\n\\n"))
    'No rule for: -- Strange'
    """
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from ", "Check 'false' failed"))]
    return " ".join(said) or type(error).__name__


def main() -> int:
    """Run what the command line names."""
    folder, device, outputs = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    try:
        answer = run(folder, device, outputs)
    except MemoryError:
        raise
    except ImportError as error:
        answer = {"failure": f"OpenVINO does not load: {in_one_line(error)}"}
    except Exception as error:
        answer = {"failure": f"OpenVINO refuses the artifact: {in_one_line(error)}"}
    (folder / "answer.json").write_text(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
