"""The laws of compiling hold a part to what it does, not to what the compiler has to say."""

import warnings

import pytest

from gptkit.testing.laws.compile import quiet_compiler


def warn(module: str) -> None:
    warnings.warn_explicit("enable TensorFloat32", UserWarning, "a file", 1, module)


def test_the_compilers_advice_is_no_error_and_a_parts_own_warning_is() -> None:
    with quiet_compiler():
        warn("torch._inductor.compile_fx")
        with pytest.raises(UserWarning, match=r"^enable TensorFloat32$"):
            warn("a_part")
