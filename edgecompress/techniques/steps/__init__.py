"""The techniques, a file each: what it adds to the plan, and what carries that out."""
