"""Alertmanager's webhook that decides whether acting is safe, acts, and proves the result.

Floors, imports run downwards only:

    cli, ctl           the command lines
    process            every part built, started and ended
    web                what people and programs meet
    usecases           intake, restart, muting, recovery: order of effects, durable on DBOS
    adapters           Prometheus, Alertmanager, exporter, controllers, SSH, database
    settings           the configuration, validated; controller_settings and http_settings below it
    errors             what can go wrong outside
    core               pure decisions: guards, mute deadlines, host states; no clock, no I/O
"""
