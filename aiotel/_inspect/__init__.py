"""Read-only looks at the running process."""
