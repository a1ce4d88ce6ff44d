"""Lists of todos."""
