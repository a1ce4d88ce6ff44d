"""`./scripts/seed`: example users, lists and todos, made over HTTP as any client would make them."""

from devstack.seed.command import main

__all__ = ["main"]
