"""A captured program becomes a file that ships: ONNX, simplified, in its canonical form, in the mobile format."""
