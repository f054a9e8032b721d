"""Commands on hosts: Fabric, with checked host keys and a deadline on each part."""
