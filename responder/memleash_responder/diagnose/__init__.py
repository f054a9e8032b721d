"""Diagnoses: evidence of a leak, taken while the memory is still there.

shipping.py   packs diagnoser/ and words the command that runs it over SSH
policy.py     whether to diagnose now: pure
artifacts.py  the reports that were fetched, and how many are kept
"""
