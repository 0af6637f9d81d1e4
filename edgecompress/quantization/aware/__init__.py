"""Quantization-aware training: the INT8 network as a PyTorch module, and what training makes of its lowering."""
