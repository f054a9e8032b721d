"""memleash's exporter: the memory, busyness and readiness of one host's agents."""
