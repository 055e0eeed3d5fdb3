"""What holds for every test: annotations are checked as it runs, and it is skipped where it needs CUDA in vain."""

import compileall
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# Workers and the programs they start share the cores, and OpenMP's threads spin while they wait for one another.
# PyTorch reads this when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest

# Whole runs and texts written token by token, which take a third longer with their annotations checked.
# What they call is checked by the tests of its own folder, and a decoder where a test asks for `annotations`.
# Nor broken parts, which must be caught by a check, and unusual ones, of which there are many.
UNCHECKED = (
    "bench/",
    "cli/",
    "decoding/test_compiled_decoder.py",
    "decoding/test_decoder.py",
    "run/",
    "test_api.py",
    "testing/test_kill_matrix.py",
    "testing/test_unusual_parts.py",
    "tuning/",
)

# Of a sample in a test: each takes five milliseconds where annotations are checked.
SAMPLE_TOKENS = 8


# Packages whose tests have their annotations checked, or which such tests call.
CHECKED = (
    "components",
    "data",
    "decoding",
    "hookspecs",
    "interfaces",
    "model",
    "nn",
    "optim",
    "recipe",
    "registry",
    "storage",
    "testing",
    "training",
)

# Whether Python was told to write no bytecode.
WRITES_NO_BYTECODE = sys.dont_write_bytecode


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the session, and each process that runs tests."""
    if not hasattr(config, "workerinput"):
        keep_for_next_session(config)
    # The process that hands out the tests to the others runs none, and PyTorch takes it seconds to load.
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        prepare_process()


def keep_for_next_session(config: pytest.Config) -> None:
    """Keep what is compiled or measured for the next session, for workers and subprocesses too."""
    if hasattr(config, "cache"):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(config.cache.mkdir("torchinductor")))
        # Not among the user's own: estimates of memory, which take longer than most of the runs.
        os.environ["GPTKIT_CACHE"] = str(config.cache.mkdir("gptkit"))
    compileall.compile_dir(Path(__file__).parents[1] / "gptkit", quiet=2)


def prepare_process() -> None:
    """Have annotations checked in this process, and settle how many threads and examples a test takes."""
    import jaxtyping
    import torch
    from hypothesis import settings

    # Before anything imports gptkit, whose modules it wraps as they are loaded.
    jaxtyping.install_import_hook([f"gptkit.{name}" for name in CHECKED], "beartype.beartype")
    # PyTorch looks at it at the first product on CUDA, and a test of deterministic algorithms may come later.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Wrapping costs four seconds for each worker, unless the result is kept as bytecode.
    sys.dont_write_bytecode = False
    # Tests are small, and threads that wait for one another make them three times as long on a busy machine.
    torch.set_num_threads(1)
    # A first call is slower than the others, so no time limit; and what fails in CI must fail again at the desk.
    settings.register_profile("gptkit", deadline=None, max_examples=25, derandomize="CI" in os.environ)
    settings.load_profile("gptkit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need CUDA where there is none."""
    import torch

    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_collection_finish() -> None:
    """Write no bytecode beside the plugins of tests, where the environment wants none."""
    sys.dont_write_bytecode = WRITES_NO_BYTECODE
    # What is imported by now stays; each collection of garbage would look through it again.
    gc.freeze()


@pytest.fixture(autouse=True)
def check_annotations(request: pytest.FixtureRequest) -> None:
    """Check annotations, or switch the checks off where none is needed."""
    import jaxtyping

    file = request.path.relative_to(Path(__file__).parent).as_posix()
    unchecked = file.startswith(UNCHECKED) and "annotations" not in request.fixturenames
    jaxtyping.config.update("jaxtyping_disable", unchecked)


@pytest.fixture
def annotations() -> None:
    """Have annotations checked in this test."""


@pytest.fixture(scope="session", autouse=True)
def sample_tokens() -> Iterator[int]:
    """Let runs write short samples, because they took most of the time; yield how long they are outside tests."""
    from gptkit.run import loop

    tokens = loop.SAMPLE_TOKENS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SAMPLE_TOKENS", SAMPLE_TOKENS)
        yield tokens


@pytest.fixture(scope="session", autouse=True)
def to_png() -> Iterator[object]:
    """Let runs draw no picture, which takes as long as twenty steps, and yield what draws one outside tests."""
    from gptkit.run import session, time_costs

    draw = vars(session)["to_png"]
    with pytest.MonkeyPatch.context() as patch:
        for module in (session, time_costs):
            patch.setattr(module, "to_png", lambda figure: b"a picture")
        yield draw
