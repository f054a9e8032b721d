"""``python -m memleash_responder`` is ``memleash-responder``."""

import sys

from memleash_responder.cli import main

sys.exit(main())
