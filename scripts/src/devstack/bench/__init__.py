"""`./scripts/bench`: what the guard costs, measured on one worker, as ratios to the same work without it."""

from devstack.bench.command import main

__all__ = ["main"]
