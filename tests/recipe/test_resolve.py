"""Resolving: every problem of a recipe at once, each with its place; or a recipe that leaves nothing unsaid."""

import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings, strategies as st

from gptkit.components.attention.naive import NaiveAttention
from gptkit.errors import RecipeError
from gptkit.interfaces import KINDS, Dims
from gptkit.recipe.keys import DEFAULTS, LAYER_SLOTS, SLOTS
from gptkit.recipe.read import read
from gptkit.recipe.resolve import resolve
from gptkit.recipe.resolved import Resolved
from gptkit.recipe.values import dotted_key, leaves
from gptkit.registry.loader import Plugins

PLUGINS = Plugins()
Problems = Callable[..., list[str]]
Resolve = Callable[..., Resolved]


def tiny(*, model: str = "", train: str = "", rest: str = "") -> str:
    """Return a recipe with lines of one's own: in `[model]` from line 6, in `[train]` from 10, behind from 11."""
    return (
        f"[model]\nn_layer = 2\nn_head = 2\nn_embd = 8\nblock_size = 8\n{model}\n"
        f"[train]\nbatch_size = 2\nmax_iters = 3\n{train}\n{rest}\n"
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes") / "mine.toml"


@pytest.fixture
def resolved(path: Path) -> Resolve:
    """Resolve a text with overrides."""

    def resolve_text(text: str, *overrides: str) -> Resolved:
        path.write_text(text)
        return resolve(read(path, overrides), PLUGINS)

    return resolve_text


@pytest.fixture
def problems(path: Path, resolved: Resolve) -> Problems:
    """Resolve a text with overrides and return the lines of the error, without the directory."""

    def lines(text: str, *overrides: str) -> list[str]:
        with pytest.raises(RecipeError) as caught:
            resolved(text, *overrides)
        return str(caught.value).replace(f"{path.parent}{os.sep}", "").split("\n")

    return lines


MODEL_KEYS = "n_layer, n_head, n_embd, block_size, dropout, attention, feed_forward, norm, position, block, layer"


def test_a_recipe_with_nothing_but_sizes_gets_every_default(resolved: Resolve) -> None:
    recipe = resolved(tiny())
    assert {kind: choice.name for kind, choice in recipe.parts.items()} == DEFAULTS
    assert recipe.sizes == {"n_layer": 2, "n_head": 2, "n_embd": 8, "block_size": 8, "dropout": 0.0}
    assert (recipe.train.max_iters, recipe.train.seed, recipe.train.dtype) == (3, 1337, "auto")
    assert recipe.parts["feed_forward"].options == {"expand": 4, "bias": True}
    assert (recipe.name, recipe.text) == ("mine", tiny())


def test_every_kind_has_a_default_that_is_registered() -> None:
    assert set(DEFAULTS) == set(KINDS) == {kind for kinds in SLOTS.values() for kind in kinds}
    assert all(PLUGINS.registry.get(kind, name) for kind, name in DEFAULTS.items())


def test_every_value_has_its_place(resolved: Resolve) -> None:
    text = tiny(
        model='attention = { use = "naive", qkv_bias = true }', rest="[[model.layer]]\nat = [1]\nblock = {}"
    )
    recipe = resolved(text, "train.seed=7")
    directory = f"{recipe.places['model.n_layer'].removesuffix('mine.toml:2')}"
    assert {key: place.removeprefix(directory) for key, place in recipe.places.items() if place != "default"} == {
        "model.n_layer": "mine.toml:2",
        "model.n_head": "mine.toml:3",
        "model.n_embd": "mine.toml:4",
        "model.block_size": "mine.toml:5",
        "model.attention.use": "mine.toml:6",
        "model.attention.qkv_bias": "mine.toml:6",
        "train.batch_size": "mine.toml:8",
        "train.max_iters": "mine.toml:9",
        "train.seed": "--set train.seed=7",
        "model.layer[0].at": "mine.toml:12",
        "model.layer[0].block.use": "mine.toml:13",
    }
    assert {dotted_key(key) for key, _ in leaves(recipe.document)} <= recipe.places.keys()


def test_every_problem_is_told_at_once(problems: Problems) -> None:
    text = tiny(
        model='n_heads = 3\nattention = "spda"\nfeed_forward = { use = "relu", expnd = 4 }', train="seed = -1"
    )
    assert sorted(problems(text.replace("max_iters = 3", 'max_iters = "3"'), "data.corpus=nowhere")) == [
        "--set data.corpus=nowhere  data.corpus  no Corpus is called 'nowhere'. "
        "Known: python_docs, text, tiny_shakespeare.",
        "mine.toml:11  train.max_iters  takes max_iters: int, found '3': it must be a valid integer",
        "mine.toml:12  train.seed  takes seed: int = 1337, found -1: it must be greater than or equal to 0",
        f"mine.toml:6  model.n_heads  unknown key. Did you mean 'n_head'? Known: {MODEL_KEYS}.",
        "mine.toml:7  model.attention  no Attention is called 'spda'. Did you mean 'sdpa'? "
        "Known: fused, naive, sdpa, tiled.",
        "mine.toml:8  model.feed_forward.expnd  'relu' takes expand: int = 4, bias: bool = True, not 'expnd'. "
        "Did you mean 'expand'?",
    ]


UNKNOWN_KEYS = {
    'attention = "naive"\n' + tiny(): "1  attention  unknown key. Did you mean 'model.attention'?",
    'plugin = ["a.py"]\n' + tiny(): (
        "1  plugin  unknown key. Did you mean 'plugins'? Known: model, data, train, base, plugins."
    ),
    tiny(model="batch_size = 5"): "6  model.batch_size  unknown key. Did you mean 'train.batch_size'?",
    tiny(train='corpus = "text"'): "10  train.corpus  unknown key. Did you mean 'data.corpus'?",
    tiny(rest="[data]\ncharm = 1"): "12  data.charm  unknown key. Known: corpus, tokenizer.",
    tiny(model='attention = { use = "naive", qkvbias = true }'): (
        "6  model.attention.qkvbias  'naive' takes qkv_bias: bool = False, out_bias: bool = True, "
        "qk_norm: bool = False, not 'qkvbias'. Did you mean 'qkv_bias'?"
    ),
    tiny(model='position = { use = "learned", theta = 1.0 }'): (
        "6  model.position.theta  'learned' takes no options, not 'theta'."
    ),
    tiny(model='attention = { ues = "naive" }'): (
        "6  model.attention.ues  'sdpa' takes qkv_bias: bool = False, out_bias: bool = True, "
        "qk_norm: bool = False, not 'ues'. Did you mean 'use'?"
    ),
}
WRONG_VALUES = {
    tiny(model='dropout = "0"'): (
        "6  model.dropout  takes dropout: float = 0.0, found '0': it must be a valid number"
    ),
    tiny(model="dropout = 1"): "6  model.dropout  takes dropout: float = 0.0, found 1: it must be less than 1",
    tiny(model="dropout = nan"): (
        "6  model.dropout  takes dropout: float = 0.0, found nan: it must be a finite number"
    ),
    tiny(train="grad_clip = inf"): (
        "10  train.grad_clip  takes grad_clip: float = 0.0, found inf: it must be a finite number"
    ),
    tiny(train="seed = 2024-01-01"): "10  train.seed  takes seed: int = 1337, found a date or time: 2024-01-01",
    tiny(
        train="compile = 1"
    ): "10  train.compile  takes compile: bool or 'auto' = 'auto', found 1: it must be a valid boolean; it must "
    "be 'auto'",
    tiny(train="seed.x = 1"): "10  train.seed  takes seed: int = 1337, found {'x': 1}: it must be a valid integer",
    tiny(train="dtype = 'fp8'"): (
        "10  train.dtype  takes dtype: 'auto' or 'fp32' or 'bf16' or 'fp16' = 'auto', found 'fp8': "
        "it must be 'auto', 'fp32', 'bf16' or 'fp16'"
    ),
    tiny(train="optimizer = { betas = [0.9, 2.0] }"): (
        "10  train.optimizer.betas  takes betas: tuple of float, float = (0.9, 0.999), found [0.9, 2.0]: "
        "it must be less than 1 at item 1"
    ),
    tiny(train="optimizer = 3"): (
        '10  train.optimizer  takes a name, or a table such as { use = "adamw" }, found 3'
    ),
    tiny(model='norm = { use = { name = "rmsnorm" } }'): (
        "6  model.norm  takes a name, or a table such as { use = \"layernorm\" }, found {'name': 'rmsnorm'}"
    ),
    tiny(model="norm = { use = {} }"): (
        '6  model.norm  takes a name, or a table such as { use = "layernorm" }, found {}'
    ),
    tiny(model='norm = [{ use = "rmsnorm" }]'): "6  model.norm  takes a table, found an array of tables",
    "data = 3\n" + tiny(): "1  data  takes a table, found 3",
    tiny(rest='[[data]]\ncorpus = "text"'): "12  data  takes a table, found an array of tables",
}


@pytest.mark.parametrize(
    ("text", "line"),
    (UNKNOWN_KEYS | WRONG_VALUES).items(),
    ids=[line.split("  ")[1] for line in (UNKNOWN_KEYS | WRONG_VALUES).values()],
)
def test_a_wrong_key_or_value_is_told_with_what_is_expected(problems: Problems, text: str, line: str) -> None:
    assert problems(text) == [f"mine.toml:{line}"]


def test_what_must_be_said_and_is_not_is_told(problems: Problems) -> None:
    assert problems("") == [
        "mine.toml  model.n_layer  is missing: it takes n_layer: int",
        "mine.toml  model.n_head  is missing: it takes n_head: int",
        "mine.toml  model.n_embd  is missing: it takes n_embd: int",
        "mine.toml  model.block_size  is missing: it takes block_size: int",
        "mine.toml  train.batch_size  is missing: it takes batch_size: int",
        "mine.toml  train.max_iters  is missing: it takes max_iters: int",
    ]


def test_a_missing_size_does_not_hide_other_problems(problems: Problems) -> None:
    text = tiny(rest='[[model.layer]]\nat = [7]\nattention = "spda"')
    assert problems(text.replace("n_layer = 2\n", "").replace("n_head = 2\n", "")) == [
        "mine.toml  model.n_layer  is missing: it takes n_layer: int",
        "mine.toml  model.n_head  is missing: it takes n_head: int",
        "mine.toml:11  model.layer[0].attention  no Attention is called 'spda'. Did you mean 'sdpa'? "
        "Known: fused, naive, sdpa, tiled.",
    ]


def test_a_required_option_of_a_part_is_told_where_it_is_missing(problems: Problems) -> None:
    assert problems(tiny(rest='[data]\ncorpus = "text"')) == [
        "mine.toml  data.corpus.path  is missing: it takes path: Path"
    ]


def test_channels_that_the_heads_do_not_divide_are_told_at_the_channels(problems: Problems) -> None:
    assert problems(tiny(), "model.n_head=3") == [
        "mine.toml:4  model.n_embd  n_embd = 8 is not divisible by n_head = 3: "
        "the nearest width that is would be 6 or 9"
    ]


def test_a_new_name_keeps_the_options_that_the_new_part_also_has(resolved: Resolve) -> None:
    text = tiny(model='feed_forward = { use = "relu", expand = 3 }')
    choice = resolved(text, "model.feed_forward=swiglu").parts["feed_forward"]
    assert (choice.name, choice.options) == ("swiglu", {"expand": 3, "bias": False})


def test_a_new_name_with_options_that_it_lacks_is_an_error(problems: Problems) -> None:
    text = tiny(model='norm = { use = "layernorm", bias = false }')
    assert problems(text, "model.norm=rmsnorm") == [
        "mine.toml:6  model.norm.bias  'rmsnorm' takes eps: float = 1e-05, not 'bias'."
    ]


def test_a_path_is_relative_to_the_file_that_says_it(resolved: Resolve, path: Path) -> None:
    recipe = resolved(tiny(rest='[data]\ncorpus = { use = "text", path = "books/*.txt" }'))
    assert recipe.parts["corpus"].options["path"] == path.parent / "books" / "*.txt"
    assert recipe.document["data"]["corpus"]["path"] == str(path.parent / "books" / "*.txt")


def test_a_path_of_an_override_is_relative_to_the_working_directory(
    resolved: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = resolved(tiny(), "data.corpus={ use = 'text', path = 'book.txt' }")
    assert recipe.parts["corpus"].options["path"] == tmp_path / "book.txt"


def chosen(recipe: Resolved, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the part of a kind in each layer, with its options."""
    return [(layer[kind].name, dict(layer[kind].options)) for layer in recipe.layers]


def test_a_layer_that_names_no_other_part_adds_to_the_options_of_the_models(resolved: Resolve) -> None:
    layer = '[[model.layer]]\nat = [1]\nfeed_forward = { use = "relu", bias = false }'
    for own in (layer, layer.replace('use = "relu", ', "")):
        recipe = resolved(tiny(model="feed_forward = { expand = 2 }", rest=own))
        assert chosen(recipe, "feed_forward") == [
            ("relu", {"expand": 2, "bias": True}),
            ("relu", {"expand": 2, "bias": False}),
        ]


def test_a_layer_that_names_another_part_starts_afresh(resolved: Resolve) -> None:
    layer = '[[model.layer]]\nat = [1]\nfeed_forward = "gelu"'
    recipe = resolved(tiny(model="feed_forward = { expand = 2 }", rest=layer))
    assert chosen(recipe, "feed_forward") == [
        ("relu", {"expand": 2, "bias": True}),
        ("gelu", {"expand": 4, "bias": True}),
    ]


def test_two_entries_may_choose_different_kinds_for_one_layer(resolved: Resolve) -> None:
    recipe = resolved(
        tiny(rest='[[model.layer]]\nat = [0, 1]\nnorm = "rmsnorm"\n[[model.layer]]\nat = [1]\nattention = "naive"')
    )
    assert [name for name, _ in chosen(recipe, "norm")] == ["rmsnorm", "rmsnorm"]
    assert [name for name, _ in chosen(recipe, "attention")] == ["sdpa", "naive"]


WRONG_LAYERS = {
    "[[model.layer]]\nat = [0, 2]\nnorm = 'rmsnorm'": (
        ":12  model.layer[0].at  there is no layer 2: with n_layer = 2 they are 0 to 1"
    ),
    "[[model.layer]]\nat = [-1]": ":12  model.layer[0].at  there is no layer -1: with n_layer = 2 they are 0 to 1",
    "[[model.layer]]\nat = 1": ":12  model.layer[0].at  takes at: list of int, found 1: it must be a valid array",
    "[[model.layer]]\nat = [1]\nattentoin = 'naive'": (
        ":13  model.layer[0].attentoin  unknown key. Did you mean 'attention'? "
        "Known: at, attention, feed_forward, norm, block."
    ),
    "[[model.layer]]\nat = [1]\nposition = 'rope'": (
        ":13  model.layer[0].position  unknown key. Did you mean 'model.position'?"
    ),
    "[[model.layer]]\nat = [1]\nnorm = 'rmsnorm'\n[[model.layer]]\nat = [0, 1]\nnorm.eps = 1.0": (
        ":16  model.layer[1].norm  an earlier [[model.layer]] chose the norm of layer 1"
    ),
    "[[model.layer]]\nat = [1]\nnorm = { use = 'rmsnorm', bias = true }": (
        ":13  model.layer[0].norm.bias  'rmsnorm' takes eps: float = 1e-05, not 'bias'."
    ),
    "[[model.layer]]\nat = [1]\nnorm = { use = { name = 'rmsnorm' } }": (
        ':13  model.layer[0].norm  takes a name, or a table such as { use = "layernorm" }, '
        "found {'name': 'rmsnorm'}"
    ),
    "[[model.layer]]\nat = [1]\nnorm = 3": (
        ':13  model.layer[0].norm  takes a name, or a table such as { use = "layernorm" }, found 3'
    ),
    "[model.layer]\nat = [1]\nnorm = 'rmsnorm'": ":12  model.layer  takes tables, each headed [[model.layer]]",
    "[[model.layer]]\nnorm = 'rmsnorm'": "  model.layer[0].at  is missing: it takes at: list of int",
}


@pytest.mark.parametrize(
    ("text", "line"), WRONG_LAYERS.items(), ids=[text.replace("\n", " ") for text in WRONG_LAYERS]
)
def test_a_wrong_layer_is_told_by_its_number(problems: Problems, text: str, line: str) -> None:
    assert problems(tiny(rest=text)) == [f"mine.toml{line}"]


def test_a_wrong_choice_in_a_layer_is_not_hidden_by_the_models(problems: Problems) -> None:
    text = tiny(
        model="norm = 'layernorm'", rest="[[model.layer]]\nat = [1]\nnorm = { use = { name = 'rmsnorm' } }"
    )
    assert problems(text) == [
        'mine.toml:13  model.layer[0].norm  takes a name, or a table such as { use = "layernorm" }, '
        "found {'name': 'rmsnorm'}"
    ]


def test_a_layer_that_is_listed_twice_is_chosen_once(resolved: Resolve) -> None:
    recipe = resolved(tiny(rest="[[model.layer]]\nat = [1, 1]\nnorm = 'rmsnorm'"))
    assert [name for name, _ in chosen(recipe, "norm")] == ["layernorm", "rmsnorm"]


VALID = {
    "model": {"n_layer": 2, "n_head": 2, "n_embd": 8, "block_size": 8},
    "train": {"batch_size": 2, "max_iters": 3},
}


# The only option that must be given.
GIVEN = {"text": {"path": "book.txt"}}
TABLES = {
    kind: st.sampled_from([{"use": part.name} | GIVEN.get(part.name, {}) for part in PLUGINS.registry.of(kind)])
    for kind in KINDS
}


def some(kinds: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy that chooses parts of some of these kinds."""
    return st.fixed_dictionaries({}, optional={kind: TABLES[kind] for kind in kinds})


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a valid recipe: a part of each kind, or none, for the model and for some layers."""
    recipe: dict[str, Any] = deepcopy(VALID)
    for section, kinds in SLOTS.items():
        recipe.setdefault(section, {}).update(draw(some(tuple(kinds))))
    layers = draw(st.lists(st.integers(0, 1), unique=True))
    recipe["model"]["layer"] = [{"at": [i]} | draw(some(LAYER_SLOTS)) for i in layers]
    return recipe


@given(recipes())
def test_what_was_resolved_resolves_to_itself(path: Path, document: dict[str, Any]) -> None:
    path.write_text(tomli_w.dumps(document))
    first = resolve(read(path), PLUGINS)
    again = path.parent / "again" / "resolved.toml"
    again.parent.mkdir(exist_ok=True)
    again.write_text(tomli_w.dumps(first.document))
    second = resolve(read(again), PLUGINS)
    assert second.document == first.document
    assert [chosen(second, kind) for kind in LAYER_SLOTS] == [chosen(first, kind) for kind in LAYER_SLOTS]
    assert set(second.places.values()) & {"default"} == set()


KEYS = [
    "model",
    "data",
    "train",
    "n_layer",
    "n_head",
    "n_embd",
    "dropout",
    "max_iters",
    "dtype",
    "layer",
    "at",
    "use",
]
NAMES = st.sampled_from([*KEYS, *KINDS, "path", "betas", "eps", "base", "plugins"]) | st.text(max_size=3)
WORDS = st.sampled_from(["naive", "sdpa", "text", "relu", "adamw", "auto", "mine"]) | st.text(max_size=3)
SCALARS = st.integers(-3, 300) | st.floats() | st.booleans() | WORDS | st.dates() | st.times() | st.datetimes()
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=8,
)


def outcome(path: Path, *overrides: str) -> Resolved | RecipeError:
    """Return what becomes of a recipe; nothing but these two may."""
    try:
        return resolve(read(path, overrides), PLUGINS)
    except RecipeError as error:
        return error


def says_something(found: Resolved | RecipeError) -> bool:
    if isinstance(found, Resolved):
        return found.document.keys() == SLOTS.keys()
    return bool(found.problems) and all(problem.where and problem.message for problem in found.problems)


PATHS = st.lists(NAMES | st.sampled_from(["0", "1"]), max_size=4).map(".".join)


def merged(under: Any, over: Any) -> Any:
    """Return nested tables laid over others."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return under | {name: merged(under.get(name, {}), value) for name, value in over.items()}


@settings(max_examples=200)
@given(st.sampled_from([{}, VALID]), st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_document_is_a_recipe_or_an_error_that_says_why(
    path: Path, under: dict[str, Any], over: dict[str, Any]
) -> None:
    path.write_text(tomli_w.dumps(merged(under, over)))
    assert says_something(outcome(path))


@settings(max_examples=200)
@given(st.lists(st.tuples(PATHS, SCALARS.map(str) | st.text(max_size=8)).map("=".join), max_size=3))
def test_any_overrides_give_a_recipe_or_an_error_that_says_why(path: Path, overrides: list[str]) -> None:
    path.write_text(tiny())
    assert says_something(outcome(path, *overrides))


AUTO_TAKES = "'auto' takes qkv_bias: bool = False, out_bias: bool = True, qk_norm: bool = False"
AUTO_FAULTS = [
    (
        'attention = { use = "auto", qkv_bais = true }',
        f"mine.toml:6  model.attention.qkv_bais  {AUTO_TAKES}, not 'qkv_bais'. Did you mean 'qkv_bias'?",
    ),
    (
        'attention = { use = "auto", qkv_bias = 3 }',
        "mine.toml:6  model.attention.qkv_bias  takes qkv_bias: bool = False, found 3: it must be a valid boolean",
    ),
]


@pytest.mark.parametrize(("line", "message"), AUTO_FAULTS)
def test_an_option_of_auto_that_no_attention_takes_is_an_error(
    line: str, message: str, problems: Problems
) -> None:
    assert problems(tiny(model=line)) == [message]


def test_an_option_of_a_layers_auto_is_told_with_its_own_line(problems: Problems) -> None:
    layer = '[[model.layer]]\nat = [1]\nattention = { use = "auto", window = 3 }'
    place = "mine.toml:13  model.layer[0].attention.window"
    assert problems(tiny(rest=layer)) == [f"{place}  {AUTO_TAKES}, not 'window'."]


def test_options_of_auto_that_nobody_takes_together_are_an_error(path: Path) -> None:
    plugins = Plugins()
    plugins.registry.add_all([("narrow", NarrowAttention), ("wide", WideAttention)], owner="a test")
    path.write_text(tiny(model='attention = { use = "auto", narrow = 3, wide = 4 }'))
    with pytest.raises(RecipeError) as caught:
        resolve(read(path), plugins)
    said = str(caught.value)
    assert (
        f"{path}:6  model.attention  no attention that equals 'naive' takes all of this: fused: 'fused' " in said
    )
    assert "narrow: 'narrow' takes narrow: int = 1, not 'wide'." in said
    assert "wide: 'wide' takes wide: int, not 'narrow'." in said


class NarrowAttention(NaiveAttention):
    def __init__(self, dims: Dims, *, narrow: int = 1) -> None:
        super().__init__(dims)


class WideAttention(NaiveAttention):
    def __init__(self, dims: Dims, *, wide: int) -> None:
        super().__init__(dims)


def test_auto_is_shown_as_auto_with_the_options_that_were_given(resolved: Resolve) -> None:
    recipe = resolved(tiny(model='attention = { use = "auto", out_bias = false }'))
    assert recipe.document["model"]["attention"] == {"use": "auto", "out_bias": False}
    assert recipe.places["model.attention.out_bias"].endswith("mine.toml:6")
    (auto,) = recipe.autos
    assert [choice.name for choice in auto.candidates] == ["fused", "naive", "sdpa", "tiled"]
    assert resolved(tiny()).autos == ()


def test_a_settled_name_takes_the_place_of_auto(path: Path) -> None:
    path.write_text(tiny(model='attention = { use = "auto", out_bias = false }'))
    recipe = resolve(read(path), PLUGINS, {"model.attention": "fused"})
    assert recipe.document["model"]["attention"] == {
        "use": "fused",
        "qkv_bias": False,
        "out_bias": False,
        "qk_norm": False,
    }
    assert recipe.autos == ()


def test_only_an_attention_may_be_auto(problems: Problems) -> None:
    (said,) = problems(tiny(model='norm = "auto"'))
    assert said.startswith("mine.toml:6  model.norm  no Norm is called 'auto'.")
