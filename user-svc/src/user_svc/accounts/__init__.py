"""Who there is: registration, and what an account says of itself."""
