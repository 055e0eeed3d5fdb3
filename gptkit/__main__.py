"""`python -m gptkit` is `gptkit`."""

from gptkit.cli import main

if __name__ == "__main__":
    main()
