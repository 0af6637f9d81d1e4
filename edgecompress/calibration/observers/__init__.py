"""Observers, a file each, called as the recipe names them: ``find_range`` says what the integers should cover."""
