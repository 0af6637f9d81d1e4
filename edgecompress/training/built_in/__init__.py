"""The losses of the package, one file each."""
