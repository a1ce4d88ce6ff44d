"""`./scripts/drill`: pieces of the stack go and come back under load, and every answer is judged."""

from devstack.drill.command import main

__all__ = ["main"]
