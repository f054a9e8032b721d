"""``python -m responder`` is ``memleash-responder``."""

import sys

from responder.cli import main

sys.exit(main())
