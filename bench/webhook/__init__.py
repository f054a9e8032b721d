"""How fast the webhook answers after its one durable write, beside servers that store nothing."""
