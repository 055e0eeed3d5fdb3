"""The built-in attentions."""
