"""What was received, as lines for a terminal."""
