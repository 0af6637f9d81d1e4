"""The artifact elsewhere: on other CPUs, and in a browser."""
