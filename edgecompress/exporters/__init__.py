"""From a captured program to a file that ships: ONNX, simplified, quantized, bundled."""
