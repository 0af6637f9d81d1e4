"""Tests of the operators: each against ONNX's reference evaluator."""
