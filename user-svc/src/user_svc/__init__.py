"""Accounts, sessions and the only signer of access tokens."""
