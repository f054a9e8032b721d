"""The exporter's face on the network: a small HTTP server and what it answers."""
