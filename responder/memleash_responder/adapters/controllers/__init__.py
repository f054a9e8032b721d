"""The controllers: a file for each kind, what all kinds can be asked, and all of them together."""
