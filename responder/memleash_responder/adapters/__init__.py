"""The outside: Prometheus, Alertmanager, exporters, controllers, hosts by SSH, and the database.

Beside the neighbours stand http, which most of them are asked by, DBOS, the inventory's files, the
reports of diagnoses, the clock, and the responder's own metrics (own_metrics).

Each translates its neighbour's answers into the facts of core and its errors into
those of errors.py, at the edge. Every call has a deadline, none decides anything, and an answer
that cannot be trusted is Unknown or an error, never a guess.
"""
