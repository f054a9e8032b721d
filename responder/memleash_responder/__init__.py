"""Alertmanager's webhook that decides whether acting is safe, acts, and proves the result.

Floors, imports run downwards only:

    cli, web, ctl      what people and programs meet
    usecases           intake, restart, muting, recovery: order of effects, durable on DBOS
    adapters           Prometheus, Alertmanager, exporter, controllers, SSH, database
    settings, errors   the configuration, validated; what can go wrong outside
    core               pure decisions: guards, mute deadlines, host states; no clock, no I/O
"""
