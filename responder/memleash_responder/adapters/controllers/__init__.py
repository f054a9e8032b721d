"""Whoever gives agents tasks: one file a kind, the same four calls."""
