"""The way back in: links by mail that verify an address or set a new password."""
