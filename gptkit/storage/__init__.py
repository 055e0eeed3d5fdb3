"""What is written to disk and read back: checkpoints, metrics and the run directory, whose file names it owns.

Imports `recipe` and `registry`. Files are complete or absent after a crash, and are read as untrusted input.
"""
