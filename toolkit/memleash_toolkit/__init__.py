"""What the exporter and the responder have in common with every Prometheus component.

Strict settings read from bounded YAML (documents, settings, values, units, addresses), logging in
logfmt or JSON, and one HTTP server (http_*, wsgi) with exporter-toolkit's web configuration
(web_config, basic_auth), its flags and how a program ends. Nothing here knows of agents, alerts or
restarts.
"""

VERSION = "0.1.0"
"""memleash's version, as in pyproject.toml: reading it from package metadata costs 5 MB."""
