"""The Grafana dashboards, as code: ``python -m grafana`` writes them to grafana/dashboards.

``series`` names the metrics, ``parts`` makes panels and variables of them, and each of ``fleet``,
``agent`` and ``responder`` is one dashboard, read from top to bottom. The JSON is built to the
schema of Grafana 10.1, which every later Grafana reads and brings up to date by itself.
Nothing here is part of what memleash installs.
"""
