"""MODEL and DATA, in every form that a user may give them."""
