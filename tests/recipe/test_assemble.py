"""Assembling: names become parts, each with first weights of its own, and a part that fails is told by its key."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import gptkit
from gptkit.api import build
from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.errors import DataError, PluginError, RecipeError
from gptkit.recipe.assemble import Assembler
from gptkit.recipe.check import check_parts
from gptkit.recipe.read import read
from gptkit.recipe.resolve import resolve
from gptkit.registry.loader import Plugins

Assemble = Callable[..., Assembler]
GPT_SMALL = Path(__file__).parents[2] / "recipes" / "gpt_small.toml"
TINY = "[model]\nn_layer = 2\nn_head = 2\nn_embd = 8\nblock_size = 8\n\n[train]\nbatch_size = 2\nmax_iters = 3\n"
PLUGIN = """\
import torch

import gptkit
import gptkit.components.attention.naive
from gptkit.components.block.pre_norm import PreNormBlock
from gptkit.components.norm.layernorm import LayerNorm
from gptkit.components.schedule.constant import ConstantSchedule
from gptkit.components.attention.naive import NaiveAttention
from gptkit.errors import DataError
from gptkit.interfaces import HasLimits


class FussyNorm(LayerNorm):
    def __init__(self, dims, *, eps: float = 1e-5):
        raise ValueError(f"fussy norms need 16 channels, found {dims.n_embd}")


class BrokenNorm(LayerNorm):
    def __init__(self, dims):
        super().__init__(dims)
        {}["gone"]


class WatchedNorm(LayerNorm):
    devices = set()

    def __init__(self, dims):
        super().__init__(dims)
        self.devices.add(self.norm.weight.device.type)


class RealNorm(LayerNorm):
    def __init__(self, dims):
        super().__init__(dims)
        assert self.norm.weight.sum().item() == dims.n_embd


class ParallelBlock(PreNormBlock):
    def forward(self, x, at):
        return x + self.attention(self.norm_1(x), at) + self.feed_forward(self.norm_2(x))


class DoubleBlock(PreNormBlock):
    def __init__(self, dims, parts):
        super().__init__(dims, parts)
        self.again = parts.feed_forward(dims)


class NormlessBlock(PreNormBlock):
    def __init__(self, dims, parts):
        parts = gptkit.interfaces.BlockParts(parts.attention, parts.feed_forward, lambda dims: torch.nn.Identity())
        super().__init__(dims, parts)


class OwnBlock(PreNormBlock):
    def __init__(self, dims, parts):
        own = gptkit.components.attention.naive.NaiveAttention
        super().__init__(dims, gptkit.interfaces.BlockParts(own, parts.feed_forward, parts.norm))


class UnrotatedAttention(NaiveAttention, HasLimits):
    def refusal(self, ctx):
        return f"layer {ctx.layer} rotates nothing" if ctx.rotates else None


class UncachedAttention(NaiveAttention, HasLimits):
    def refusal(self, ctx):
        return "it cannot decode" if ctx.cache is not None and ctx.attn_mask is not None else None


class SilentAttention(NaiveAttention, HasLimits):
    def refusal(self, ctx):
        return {}["gone"]


class LoneBlock(PreNormBlock, HasLimits):
    def refusal(self, ctx):
        return "it stands at the beginning alone" if ctx.layer else None


class DatalessSchedule(ConstantSchedule):
    def __init__(self, total):
        raise DataError("there is no data")


