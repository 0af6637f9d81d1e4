"""What ONNX Runtime's own mobile tools say of a model: the operators that it needs, and what accelerators could run."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def required_operators(converted: Path) -> bytes:
    """The operators of a file in ORT format, as ONNX Runtime's build script takes them (``--include_ops_by_config``).

    With the types of each, where the tool follows them.
    """
    with contained():
        from onnxruntime.tools.ort_format_model.operator_type_usage_processors import OperatorTypeUsageManager
        from onnxruntime.tools.ort_format_model.ort_model_processor import OrtFormatModelProcessor

        types, operators = OperatorTypeUsageManager(), dict[str, dict[int, set[str]]]()
        OrtFormatModelProcessor(str(converted), operators, types).process()
        lines = [f"# Generated from {converted.name}"]
        for domain, versions in sorted(operators.items()):
            for version, names in sorted(versions.items()):
                entries = (f"{name}{types.get_config_entry(domain, name) or ''}" for name in sorted(names))
                lines.append(f"{domain};{version};{','.join(entries)}")
        return ("\n".join(lines) + "\n").encode()


def count_accelerated(artifact: Path, optimized: Path) -> dict[str, Any]:
    """What each accelerator could take of a model, as ONNX Runtime's usability checker counts it.

    ``as_shipped`` counts the graph as it is, where an accelerator takes no node with dynamic shapes; ``fixed_shapes``
    counts it once every dimension is fixed. Only the operators decide, not
    what the checker calls caveats.

    Args:
        artifact: the ONNX file.
        optimized: where to write it after ONNX Runtime's basic optimizations, on which the checker counts.
    """
    with contained():
        from onnxruntime.tools.mobile_helpers import usability_checker as checker
        from onnxruntime.tools.onnx_model_utils import ModelProtoWithShapeInfo, optimize_model

        optimize_model(artifact, optimized, log_level=4)
        model = ModelProtoWithShapeInfo(optimized).model_with_shape_info

        def coreml(supported: str, fixed: bool) -> Any:
            return checker.check_coreml_partitions(model, fixed, f"coreml_supported_{supported}_ops.md")

        return {
            "nnapi": _entry(*(checker.check_nnapi_partitions(model, fixed) for fixed in (True, False))),
            "coreml_neural_network": _entry(*(coreml("neuralnetwork", fixed) for fixed in (True, False))),
            "coreml_ml_program": _entry(*(coreml("mlprogram", fixed) for fixed in (True, False))),
        }


@contextmanager
def contained() -> Iterator[None]:
    """Undo what the tools do to their caller: log lines, handlers of the root logger, entries of ``sys.path``."""
    root, path, muted = logging.getLogger(), list(sys.path), logging.root.manager.disable
    handlers = list(root.handlers)
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they leave files open
            yield
    finally:
        logging.disable(muted)
        root.handlers[:], sys.path[:] = handlers, path


def _entry(shipped: Any, fixed: Any) -> dict[str, Any]:
    return {
        "nodes": shipped.num_nodes,
        "as_shipped": _figures(shipped),
        "fixed_shapes": _figures(fixed),
        "unsupported_operators": sorted(fixed.unsupported_ops),
    }


def _figures(info: Any) -> dict[str, Any]:
    return {
        "partitions": info.num_partitions,
        "supported_nodes": info.num_supported_nodes,
        "suitability": info.suitability().name.lower(),
    }
