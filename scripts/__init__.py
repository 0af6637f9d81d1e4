"""Programs that a developer runs, and what the site is written from."""
