"""Diagnoses: evidence of a leak, taken while the memory is still there.

host/         what runs on the host, standard library of CPython 3.6 and newer
shipping.py   packs host/ and words the command that runs it over SSH
policy.py     whether to diagnose now: pure
artifacts.py  the reports that were fetched, and how many are kept
"""
