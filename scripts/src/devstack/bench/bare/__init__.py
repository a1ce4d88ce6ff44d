"""A service whose handlers need no database, to measure the guard against next to nothing."""
