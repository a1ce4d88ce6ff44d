"""HTTP manners, the same at every service."""
