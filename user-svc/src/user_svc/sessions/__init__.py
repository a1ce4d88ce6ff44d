"""Logins and the tokens made from them."""
