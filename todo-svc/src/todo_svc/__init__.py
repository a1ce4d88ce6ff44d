"""Lists and todos of each user."""
