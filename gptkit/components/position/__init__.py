"""The built-in positions."""
