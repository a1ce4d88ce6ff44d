"""The mechanism every service stands on."""
