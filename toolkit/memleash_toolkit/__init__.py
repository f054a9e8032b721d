"""What the exporter and the responder have in common with every Prometheus component.

Units (sizes, durations), strict settings read from YAML, logging in logfmt or JSON, and
the exporter-toolkit's web configuration. Nothing here knows of agents, alerts or restarts.
"""

VERSION = "0.1.0"
"""memleash's version, as in pyproject.toml: reading it from package metadata costs 5 MB."""