@gptkit.hookimpl
def gptkit_register(register):
    register("fussy", FussyNorm)
    register("broken", BrokenNorm)
    register("watched", WatchedNorm)
    register("real", RealNorm)
    register("parallel", ParallelBlock)
    register("double", DoubleBlock)
    register("normless", NormlessBlock)
    register("own", OwnBlock)
    register("unrotated", UnrotatedAttention)
    register("a_first_candidate", UnrotatedAttention)
    register("uncached", UncachedAttention)
    register("silent", SilentAttention)
    register("lone", LoneBlock)
    register("dataless", DatalessSchedule)
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a tiny recipe and a plugin."""
    made = tmp_path_factory.mktemp("assemble")
    (made / "tiny.toml").write_text(TINY)
    (made / "mine.py").write_text(PLUGIN)
    return made


@pytest.fixture(scope="module")
def plugins(directory: Path) -> Plugins:
    return Plugins([directory / "mine.py"])


@pytest.fixture(scope="module")
def assemble(directory: Path, plugins: Plugins) -> Assemble:
    """Return the assembler of the tiny recipe with overrides."""

    def assembler(*overrides: str) -> Assembler:
        return Assembler(resolve(read(directory / "tiny.toml", overrides), plugins), plugins.registry)

    return assembler


def weights(assembler: Assembler) -> dict[str, Tensor]:
    return assembler.model(vocab_size=5).state_dict()


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_gpt_small_has_as_many_parameters_as_the_lectures_model() -> None:
    # Any attention that `auto` may choose has as many; timing them all at this size takes half a minute.
    overrides = ["model.attention=sdpa"]
    assert build(GPT_SMALL, vocab_size=65, overrides=overrides).n_parameters == 10_788_929


def test_building_twice_gives_the_same_weights(directory: Path) -> None:
    one, other = (build(directory / "tiny.toml", vocab_size=5) for _ in range(2))
    assert equal(one.state_dict(), other.state_dict())


def test_another_seed_gives_other_weights(assemble: Assemble) -> None:
    one, other = weights(assemble()), weights(assemble("train.seed=1"))
    assert not torch.equal(one["token_embedding.weight"], other["token_embedding.weight"])
    assert not torch.equal(one["blocks.0.attention.qkv.weight"], other["blocks.0.attention.qkv.weight"])


def test_no_two_parts_begin_with_the_same_weights(assemble: Assemble) -> None:
    drawn = [weight for weight in weights(assemble("model.block=double")).values() if weight.std() > 0]
    assert len({weight.flatten()[:8].sum().item() for weight in drawn}) == len(drawn) == 15


def test_building_leaves_the_callers_random_state_as_it_was(assemble: Assemble) -> None:
    before = torch.random.get_rng_state()
    weights(assemble())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("override", "swapped"),
    [
        ("model.attention=naive", "nothing"),
        ("model.feed_forward=swiglu", ".feed_forward."),
        ("model.feed_forward.expand=2", ".feed_forward."),
        ("model.norm=rmsnorm", "norm"),
        ("model.position=rope", "position."),
        ("model.block=parallel", "nothing"),
        ("model.layer=[{ at = [0], feed_forward = 'swiglu' }]", "blocks.0.feed_forward."),
    ],
)
def test_swapping_a_part_leaves_the_first_weights_of_all_others(
    assemble: Assemble, override: str, swapped: str
) -> None:
    before, after = (
        {name: weight for name, weight in weights(assembler).items() if swapped not in name}
        for assembler in (assemble(), assemble(override))
    )
    assert equal(before, after)
    assert len(before) > 10


def test_a_block_that_does_without_a_part_that_the_recipe_names_is_refused(
    assemble: Assemble,
) -> None:
    assembler = assemble("model.layer=[{ at = [1], block = 'own', attention = 'fused' }]")
    with pytest.raises(
        RecipeError, match=r"block.*'own' does not use the recipe's attention 'fused', which would"
    ):
        assembler.model(vocab_size=5)
    # The model's last norm is the recipe's.
    assert type(assemble("model.block=normless").model(vocab_size=5).norm).__name__ == "LayerNorm"
    layer = "model.layer=[{ at = [0], block = 'normless', norm = 'rmsnorm' }]"
    with pytest.raises(RecipeError, match="'normless' does not use the recipe's norm 'rmsnorm'"):
        assemble(layer).model(vocab_size=5)


def test_the_parts_of_a_layer_are_those_that_the_recipe_chose_for_it(assemble: Assemble) -> None:
    layer = (
        "{ at = [1], attention = 'naive', feed_forward = { expand = 2 }, norm = 'rmsnorm', block = 'parallel' }"
    )
    model = assemble(f"model.layer=[{layer}]").model(vocab_size=5)
    first, second = model.blocks
    assert [type(block).__name__ for block in model.blocks] == ["PreNormBlock", "ParallelBlock"]
    assert isinstance(first, PreNormBlock)
    assert isinstance(second, PreNormBlock)
    for name, expected in {
        "attention": ("SdpaAttention", "NaiveAttention"),
        "norm_1": ("LayerNorm", "RMSNorm"),
        "norm_2": ("LayerNorm", "RMSNorm"),
    }.items():
        assert tuple(type(getattr(block, name)).__name__ for block in (first, second)) == expected
    widths = [block.state_dict()["feed_forward.widen.weight"].shape[0] for block in (first, second)]
    assert widths == [32, 16]
    assert type(model.norm).__name__ == "LayerNorm"


def test_the_parts_without_weights_get_what_they_are_handed(assemble: Assemble) -> None:
    assembler = assemble("train.schedule={ use = 'cosine', warmup = 2 }", "train.optimizer.learning_rate=0.5")
    assert assembler.schedule()(2) == 1.0
    assert vars(assembler.optimizer())["learning_rate"] == 0.5
    assert type(assembler.corpus()).__name__ == "PythonDocsCorpus"
    tokenizer = assembler.tokenizer(["ab", "c"])
    assert tokenizer.vocab_size == 3
    assert assembler.saved_tokenizer(tokenizer.to_json()).encode("cab") == [2, 0, 1]


NORMS = "layernorm, rmsnorm, watched"


def refused(assembler: Assembler) -> list[str]:
    """Return what the check of an assembler finds."""
    with pytest.raises(RecipeError) as caught:
        check_parts(assembler)
    return str(caught.value).split("\n")


def test_a_part_that_cannot_do_what_is_asked_is_told_by_its_key(assemble: Assemble, directory: Path) -> None:
    assembler = assemble("model.n_embd=6", "model.position=rope")
    line = (
        "--set model.position=rope  model.position  rope rotates channels in pairs and needs an even head width, "
        "found 3 (n_embd 6 / n_head 2). These can: learned, none, sinusoidal"
    )
    assert refused(assembler) == [line]
    with pytest.raises(RecipeError) as caught:
        assembler.model(vocab_size=5)
    assert str(caught.value) == line


def test_the_check_tells_every_part_that_cannot(assemble: Assemble) -> None:
    layer = "model.layer=[{ at = [1], norm = 'fussy' }]"
    warmup = "train.schedule={ use = 'cosine', warmup = 5 }"
    assert refused(assemble("model.n_embd=6", "model.position=rope", layer, warmup)) == [
        "--set model.position=rope  model.position  rope rotates channels in pairs and needs an even head width, "
        "found 3 (n_embd 6 / n_head 2). These can: learned, none, sinusoidal",
        f"--set {layer}  model.layer[0].norm  fussy norms need 16 channels, found 6. These can: {NORMS}",
        f"--set {warmup}  train.schedule  warmup = 5 must be below the number of steps, 3",
    ]


def test_where_an_option_alone_is_wrong_no_other_part_is_named(assemble: Assemble) -> None:
    warmup = "train.schedule={ use = 'cosine', warmup = 5 }"
    assert refused(assemble(warmup)) == [
        f"--set {warmup}  train.schedule  warmup = 5 must be below the number of steps, 3"
    ]


def test_the_check_tells_what_is_wrong_in_many_layers_once(assemble: Assemble) -> None:
    assert refused(assemble("model.norm=fussy")) == [
        f"--set model.norm=fussy  model.norm  fussy norms need 16 channels, found 8. These can: {NORMS}"
    ]


def test_the_check_builds_the_last_norm_too(assemble: Assemble) -> None:
    assembler = assemble("model.norm=fussy", "model.layer=[{ at = [0, 1], norm = 'layernorm' }]")
    line = f"--set model.norm=fussy  model.norm  fussy norms need 16 channels, found 8. These can: {NORMS}"
    assert refused(assembler) == [line]


def test_the_check_takes_no_memory_for_weights(assemble: Assemble, plugins: Plugins) -> None:
    devices: set[str] = vars(plugins.registry.get("norm", "watched").part)["devices"]
    devices.clear()
    check_parts(assemble("model.norm=watched", "model.n_embd=10_000_000", "model.block_size=10_000_000"))
    assert devices == {"meta"}


def test_what_a_part_declares_that_it_cannot_be_combined_with_is_refused(assemble: Assemble) -> None:
    layer = "model.layer=[{ at = [1], attention = 'unrotated' }]"
    assert refused(assemble(layer, "model.position=rope")) == [
        f"--set {layer}  model.layer[0].attention  layer 1 rotates nothing"
    ]
    check_parts(assemble(layer))


def test_what_a_candidate_of_auto_cannot_be_combined_with_is_not_refused(assemble: Assemble) -> None:
    check_parts(assemble("model.attention=auto", "model.position=rope"))


def test_a_part_is_asked_whether_it_can_decode(assemble: Assemble) -> None:
    assert refused(assemble("model.attention=uncached")) == [
        "--set model.attention=uncached  model.attention  it cannot decode"
    ]


def test_a_block_is_asked_for_each_layer(assemble: Assemble) -> None:
    assert refused(assemble("model.block=lone")) == [
        "--set model.block=lone  model.block  it stands at the beginning alone"
    ]
    check_parts(assemble("model.layer=[{ at = [0], block = 'lone' }]"))


def test_a_part_that_fails_to_say_what_it_refuses_is_named(assemble: Assemble, directory: Path) -> None:
    message = rf"^model.attention: 'silent' fails in refusal: KeyError: 'gone' \({directory}/mine.py:\d+\)$"
    with pytest.raises(PluginError, match=message):
        check_parts(assemble("model.attention=silent"))


def test_a_part_that_needs_real_numbers_to_be_built_passes_the_check(assemble: Assemble) -> None:
    assembler = assemble("model.norm=real")
    check_parts(assembler)
    assert type(assembler.model(vocab_size=5).norm).__name__ == "RealNorm"


def test_a_part_that_fails_is_told_with_its_plugin_file_and_line(
    assemble: Assemble, plugins: Plugins, directory: Path
) -> None:
    file, part = directory / "mine.py", plugins.registry.get("norm", "broken").part
    line = inspect.getsourcelines(part)[1]
    with pytest.raises(PluginError) as caught:
        assemble("model.norm=broken").model(vocab_size=5)
    assert str(caught.value) == (
        f"model.norm: 'broken' of mine.py, BrokenNorm ({file}:{line}), cannot be built: "
        f"KeyError: 'gone' ({file}:{line + 3})"
    )


def test_an_error_that_a_part_words_itself_stays_as_it_is(assemble: Assemble) -> None:
    with pytest.raises(DataError, match=r"^there is no data$"):
        assemble("train.schedule=dataless").schedule()


def test_build_takes_overrides_and_plugin_files(directory: Path) -> None:
    model = gptkit.build(
        str(directory / "tiny.toml"),
        vocab_size=5,
        overrides=["model.block=parallel", "model.n_layer=1"],
        plugins=[str(directory / "mine.py")],
    )
    assert [type(block).__name__ for block in model.blocks] == ["ParallelBlock"]


def test_build_tells_all_that_the_parts_say_before_it_builds_any(directory: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        build(
            directory / "tiny.toml",
            vocab_size=5,
            overrides=["model.norm=fussy", "train.schedule={ use = 'wsd', warmup = 3 }"],
            plugins=[directory / "mine.py"],
        )
    assert [problem.key for problem in caught.value.problems] == ["model.norm", "train.schedule"]


def test_a_plugin_that_the_recipe_names_is_loaded(directory: Path) -> None:
    (directory / "mine.toml").write_text(
        'base = "tiny.toml"\nplugins = ["mine.py"]\n[model]\nblock = "parallel"\n'
    )
    assert type(build(directory / "mine.toml", vocab_size=5).blocks[0]).__name__ == "ParallelBlock"
