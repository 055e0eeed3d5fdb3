"""The built-in feed-forwards."""
