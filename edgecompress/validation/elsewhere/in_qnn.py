"""What runs in the process of Qualcomm's compiler and simulator: python in_qnn.py FOLDER SOC OUTPUT...

FOLDER has ``model.onnx``, of fixed shapes, and ``inputs.npz`` with arrays named ``SAMPLE_NAME``; OUTPUT are the names
of the model's outputs in order. It writes ``outputs.npz``, the compiled network, and ``answer.json`` with ``ran_on``,
``nodes`` and ``files``, or only with ``failure``; to ``beats`` a byte for each sample, and to ``log`` what the
compiler says. Needs Python, numpy, onnxruntime and onnxruntime-qnn.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

PROVIDER = "QNNExecutionProvider"
CONTEXT = "model_ctx.onnx"
"""The compiled network in an operator of an ONNX file, and around it what the NPU does not take."""
CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")
"""Between integers and floats; they are the form of the file, and no nodes of the network."""
REFUSED = re.compile(r"failed for node `([^`]*)` of type `([^`]*)` with error code (\d+)")
ERROR = re.compile(r"\[E:onnxruntime:[^\]]*\] (.*)")
NOT_SELECTED = re.compile(r"Node '([^']*)' OpType:(\w+) .* was not selected by that EP")
REWRITTEN = re.compile(r"_token_\d+$")
"""What the rewrite to channels last adds to the names of nodes."""
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def run(folder: Path, soc: str, outputs: list[str]) -> dict[str, Any]:
    """Run every sample and save the outputs; returns the answer."""
    import numpy as np
    import onnxruntime
    import onnxruntime_qnn

    onnxruntime.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
    devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == PROVIDER]
    device = next((each for each in devices if each.device.type.name == "NPU"), devices[0])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    context = {"ep.context_enable": "1", "ep.context_file_path": str(folder / CONTEXT), "ep.context_embed_mode": "1"}
    for key, value in {"session.record_ep_graph_assignment_info": "1", **context}.items():
        options.add_session_config_entry(key, value)
    provider = {"backend_path": onnxruntime_qnn.get_qnn_htp_path(), "soc_model": soc}
    # Conversion of inputs and outputs on the NPU, too, so that nothing is left to the CPU.
    options.add_provider_for_devices([device], {**provider, "offload_graph_io_quantization": "0"})
    session = onnxruntime.InferenceSession(folder / "model.onnx", options)
    said = COLOURS.sub("", (folder / "log").read_text(errors="replace"))
    if "Unrecognized soc_model" in said:  # it goes on, for another chip
        return {"failure": f"onnxruntime-qnn {onnxruntime_qnn.__version__} does not know {soc!r}"}
    nodes = assigned(session.get_provider_graph_assignment_info(), said)
    if not any(node["unit"] == "NPU" for node in nodes):
        return {"failure": f"nothing of it runs on the NPU: {complaint(said)}"}
    found = {}
    with np.load(folder / "inputs.npz", allow_pickle=False) as pack:
        names = [spec.name for spec in session.get_inputs()]
        for sample in sorted({name.partition("_")[0] for name in pack.files}):
            feed = {name: pack[f"{sample}_{name}"] for name in names}
            for name, array in zip(outputs, session.run(outputs, feed), strict=True):
                found[f"{sample}_{name}"] = array
            with (folder / "beats").open("ab") as beats:
                beats.write(b".")
    np.savez(folder / "outputs.npz", allow_pickle=False, **found)
    versions = {"onnxruntime": onnxruntime.__version__, "onnxruntime-qnn": onnxruntime_qnn.__version__}
    simulated = "simulated" if device.device.type.name != "NPU" else "real"
    return {"ran_on": {**versions, "SoC": soc, "NPU": simulated}, "nodes": nodes, "files": [CONTEXT]}


def assigned(parts: Any, said: str) -> list[dict[str, str]]:
    """The nodes by where they run, with what the compiler said of those that it refused."""
    reasons = {name: f"{PROVIDER} refuses {kind}, error {code}" for name, kind, code in REFUSED.findall(said)}
    nodes = []
    for part in parts:
        unit = "NPU" if part.ep_name == PROVIDER else "CPU"
        for node in part.get_nodes():
            if node.op_type not in CONVERSIONS:
                why = reasons.get(node.name, "") if unit == "CPU" else ""
                name = REWRITTEN.sub("", node.name)
                nodes.append({"name": name, "operator": node.op_type, "unit": unit, "why": why})
    return nodes


def refusal(error: Exception) -> str:
    """Why there is no session, in one line."""
    found = NOT_SELECTED.search(str(error))
    if found:
        name, kind = REWRITTEN.sub("", found[1]), found[2]
        return f"its compiler refuses node {name!r} ({kind}) after it took it, and with it the file"
    said = (line.strip() for line in str(error).splitlines())
    return f"its compiler refuses the artifact: {next((line for line in said if line), type(error).__name__)}"


def complaint(said: str) -> str:
    """The first error in a log, or what was refused first; in one line.

    >>> complaint("... [E:onnxruntime:, qnn.cc:22 Setup] no device\\n")
    'no device'
    """
    errors, refused = ERROR.findall(said), REFUSED.findall(said)
    if errors:
        return " ".join(errors[0].split())
    return f"its compiler refuses node {refused[0][0]!r} of type {refused[0][1]}" if refused else "no reason given"


def memory_taken(taken: int, limit: int) -> str:
    """Of a compiler that failed: the memory that it had taken, where that was much; what it says then names no memory.

    Args:
        taken: bytes of address space.
        limit: bytes that it may take; -1 where there is no limit.

    >>> memory_taken(5 * 2**30, 8 * 2**30), memory_taken(2**30, 8 * 2**30), memory_taken(2**40, -1)
    ('; it had taken 5.0 of the 8.0 GiB of memory that it may take', '', '')
    """
    if limit <= 0 or taken < limit / 2:
        return ""
    return f"; it had taken {taken / 2**30:.1f} of the {limit / 2**30:.1f} GiB of memory that it may take"


def address_space() -> tuple[int, int]:
    """The bytes that this process had taken at most, and its limit; (0, -1) where the system does not tell."""
    try:
        import resource

        status = Path("/proc/self/status").read_text()
    except (ImportError, OSError):
        return 0, -1
    peak = re.search(r"VmPeak:\s+(\d+) kB", status)
    return int(peak[1]) * 1024 if peak else 0, resource.getrlimit(resource.RLIMIT_AS)[0]


def main() -> int:
    """Run what the command line names; what C++ writes goes to the log."""
    folder, soc, outputs = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(log, stream)
    try:
        answer = run(folder, soc, outputs)
    except MemoryError:
        answer = {"failure": "its compiler needs more memory than there is"}
    except ImportError as error:
        answer = {"failure": f"onnxruntime-qnn does not load: {error}"}
    except Exception as error:
        answer = {"failure": refusal(error)}
    if "failure" in answer:
        answer["failure"] += memory_taken(*address_space())
    (folder / "answer.json").write_text(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
