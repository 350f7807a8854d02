"""The service over the worker's database."""

from tests.api.conftest import client, service

__all__ = ["client", "service"]
