"""The exporter's face on the network: what it answers."""
