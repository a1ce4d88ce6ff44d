"""The development tools: embedded servers, the running stack, seed and bench."""
