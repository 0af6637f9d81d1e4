"""The bundle: what is in it, how it is written, signed, read and measured again."""
