"""The outside, one module per neighbour: Prometheus, Alertmanager, exporters, controllers, sshd.

Each translates its neighbour's answers into responder.core's facts and its errors into
responder.errors, at the edge. Every call has a deadline, none decides anything, and an answer
that cannot be trusted is Unknown or an error, never a guess.
"""
