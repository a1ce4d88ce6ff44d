"""Sync: what has changed, by number, on demand and live."""
