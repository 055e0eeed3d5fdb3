"""The offline default: documentation that comes with Python itself."""

import importlib

from gptkit.data import SplitCorpus
from gptkit.errors import DataError
from gptkit.hookspecs import Register, hookimpl


class PythonDocsCorpus(SplitCorpus):
    """The language reference that Python's `help()` shows, about 0.5 MB; differs a little between versions."""

    def read(self) -> str:
        """Return every topic, in the order of their names.

        Raises:
            DataError: If this Python came without them, as a few cut-down ones do.
        """
        try:
            topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
        except ImportError as error:
            raise DataError(
                "python_docs: this Python came without pydoc_data.topics. Install the full standard library, or "
                'choose another corpus: { use = "text", path = "…" }'
            ) from error
        return "\n\n".join(topics[name] for name in sorted(topics))


@hookimpl
def gptkit_register(register: Register) -> None:
    """Offer `python_docs`."""
    register("python_docs", PythonDocsCorpus)
