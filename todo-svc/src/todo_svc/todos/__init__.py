"""The todos themselves."""
