"""The last look at the artifact: what ships is valid ONNX, its dynamic axes have names, and so do the user's values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import onnx
import onnx_ir as ir

from edgecompress.errors import EdgecompressError, ModelError, first_line
from edgecompress.exporters.bias_scales import multiply_bias_scales
from edgecompress.exporters.model_metadata import write_metadata
from edgecompress.exporters.short_names import graphs_of, shorten_names
from edgecompress.exporters.zero_points import make_zero_points

EMPTY: Mapping[str, str] = MappingProxyType({})
BY_AXIS = {"strides": 1, "dilations": 1, "pads": 0}
"""What convolutions and pools do along each axis by default; the schemas of onnx do not say so."""


def finish(model: ir.Model, original: ir.Model, metadata: Mapping[str, str] = EMPTY) -> bytes:
    """The bytes of the file that ships; equal networks give equal bytes.

    A dynamic axis of an input or output that has no name gets one, ``<value>_<axis>``. What only the file refers to
    has a short name, and constants that follow from others are computed when it is loaded.

    Args:
        model: the network.
        original: the model whose names it has.
        metadata: what the file says about itself, in addition to what the model does.

    Raises:
        EdgecompressError: it is not valid ONNX, or its inputs and outputs are not called as those of ``original``.
    """
    _require_names(model, original)
    proto = _plain(model)
    multiply_bias_scales(proto)
    shorten_names(proto)
    make_zero_points(proto)
    write_metadata(proto, metadata)
    content: bytes = proto.SerializeToString(deterministic=True)
    fault = fault_of(content)
    if fault is not None:
        raise EdgecompressError(f"the artifact is not valid ONNX: {fault}")
    return content


def compact(model: ir.Model) -> bytes:
    """The bytes of a model's file without what goes without saying: in small networks that is 4 % of it.

    Shapes are found again by inference, attributes that are left out have their default, and notes on single operators
    and constants (where in the source they come from) are for whoever made the model.
    """
    content: bytes = _plain(model).SerializeToString(deterministic=True)
    return content


def _plain(model: ir.Model) -> onnx.ModelProto:
    proto = ir.to_proto(model)
    for value in (*proto.graph.input, *proto.graph.output):
        _name_axes(value)
    for graph in graphs_of(proto.graph):
        del graph.value_info[:]
        for part in (*graph.node, *graph.initializer):
            part.ClearField("doc_string")
            part.ClearField("metadata_props")
        for node in graph.node:
            _drop_defaults(node, model.opset_imports)
    return proto


def _drop_defaults(node: onnx.NodeProto, versions: Mapping[str, int]) -> None:
    version = versions.get(node.domain)
    if version is None or not onnx.defs.has(node.op_type, version, node.domain):
        return  # an operator of another domain
    known = onnx.defs.get_schema(node.op_type, version, node.domain).attributes
    kept = [each for each in node.attribute if not (each.name in known and _is_default(each, known[each.name]))]
    del node.attribute[:]
    node.attribute.extend(kept)


def _is_default(attribute: onnx.AttributeProto, schema: onnx.defs.OpSchema.Attribute) -> bool:
    if schema.required:
        return False
    if attribute.name in BY_AXIS:
        return set(attribute.ints) == {BY_AXIS[attribute.name]}
    value, default = (onnx.helper.get_attribute_value(proto) for proto in (attribute, schema.default_value))
    return bool(schema.default_value.name) and value == default


def require_valid(model: ir.Model) -> None:
    """Check a user's own ONNX model before anything is done with it, as the artifact is checked in the end.

    Raises:
        ModelError: it is not valid, or the shapes that it declares are not those of its operators.
    """
    fault = fault_of(ir.to_proto(model).SerializeToString(deterministic=True))
    if fault is not None:
        raise ModelError(f"the ONNX model is not valid: {fault}; export it again")


def fault_of(content: bytes) -> str | None:
    """What ``onnx.checker`` with full shape inference finds wrong, in one line; None for a valid file."""
    try:
        onnx.checker.check_model(content, full_check=True)
    except Exception as error:  # the checker, shape inference and protobuf have exceptions of their own
        return first_line(error)
    return None


def _require_names(model: ir.Model, original: ir.Model) -> None:
    for kind in ("inputs", "outputs"):
        found, wanted = ([str(v.name) for v in getattr(each.graph, kind)] for each in (model, original))
        if found != wanted:
            raise EdgecompressError(
                f"the artifact's {kind} are called {', '.join(found)}, those of the model {', '.join(wanted)}"
            )


def _name_axes(value: onnx.ValueInfoProto) -> None:
    if value.type.WhichOneof("value") != "tensor_type":
        return
    for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
        if not dimension.WhichOneof("value") or (dimension.HasField("dim_param") and not dimension.dim_param):
            dimension.dim_param = f"{value.name}_{axis}"
