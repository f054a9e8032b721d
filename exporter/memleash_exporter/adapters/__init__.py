"""The outside world: /proc, systemd's units, marker files, and probes in the background.

No metric and no HTTP server here.
"""
