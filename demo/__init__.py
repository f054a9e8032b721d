"""The loopback demo: sample agent, sample controller, pager, and the stack that runs them.

``agent``, ``controller``, ``pager`` and the ``service`` script use the standard library only, so
that they run anywhere as they are. ``stack`` starts them with real Prometheus, Alertmanager,
blackbox exporter and sshd; ``story`` drives it through the eight steps of `make demo`.
Nothing here is part of what memleash installs.
"""
