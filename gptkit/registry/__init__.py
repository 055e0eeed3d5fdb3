"""Parts by name: reads a constructor's signature, loads plugins and keeps what they register.

Imports `interfaces`, `hookspecs` and `errors`; names the built-in parts as modules and loads them as plugins.
"""
