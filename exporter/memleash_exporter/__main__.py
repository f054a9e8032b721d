"""``python -m memleash_exporter`` is ``memleash-exporter``."""

from memleash_exporter.cli import main

raise SystemExit(main())
