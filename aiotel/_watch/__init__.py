"""Watch event loops from beside them: how late they are, what blocks them, and why."""
