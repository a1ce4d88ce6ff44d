"""`./scripts/seed --bulk`: example data in thousands of rows a second, straight into PostgreSQL."""

from devstack.seed.bulk.databases import Databases, find, refused
from devstack.seed.bulk.loader import Loader
from devstack.seed.bulk.people import People

__all__ = ["Databases", "Loader", "People", "find", "refused"]
