import sys

import pytest

from gptkit.components.corpus.python_docs import PythonDocsCorpus
from gptkit.errors import DataError


def test_the_documentation_is_on_every_python() -> None:
    corpus = PythonDocsCorpus()
    train, validation = "".join(corpus.train()), "".join(corpus.validation())
    assert len(train) + len(validation) > 300_000
    assert len(train) / len(corpus.text) == pytest.approx(0.9, abs=1e-5)
    assert "statement" in train


def test_the_text_is_the_same_each_time() -> None:
    assert PythonDocsCorpus().text == PythonDocsCorpus().text


def test_a_python_without_it_is_told_what_else_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError) as caught:
        list(PythonDocsCorpus().train())
    assert str(caught.value) == (
        "python_docs: this Python came without pydoc_data.topics. Install the full standard library, or choose "
        'another corpus: { use = "text", path = "…" }'
    )
