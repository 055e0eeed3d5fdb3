"""The built-in parts: as many files as are listed, each documented and with annotated options."""

import inspect
from pathlib import Path

import pytest

import gptkit
from gptkit.interfaces import KINDS, HasPackedWeights
from gptkit.registry.loader import BUILT_INS, Plugins
from gptkit.registry.registry import Entry
from tests.small import small_dims

PACKAGE = Path(gptkit.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
PLUGINS = sorted((PACKAGE.parent / "plugins").glob("*.py"))
COMPONENTS = [file for file in (PACKAGE / "components").rglob("*.py") if file.name != "__init__.py"]
# Past this a file has two subjects.
LONGEST = 200

ENTRIES = [entry for entry in Plugins().registry if entry.owner in BUILT_INS]
each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=[f"{entry.kind}-{entry.name}" for entry in ENTRIES])


def module(file: Path) -> str:
    return ".".join(("gptkit", *file.relative_to(PACKAGE).with_suffix("").parts))


def test_the_built_ins_are_the_files_of_the_components() -> None:
    assert sorted(BUILT_INS) == sorted(map(module, COMPONENTS))


def test_every_kind_has_a_folder_and_no_other_has() -> None:
    folders = {file.parent.name for file in COMPONENTS}
    assert folders == set(KINDS)


def test_a_file_offers_one_part_of_its_own_name_and_of_its_folders_kind() -> None:
    assert [entry.owner for entry in ENTRIES] == [
        f"gptkit.components.{entry.kind}.{entry.name}" for entry in ENTRIES
    ]
    assert len(ENTRIES) == len(BUILT_INS)


@each_entry
def test_a_part_is_documented_by_itself(entry: Entry) -> None:
    assert entry.part.__doc__
    assert entry.summary.endswith(".")


@each_entry
def test_a_class_ends_in_its_interface(entry: Entry) -> None:
    assert entry.part.__name__.endswith(KINDS[entry.kind].__name__)


@each_entry
def test_every_option_is_annotated_and_takes_its_own_default(entry: Entry) -> None:
    for option in entry.options.values():
        schema = option.schema()
        if "default" in schema:
            assert option.validate(schema["default"]) == option.default


@each_entry
def test_every_parameter_of_every_method_is_annotated(entry: Entry) -> None:
    methods = [method for method in vars(entry.part).values() if inspect.isfunction(method)]
    for method in methods:
        parameters = list(inspect.signature(method).parameters.values())[1:]
        assert [p.name for p in parameters if p.annotation is p.empty] == []


def test_no_file_is_too_long_to_have_one_subject() -> None:
    lengths = {module(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


@pytest.mark.parametrize(
    "entry",
    [entry for entry in Plugins(PLUGINS).registry if issubclass(entry.part, HasPackedWeights)],
    ids=lambda entry: entry.name,
)
def test_packed_rows_are_all_rows_of_a_parts_own_weights(entry: Entry) -> None:
    part = entry.part(small_dims(n_head=2, n_embd=24))
    own = set(part.parameters())
    packed = part.packed_rows()
    assert packed
    for weight, rows in packed.items():
        assert weight in own
        assert len(rows) > 1
        assert sum(rows) == weight.shape[0]
