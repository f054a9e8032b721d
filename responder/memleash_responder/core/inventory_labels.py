"""Labels of the inventory that say yes or no, in any of YAML's spellings."""

from __future__ import annotations

from collections.abc import Mapping

MAINTENANCE = "maintenance"
"""A person has taken the host out of service."""
RESTART_LIBVIRTD = "restart_libvirtd"
"""Whether a controller is to restart libvirtd when it takes the host back."""

YES_OR_NO = (MAINTENANCE, RESTART_LIBVIRTD)
"""The labels that are read so; the inventory refuses any other value of them."""

_YES, _NO = ("true", "yes", "on", "y"), ("false", "no", "off", "n")


def yes_or_no(labels: Mapping[str, str], name: str) -> bool | None:
    """Return what the label ``name`` says; None when it is not there, or empty.

    Spellings: https://yaml.org/type/bool.html. Raises ValueError that says what is allowed.
    """
    word = labels.get(name, "").lower()
    if not word:
        return None
    if word not in (*_YES, *_NO):
        raise ValueError(f"must be one of {', '.join((*_YES, *_NO))}")
    return word in _YES
