"""Nova's own fake driver, whose operations last as long as /run/hold is there, and which leaks.

In each look at its resources it keeps as many MiB as /run/leak says.
"""

import time
from pathlib import Path
from typing import Any

from nova.virt import fake  # type: ignore[import-not-found]

leaked: list[bytes] = []


def _held() -> None:
    while Path("/run/hold").exists():
        time.sleep(0.1)


class HeldDriver(fake.FakeDriver):  # type: ignore[misc]
    def live_migration(self, *args: Any, **kwargs: Any) -> None:
        _held()
        super().live_migration(*args, **kwargs)

    def reboot(self, *args: Any, **kwargs: Any) -> None:
        _held()
        super().reboot(*args, **kwargs)

    def get_available_resource(self, nodename: str) -> Any:
        leak = Path("/run/leak")
        if leak.exists():
            leaked.append(b"x" * (int(leak.read_text()) << 20))
        return super().get_available_resource(nodename)
