"""The use cases' small world, for what the web tells of it."""

from tests.unit.usecases.conftest import make_world, world

__all__ = ["make_world", "world"]
