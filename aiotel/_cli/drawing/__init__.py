"""Snapshots for people to read: a table, a tree, one task, a graph; in colours on a terminal."""
