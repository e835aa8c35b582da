"""Fixtures shared by all tests.

``FTCORE_TEST_DATA`` names a folder that holds ``make_hub.py`` and the data it lays out: a stand-in
for the hub (MRPC, vocabularies, models). Tests that need it skip where it is unset.
"""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

import ftcore

# Processes that tests start import the ftcore under test, not the sources of the folder they
# start in, which may hold no extension.
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(pathlib.Path(ftcore.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
)
# Shells start background jobs with Ctrl-C ignored; the tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Threads that wait awake cost most of the time where other work keeps the processors busy.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

HUB_MODELS = [
    "bert-base-uncased",
    "bert-base-cased",
    "distilbert-base-uncased",
    "tiny-bert",
    "minilm",
]


def pytest_addoption(parser):
    parser.addoption(
        "--fuzz",
        type=int,
        default=5000,
        metavar="N",
        help="how many random texts tests/parity/test_tokenizer_fuzz.py compares (%(default)s)",
    )


@pytest.fixture(scope="session")
def fuzz_cases(request) -> int:
    """How many random texts are compared."""
    return request.config.getoption("--fuzz")


@pytest.fixture(scope="session")
def test_data() -> pathlib.Path:
    """The folder of test data."""
    folder = os.environ.get("FTCORE_TEST_DATA")
    if not folder:
        pytest.skip("FTCORE_TEST_DATA is not set: it names the folder of test data")
    return pathlib.Path(folder).resolve()


@pytest.fixture(scope="session")
def hub_folder(test_data, tmp_path_factory) -> pathlib.Path:
    """A folder where "glue" and "bert-base-uncased" are local folders; laid out once."""
    folder = tmp_path_factory.mktemp("hub")
    subprocess.run(
        [sys.executable, str(test_data / "make_hub.py"), str(folder), "--models", *HUB_MODELS],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def hub(hub_folder, monkeypatch) -> pathlib.Path:
    """The hub's folder, made the current one: names like "bert-base-uncased" load from it."""
    monkeypatch.chdir(hub_folder)
    return hub_folder


def pytest_runtest_setup(item):
    if item.get_closest_marker("onednn") and not has_onednn():
        pytest.skip("this build of ftcore has no oneDNN")
    if item.get_closest_marker("gpu"):
        try:
            ftcore.resolve_device("cuda")
        except RuntimeError as error:
            pytest.skip(str(error))


def has_onednn() -> bool:
    from ftcore import _core

    try:
        _core.Backend("cpu")
    except RuntimeError:
        return False
    return True
