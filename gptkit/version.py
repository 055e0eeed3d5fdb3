"""The version of gptkit."""

__version__ = "0.1.0"
