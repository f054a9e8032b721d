"""What the responder does: the order of effects around the pure decisions of ``core``.

intake      notifications out of the inbox, each alert to who deals with it
admission   a request is opened, looked at, and queued or refused
restart     the steps of a guarded restart, each safe to run twice
workflow    those steps in a row, durable on DBOS
muting      claims on silence, and Alertmanager made to agree with them
recovery    lost hosts taken back, undrains that are still owed
keeper      the clockwork that calls the above again and again
"""
