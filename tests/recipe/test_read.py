"""Recipes: read from files, from the files they are based on and from overrides, each value with its place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gptkit.errors import RecipeError
from gptkit.recipe.read import Recipe, read

Write = Callable[..., Path]
BASE = """\
plugins = ["base.py"]

[model]
n_layer = 2
attention = "naive"
feed_forward = { use = "relu", expand = 4 }

[[model.layer]]
at = [0]
norm = "rmsnorm"

[[model.layer]]
at = [1]
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write recipes by name, each `<name>.toml`, and return the first."""

    def write_all(**texts: str) -> Path:
        for name, text in texts.items():
            (tmp_path / f"{name}.toml").write_bytes(text.encode())
        return tmp_path / f"{next(iter(texts))}.toml"

    return write_all


def values(recipe: Recipe) -> dict[str, Any]:
    return {".".join(map(str, key)): leaf.value for key, leaf in recipe.leaves.items()}


def places(recipe: Recipe) -> dict[str, str]:
    """Return the place of each value, without the directory."""
    directory = f"{recipe.path.parent}/"
    return {".".join(map(str, key)): leaf.place.replace(directory, "") for key, leaf in recipe.leaves.items()}


def refused(path: Path, *overrides: str) -> str:
    """Return why a recipe is refused, without the directory."""
    with pytest.raises(RecipeError) as caught:
        read(path, overrides)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_a_recipe_keeps_its_text_and_every_value_with_its_line(write: Write) -> None:
    recipe = read(write(mine=BASE))
    assert recipe.text == BASE
    assert values(recipe)["model.n_layer"] == 2
    assert places(recipe) == {
        "model.n_layer": "mine.toml:4",
        "model.attention.use": "mine.toml:5",
        "model.feed_forward.use": "mine.toml:6",
        "model.feed_forward.expand": "mine.toml:6",
        "model.layer.0.at": "mine.toml:9",
        "model.layer.0.norm.use": "mine.toml:10",
        "model.layer.1.at": "mine.toml:13",
    }


@pytest.mark.parametrize(
    "long",
    [
        'model = { attention = { use = "naive" } }',
        'model.attention.use = "naive"',
        '[model]\nattention.use = "naive"',
        '[model.attention]\nuse = "naive"',
        '[model]\nattention = "naive"',
    ],
)
def test_a_name_alone_is_short_for_a_table(write: Write, long: str) -> None:
    assert values(read(write(mine=long))) == {"model.attention.use": "naive"}


def test_a_base_is_relative_to_the_file_that_names_it(write: Write, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "child.toml").write_text('base = "../base.toml"\n[model]\nn_layer = 3\n')
    write(base=BASE)
    recipe = read(tmp_path / "inner" / "child.toml")
    assert values(recipe)["model.n_layer"] == 3
    assert values(recipe)["model.attention.use"] == "naive"
    assert recipe.text.startswith("base")


def test_bases_form_a_chain_in_which_the_nearest_wins(write: Write) -> None:
    child = write(
        child='base = "middle.toml"\n[model]\nn_head = 3',
        middle='base = "first.toml"\n[model]\nn_head = 2\nn_layer = 2',
        first="[model]\nn_head = 1\nn_layer = 1\nn_embd = 1",
    )
    assert values(read(child)) == {"model.n_head": 3, "model.n_layer": 2, "model.n_embd": 1}
    assert places(read(child)) == {
        "model.n_head": "child.toml:3",
        "model.n_layer": "middle.toml:4",
        "model.n_embd": "first.toml:4",
    }


def test_a_circle_of_bases_is_an_error_that_names_the_files(write: Write) -> None:
    path = write(a='base = "b.toml"', b='\nbase = "c.toml"', c='\n\nbase = "a.toml"')
    assert refused(path) == (
        "c.toml:3  base  recipes are based on each other in a circle: a.toml → b.toml → c.toml → a.toml"
    )


def test_a_recipe_based_on_itself_is_a_circle(write: Write) -> None:
    path = write(a='base = "a.toml"')
    assert refused(path) == "a.toml:1  base  recipes are based on each other in a circle: a.toml → a.toml"


def test_a_circle_through_directories_is_a_circle(write: Write, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "b.toml").write_text('base = "../a.toml"')
    assert "in a circle: a.toml → b.toml → a.toml" in refused(write(a='base = "inner/b.toml"'))


def test_a_missing_base_is_told_where_it_was_asked_for(write: Write) -> None:
    assert refused(write(mine='\nbase = "gone.toml"')) == "mine.toml:2  no such file: gone.toml"


@pytest.mark.parametrize(
    ("base", "found"), {"3": "3", '["a.toml"]': "['a.toml']", r'"a\u0000"': r"'a\x00'"}.items()
)
def test_a_base_that_is_not_one_name_is_an_error(write: Write, base: str, found: str) -> None:
    assert (
        refused(write(mine=f"base = {base}")) == f"mine.toml:1  base  takes one recipe file's name, found {found}"
    )


def test_a_missing_recipe_is_told_by_its_path(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone.toml") == "recipe  no such file: gone.toml"


def test_a_directory_is_no_recipe(tmp_path: Path) -> None:
    directory = tmp_path / "inner"
    directory.mkdir()
    assert refused(directory) == "recipe  inner cannot be read: Is a directory"


def test_a_recipe_that_is_not_utf_8_is_told_which_byte_is_not(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"a = '\xff'")
    assert refused(path) == "mine.toml  not TOML: TOML is UTF-8, and byte 5 is not"


@pytest.mark.parametrize(
    ("text", "message"),
    {
        "[model]\nn_layer = \n": "mine.toml:2  not TOML: Invalid value at column 11",
        "[model]\r\nn_layer 3\r\n": (
            "mine.toml:2  not TOML: Expected '=' after a key in a key/value pair at column 9"
        ),
        "a = 1\na = 2\n": "mine.toml:2  not TOML: Cannot overwrite a value at column 6",
    }.items(),
    ids=["no-value", "no-equals", "twice"],
)
def test_what_is_not_toml_is_told_by_line_and_column(write: Write, text: str, message: str) -> None:
    assert refused(write(mine=text)) == message


@pytest.mark.parametrize("text", ["a = " + "[" * 3_000 + "]" * 3_000, "a = " + "1" * 5_000])
def test_what_no_reader_of_toml_can_take_is_an_error_of_the_recipe(write: Write, text: str) -> None:
    assert refused(write(mine=text)).startswith("mine.toml  cannot be read: ")


@pytest.mark.parametrize(
    ("written", "key", "value"),
    [
        ("model.n_layer=3", "model.n_layer", 3),
        ("train.optimizer.learning_rate=1e-3", "train.optimizer.learning_rate", 1e-3),
        ("train.compile=true", "train.compile", True),
        ("model.attention=naive", "model.attention.use", "naive"),
        ('model.attention="naive"', "model.attention.use", "naive"),
        ("model.attention = naive", "model.attention.use", "naive"),
        ("train.optimizer.betas=[0.9, 0.99]", "train.optimizer.betas", [0.9, 0.99]),
        ("data.corpus.path=books/*.txt", "data.corpus.path", "books/*.txt"),
        ("data.corpus.path=a=b", "data.corpus.path", "a=b"),
        ("model.attention={ use = 'naive' }", "model.attention.use", "naive"),
    ],
)
def test_an_override_is_a_toml_value_and_a_bare_word_a_string(
    write: Write, written: str, key: str, value: Any
) -> None:
    recipe = read(write(mine=""), [written])
    assert values(recipe)[key] == value
    assert places(recipe)[key] == f"--set {written}"


def test_the_last_override_wins_over_the_file_and_those_before(write: Write) -> None:
    recipe = read(write(mine=BASE), ["model.n_layer=3", "model.n_layer=4"])
    assert values(recipe)["model.n_layer"] == 4


def test_the_path_in_an_override_is_relative_to_the_working_directory(write: Write, tmp_path: Path) -> None:
    recipe = read(write(mine="a = 1"), ["b=2"])
    assert recipe.leaves["a",].source.directory == tmp_path
    assert recipe.leaves["b",].source.directory == Path.cwd()


@pytest.mark.parametrize("written", ["model.n_layer", "=3", "model.n_layer=", " = "])
def test_an_override_without_key_or_value_is_an_error(write: Write, written: str) -> None:
    message = f"--set {written}  expected KEY=VALUE, such as model.attention=naive"
    assert refused(write(mine=BASE), written) == message


@pytest.mark.parametrize(
    ("written", "message"),
    {
        "a=[1, 2": "Unclosed array",
        "a='b": 'Expected "\'"',
        'a="b"c': "Expected newline or end of document after a statement",
        "a={ b }": "Expected '=' after a key in a key/value pair",
    }.items(),
)
def test_an_override_that_begins_as_toml_must_be_toml(write: Write, written: str, message: str) -> None:
    assert refused(write(mine=BASE), written) == f"--set {written}  a  not a TOML value: {message}"


def test_an_override_sets_one_key_and_drops_nothing(write: Write) -> None:
    written = "model.n_layer=1\nn_head = 2"
    assert refused(write(mine=BASE), written).endswith(
        "model.n_layer  not a TOML value: it goes on over more lines"
    )


@pytest.mark.parametrize("written", ["base=other.toml", 'plugins=["mine.py"]'])
def test_only_a_file_names_its_base_and_its_plugins(write: Write, written: str) -> None:
    key = written.partition("=")[0]
    assert refused(write(mine=BASE), written) == (
        f"--set {written}  {key}  only a recipe file can say that; a plugin file can also be named with --plugin"
    )


def test_changing_a_name_keeps_the_options_written_before(write: Write) -> None:
    child = write(child='base = "base.toml"\n[model]\nfeed_forward = "gelu"', base=BASE)
    assert values(read(child))["model.feed_forward.use"] == "gelu"
    assert values(read(child))["model.feed_forward.expand"] == 4
    assert places(read(child))["model.feed_forward.expand"] == "base.toml:6"


def test_changing_an_option_keeps_the_name(write: Write) -> None:
    recipe = read(write(mine=BASE), ["model.feed_forward.expand=2"])
    assert values(recipe)["model.feed_forward.use"] == "relu"
    assert values(recipe)["model.feed_forward.expand"] == 2


def test_an_array_of_tables_is_replaced_whole(write: Write) -> None:
    child = write(child='base = "base.toml"\n[[model.layer]]\nat = [1]\nattention = "fused"', base=BASE)
    assert {key: value for key, value in values(read(child)).items() if ".layer" in key} == {
        "model.layer.0.at": [1],
        "model.layer.0.attention.use": "fused",
    }


def test_an_override_reaches_into_one_entry_of_an_array_of_tables(write: Write) -> None:
    recipe = read(write(mine=BASE), ["model.layer.0.norm=layernorm", "model.layer.1.attention=fused"])
    assert {key: value for key, value in values(recipe).items() if ".layer" in key} == {
        "model.layer.0.at": [0],
        "model.layer.0.norm.use": "layernorm",
        "model.layer.1.at": [1],
        "model.layer.1.attention.use": "fused",
    }


def test_an_override_of_an_array_of_tables_replaces_it_whole(write: Write) -> None:
    recipe = read(write(mine=BASE), ["model.layer=[{ at = [1] }]"])
    assert {key: value for key, value in values(recipe).items() if ".layer" in key} == {"model.layer.0.at": [1]}


def test_an_override_of_one_item_would_drop_the_others_and_is_an_error(write: Write) -> None:
    message = refused(write(mine="[[model.layer]]\nat = [0, 1]"), "model.layer.0.at.0=2")
    assert message.startswith("--set model.layer.0.at.0=2  model.layer.0.at.0  ")


def test_an_array_of_tables_can_be_emptied(write: Write) -> None:
    recipe = read(write(mine=BASE), ["model.layer=[]"])
    assert values(recipe)["model.layer"] == []
    assert "model.layer.0.at" not in values(recipe)


@pytest.mark.parametrize("empty", ["[model]", "[model]\nattention = {}", "[model.attention]"])
def test_an_empty_table_takes_nothing_away_from_the_base(write: Write, empty: str) -> None:
    child = write(child=f'base = "base.toml"\n{empty}', base=BASE)
    assert values(read(child)) == values(read(child.parent / "base.toml"))


def test_a_table_in_place_of_a_value_replaces_it(write: Write) -> None:
    child = write(child='base = "base.toml"\n[x]\ny.z = 1', base="[x]\ny = 2")
    assert values(read(child)) == {"x.y.z": 1}
    child = write(child='base = "base.toml"\n[x]\ny = 2', base="[x]\ny.z = 1")
    assert values(read(child)) == {"x.y": 2}


def test_plugins_add_up_each_relative_to_the_recipe_that_names_it(write: Write, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    child = tmp_path / "inner" / "child.toml"
    child.write_text('base = "../base.toml"\nplugins = ["mine.py"]')
    write(base=BASE)
    recipe = read(child)
    assert [file.resolve() for file in recipe.plugins] == [tmp_path / "base.py", tmp_path / "inner" / "mine.py"]
    assert "plugins" not in values(recipe)


@pytest.mark.parametrize(
    ("plugins", "found"), {'"mine.py"': "'mine.py'", "[1]": "[1]", r'["a\u0000"]': r"['a\x00']"}.items()
)
def test_plugins_that_are_not_a_list_of_files_are_an_error(write: Write, plugins: str, found: str) -> None:
    assert refused(write(mine=f"\nplugins = {plugins}")) == (
        f'mine.toml:2  plugins  takes a list of files, such as ["mine.py"], found {found}'
    )
