"""The kinds of folders, a file each: whether a folder is of the kind, and the samples in it."""
