from hypothesis import given, strategies as st

from gptkit.components.tokenizer.byte import ByteTokenizer


@given(st.binary())
def test_any_ids_can_be_decoded(content: bytes) -> None:
    assert ByteTokenizer([]).decode(list(content)) == content.decode("utf-8", errors="replace")
