"""The group-commit engine: lock, read, decide, write, commit, many commands at a time."""
