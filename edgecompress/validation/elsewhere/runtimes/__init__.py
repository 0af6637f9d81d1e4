"""The runtimes of the package, a file each; :mod:`edgecompress.validation.elsewhere.place` says what a runtime is."""
