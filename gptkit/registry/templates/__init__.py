"""What `gptkit new` begins with: for each kind a small part that holds its contract, a recipe and a package.

Every file is a plugin as it stands, its part called `mine` and its class `Mine…`; what is written for somebody has
the names that he chose instead.
"""
