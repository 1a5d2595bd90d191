"""A small OTLP/HTTP receiver, and its rendering in a terminal. Any sender will do."""
