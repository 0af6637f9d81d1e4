"""What runs inside the emulator: python emulated.py MODEL.onnx INPUTS.npz OUTPUTS.npz

Needs Python, numpy and onnxruntime, and nothing else. Arrays are named ``BATCH_NAME``: batch number and
name of the input or output. The version of ONNX Runtime goes to standard output; a
failure is one line on standard error and exit status 1.
"""

import sys


def run(model: str, inputs: str, outputs: str) -> str:
    """Run every batch at one thread and save the outputs; returns the version of ONNX Runtime."""
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RuntimeError(f"ONNX Runtime {ort.__version__} refuses the artifact: {error}") from None
    found = {}
    with np.load(inputs, allow_pickle=False) as pack:
        for batch in sorted({name.partition("_")[0] for name in pack.files}):
            feed = {spec.name: pack[f"{batch}_{spec.name}"] for spec in session.get_inputs()}
            for spec, array in zip(session.get_outputs(), session.run(None, feed), strict=True):
                found[f"{batch}_{spec.name}"] = array
    np.savez(outputs, allow_pickle=False, **found)
    return str(ort.__version__)


def main() -> int:
    """Run what the command line names."""
    try:
        print(run(*sys.argv[1:]))
    except Exception as error:  # whatever it is, the parent shows one line
        print(" ".join(f"{type(error).__name__}: {error}".split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
