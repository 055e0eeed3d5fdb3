"""Loads plugins, keeps the parts that they register by name, and reads each part's options from its signature.

Imports `interfaces`, `hookspecs`, `errors`, and `components`, whose modules it loads as plugins.
"""
