"""A device of one's own: what is sent there, what runs there, and what comes back."""
