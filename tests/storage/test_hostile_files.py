"""Arbitrary bytes and structures in the place of anything that is read give a value or an error of ours."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import tomli
import tomli_w
import torch
from hypothesis import example, given, strategies as st

from gptkit.components.tokenizer.char import CharTokenizer
from gptkit.errors import CheckpointError, GptkitError, RecipeError
from gptkit.recipe.read import override, read
from gptkit.recipe.resolve import resolve
from gptkit.recipe.values import Leaf, key_lines
from gptkit.registry.loader import Plugins
from gptkit.registry.registry import Entry
from gptkit.storage import optimizer_state, tensor_file
from gptkit.storage.checkpoint import Checkpoint, to_json
from gptkit.storage.metrics_log import MetricsLog
from gptkit.storage.snapshot import take

PLUGINS = Plugins()
RECIPE = "[model]\nn_layer = 1\nn_head = 1\nn_embd = 4\nblock_size = 4\n[train]\nbatch_size = 1\nmax_iters = 1\n"
KEYS = st.sampled_from(
    ["model", "train", "data", "layer", "use", "at", "n_layer", "n_embd", "base", "plugins", "a"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
TOML = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
)
TABLES = st.dictionaries(KEYS | st.text(max_size=5), TOML, max_size=4)
tokenizers = pytest.mark.parametrize("entry", PLUGINS.registry.of("tokenizer"), ids=lambda entry: entry.name)


def resolved(file: Path) -> None:
    with suppress(GptkitError):
        recipe = read(file)
        assert all(isinstance(leaf, Leaf) for leaf in recipe.leaves.values())
        document = resolve(recipe, PLUGINS).document
        assert tomli.loads(tomli_w.dumps(document)) == document


@given(st.binary() | st.text().map(str.encode) | st.binary().map(RECIPE.encode().__add__))
@example(b"a = 1" + b"0" * 5000)
@example(b"a = " + b"[" * 3000)
@example(b"\xef\xbb\xbf[model]")
@example(b"base = '\\u0000'")
def test_any_bytes_are_a_recipe_or_a_recipe_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(content)
    resolved(file)


@given(TABLES)
def test_any_table_is_a_recipe_or_a_recipe_error(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    text = tomli_w.dumps(table)
    file.write_text(text, encoding="utf-8", newline="")
    assert set(key_lines(text).values()) <= set(range(1, text.count("\n") + 2))
    resolved(file)


@given(TABLES)
def test_what_is_written_reads_back_equal(table: dict[str, Any]) -> None:
    assert tomli.loads(tomli_w.dumps(table)) == table


@given(st.text(max_size=30), st.integers(0, 2**63 - 1), st.floats(0, 1, exclude_max=True))
def test_what_a_recipe_resolves_to_is_a_recipe_that_resolves_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, path: str, seed: int, dropout: float
) -> None:
    file = tmp_path_factory.getbasetemp() / "first.toml"
    table = tomli.loads(RECIPE)
    table["model"]["dropout"], table["train"]["seed"] = dropout, seed
    table["data"] = {"corpus": {"use": "text", "path": path}}
    file.write_text(tomli_w.dumps(table), encoding="utf-8", newline="")
    first = resolve(read(file), PLUGINS).document
    file.write_text(tomli_w.dumps(first), encoding="utf-8", newline="")
    assert resolve(read(file), PLUGINS).document == first


@given(st.text(max_size=40))
@example("model.n_layer=" + "9" * 5000)
@example("a=" + "[" * 5000)
def test_any_override_is_one_or_a_recipe_error(text: str) -> None:
    with suppress(RecipeError):
        override(text)


@tokenizers
@given(text=st.text(), other=st.text())
def test_an_array_holds_what_the_list_holds_and_both_refuse_alike(entry: Entry, text: str, other: str) -> None:
    tokenizer = entry.part([text])
    for each in (text, other):
        found: list[object] = []
        for encode in (tokenizer.encode, lambda piece: tokenizer.encode_array(piece).tolist()):
            try:
                found.append(encode(each))
            except ValueError as error:
                found.append(str(error))
        assert found[0] == found[1]
    assert tokenizer.decode(tokenizer.encode(text)) == text


@tokenizers
@given(saved=st.dictionaries(st.text() | st.just("characters"), JSON, max_size=3))
def test_anything_saved_is_a_tokenizer_or_a_known_error(entry: Entry, saved: dict[str, Any]) -> None:
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        part: Any = entry.part
        assert part.from_json(saved).vocab_size >= 0


def test_any_character_of_unicode_is_a_token() -> None:
    text = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    tokenizer = CharTokenizer([text])
    assert tokenizer.vocab_size == len(text) == 1_112_064
    assert tokenizer.encode_array(text).tolist() == list(range(len(text)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    from gptkit.storage.checkpoint_store import CheckpointStore

    folder = tmp_path_factory.mktemp("stranger")
    model = torch.nn.Linear(2, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    CheckpointStore(folder).save(take(1, model, optimizer, {}), best=True, keep=1)
    return CheckpointStore(folder).get("last")


@contextmanager
def replaced(file: Path, content: bytes) -> Iterator[None]:
    """Put bytes in the place of a file, for which the manifest vouches unless it is the file."""
    manifest = file.with_name("manifest.json")
    before, vouched = file.read_bytes(), manifest.read_bytes()
    file.write_bytes(content)
    if file != manifest:
        table = json.loads(vouched)
        table["files"][file.name] = {"size": len(content), "sha256": sha256(content).hexdigest()}
        manifest.write_bytes(to_json(table))
    try:
        yield
    finally:
        file.write_bytes(before)
        manifest.write_bytes(vouched)


FILES = st.sampled_from(["manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"])
SAVED = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries({"table": st.lists(st.lists(inner, max_size=2), max_size=3)})
        | st.fixed_dictionaries({"tensor": st.sampled_from(["state.0.exp_avg", "x"])})
        | st.fixed_dictionaries({"list": st.lists(inner, max_size=3)})
    ),
)


@given(FILES, st.binary() | JSON.map(json.dumps).map(str.encode))
@example("state.json", b'{"optimizer": {"table": [[{"list": []}, 1]]}}')
@example("manifest.json", b'{"format": 1, "step": 1, "files": {}, "\\ud800": 1}')
def test_any_bytes_in_a_checkpoint_are_a_value_or_a_checkpoint_error(
    whole: Checkpoint, name: str, content: bytes
) -> None:
    model = torch.nn.Linear(2, 3)
    with replaced(whole.folder / name, content):
        assert all(isinstance(problem, str) for problem in whole.problems())
        for act in (lambda: whole.load_weights(model), whole.state, lambda: tensor_file.read(whole.folder / name)):
            with suppress(CheckpointError):
                act()
        with suppress(CheckpointError):
            optimizer = torch.optim.AdamW(model.parameters())
            whole.load_optimizer(optimizer, whole.state().get("optimizer"))


@given(SAVED)
def test_any_state_of_an_optimizer_is_taken_or_refused(saved: Any) -> None:
    model = torch.nn.Linear(2, 3)
    with suppress(CheckpointError):
        optimizer_state.restore(torch.optim.AdamW(model.parameters()), {}, saved)


@given(SAVED.filter(lambda value: not isinstance(value, dict)))
def test_what_an_optimizer_remembers_comes_back(value: Any) -> None:
    tensors: dict[str, torch.Tensor] = {}
    told = json.loads(json.dumps(optimizer_state.encode({"a": value, 5: (value, 1.5)}, "", tensors)))
    found = optimizer_state.decode(told, tensors)
    assert repr(found) == repr({"a": value, 5: (value, 1.5)})


def test_what_only_a_pickle_could_keep_is_refused() -> None:
    with pytest.raises(CheckpointError) as caught:
        optimizer_state.encode({"state": {0: {"history": {1, 2}}}}, "", {})
    assert str(caught.value) == (
        "the optimizer's state cannot be saved without a pickle: state.0.history is a set, expected a tensor, "
        "number, text, list or table"
    )


@given(st.binary() | st.lists(JSON.map(json.dumps)).map(lambda rows: "\n".join(rows).encode()))
def test_any_bytes_are_rows_of_metrics_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "metrics.jsonl"
    file.write_bytes(content)
    log = MetricsLog(file)
    assert all(isinstance(row, dict) for row in log.rows())
    log.keep(lambda row: True)
