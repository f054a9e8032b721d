"""HTTP out: requests, with one deadline over a whole exchange."""
