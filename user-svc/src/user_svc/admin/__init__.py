"""What superusers, and operators at the command line, do to accounts."""
