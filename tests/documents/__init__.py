"""What the documentation says is run: its pages, their blocks, and the folder that they are run in."""
