"""What was deleted, for as long as it can be had back."""
