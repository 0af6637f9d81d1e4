"""Importance criteria, a file each, called as the recipe names them: ``score_units`` says which units matter most."""
