"""``python -m exporter`` is ``memleash-exporter``."""

from exporter.cli import main

raise SystemExit(main())
