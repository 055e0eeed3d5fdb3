"""The built-in parts: one file each, one folder for each interface. Every file is a plugin like any other.

Imports `interfaces`, `nn`, `optim`, `data`, `hookspecs` and `errors`, as plugin files may, and no other component.
"""
