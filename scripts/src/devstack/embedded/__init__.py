"""Real PostgreSQL and Valkey servers from wheels, in the foreground, in a folder of their own."""

from devstack.embedded.postgres import Postgres
from devstack.embedded.valkey import Valkey

__all__ = ["Postgres", "Valkey"]
