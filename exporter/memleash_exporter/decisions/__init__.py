"""Decisions without effects: facts in, verdict out. Nothing here opens a file or reads a clock."""
