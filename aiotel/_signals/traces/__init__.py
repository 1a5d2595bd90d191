"""A span for each task, in the program's own traces and through its own provider."""
