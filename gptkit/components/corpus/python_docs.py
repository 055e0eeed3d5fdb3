import importlib

from gptkit.data import SplitCorpus
from gptkit.errors import DataError
from gptkit.hookspecs import Register, hookimpl


class PythonDocsCorpus(SplitCorpus):
    """Python's language reference, as `help()` shows it. 0.5 MB, no download; differs between Python versions."""

    def read(self) -> str:
        """Return every topic, sorted by name.

        Raises:
            DataError: If this Python lacks `pydoc_data.topics`, as some minimal builds do.
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
    register("python_docs", PythonDocsCorpus)
