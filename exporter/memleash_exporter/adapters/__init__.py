"""The outside world: /proc, cgroups, marker files, probes. No metric and no HTTP server here."""
