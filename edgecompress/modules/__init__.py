"""PyTorch modules: checked, copied, without wrappers, named inputs, captured as a program."""
