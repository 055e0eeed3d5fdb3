import pytest
import torch

from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Entry
from tests.small import small_dims

norms = pytest.mark.parametrize("entry", Plugins().registry.of("norm"), ids=lambda entry: entry.name)


@norms
def test_the_scale_of_a_position_does_not_matter(entry: Entry) -> None:
    norm = entry.part(small_dims(), eps=1e-12).double()
    x = torch.randn(2, 5, 8).double()
    torch.testing.assert_close(norm(1000 * x), norm(x))
