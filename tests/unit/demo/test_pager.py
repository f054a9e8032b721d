from __future__ import annotations

from typing import Any

import pytest

from demo.pager import Pager
from demo.stack.http import CallFailed, get, post


def _alert(name: str, status: str) -> dict[str, Any]:
    return {"status": status, "labels": {"alertname": name}, "annotations": {}}


def test_every_alert_of_every_notification_is_a_page_in_order(serve: Any) -> None:
    base = serve(Pager().routes())
    post(f"{base}/", {"alerts": [_alert("A", "firing"), _alert("B", "firing")]})
    post(f"{base}/", {"alerts": [_alert("A", "resolved")]})
    pages = [(page["labels"]["alertname"], page["status"]) for page in get(f"{base}/pages")]
    assert pages == [("A", "firing"), ("B", "firing"), ("A", "resolved")]
    assert len(get(f"{base}/notifications")) == 2


def test_what_is_no_notification_is_refused_and_not_kept(serve: Any) -> None:
    base = serve(Pager().routes())
    with pytest.raises(CallFailed, match="400"):
        post(f"{base}/", {"alerts": "many"})
    assert get(f"{base}/notifications") == []
