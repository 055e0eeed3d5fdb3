import json

from hypothesis import given
from hypothesis import strategies as st

from gptkit.components.tokenizer.byte import ByteTokenizer


@given(st.text(), st.text())
def test_any_text_comes_back_whatever_the_training_text_was(training: str, text: str) -> None:
    tokenizer = ByteTokenizer([training])
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text())
def test_every_id_is_in_the_vocabulary(text: str) -> None:
    assert set(ByteTokenizer([]).encode(text)) <= set(range(ByteTokenizer([]).vocab_size))


@given(st.binary())
def test_any_ids_can_be_decoded(content: bytes) -> None:
    assert ByteTokenizer([]).decode(list(content)) == content.decode("utf-8", errors="replace")


@given(st.text())
def test_json_brings_the_same_tokenizer_back(text: str) -> None:
    tokenizer = ByteTokenizer([])
    saved = json.loads(json.dumps(tokenizer.to_json()))
    assert ByteTokenizer.from_json(saved).encode(text) == tokenizer.encode(text)
