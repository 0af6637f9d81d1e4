"""The machine: files that are whole or not there, folders, locks, child processes, seeds."""
