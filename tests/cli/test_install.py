"""A wheel built from the source tree works wherever its files are put."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import ftcore

SOURCE = pathlib.Path(__file__).resolve().parents[2]

STEP = """
import pathlib, sys, tempfile
sys.path[:0] = sys.argv[1:]
import numpy as np
import ftcore

with tempfile.TemporaryDirectory() as folder:
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat dog sat ran".split()
    pathlib.Path(folder, "vocab.txt").write_text("".join(word + "\\n" for word in words))
    pathlib.Path(folder, "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": true}'
    )
    tokenizer = ftcore.AutoTokenizer.from_pretrained(folder)
batch = tokenizer(["The cat sat", "The dog"], ["the cat ran", "dog"], padding=True,
                  return_tensors="np")
assert batch["input_ids"].tolist()[0] == [2, 5, 6, 8, 3, 5, 6, 9, 3], batch
model = ftcore.BertForSequenceClassification(
    ftcore.BertConfig(
        vocab_size=10, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16,
    )
)
optimizer = ftcore.AdamW(model.parameters(), lr=1e-2)
losses = []
for _ in range(40):
    loss = model(**batch, labels=np.array([0, 1])).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(float(loss))
assert losses[-1] < losses[0] / 2, losses
print("file", ftcore.__file__)
print("backend", model.core.backend)
with open("/proc/self/maps") as maps:
    print("mapped", {line.split()[-1] for line in maps if "libdnnl" in line})
"""

IMPORT = """
import sys
sys.path[:0] = sys.argv[1:]
import ftcore
print(sorted({"torch", "transformers", "datasets", "pandas"} & sys.modules.keys()))
"""


def run_clean(code: str, *folders: pathlib.Path) -> list[str]:
    """What the code prints in a Python that sees these folders and its own packages alone."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "LD_PRELOAD")
    }
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, *map(str, folders)],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> pathlib.Path:
    """A wheel built once from a copy of the sources, with this environment's build requirements."""
    setuptools = pytest.importorskip("setuptools", reason="building a wheel needs setuptools")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("building a wheel needs setuptools 77 or later")
    if not (SOURCE / "setup.py").exists():
        pytest.skip("the sources are not beside the tests")
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        SOURCE,
        folder / "source",
        ignore=shutil.ignore_patterns(".*", "build", "*.so", "*.so.*", "*.egg-info", "__pycache__"),
    )
    command = [sys.executable, "-m", "pip", "wheel", "./source", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-build-isolation", "-w", "wheels"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (folder / "wheels").glob("ftcore-*.whl")
    return built


@pytest.fixture(scope="module")
def moved(wheel, tmp_path_factory) -> pathlib.Path:
    """A folder that the wheel was installed into, then moved elsewhere."""
    folder = tmp_path_factory.mktemp("target")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--target", "before", str(wheel)],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "before").rename(folder / "after")
    return folder / "after"


def test_the_wheel_is_of_the_stable_abi(wheel):
    if "t" in sys.abiflags:
        pytest.skip("free-threaded Pythons have no stable ABI")
    assert "-cp311-abi3-" in wheel.name


def assert_trains_with_its_own_onednn(folder: pathlib.Path) -> None:
    printed = dict(line.split(" ", 1) for line in run_clean(STEP, folder))
    assert printed["file"] == str(folder / "ftcore" / "__init__.py")
    library = folder / "ftcore" / "libdnnl.so.3"
    if library.exists():
        assert printed["backend"] == "cpu"
        assert printed["mapped"] == str({str(library)})


def test_a_moved_target_folder_trains(moved):
    assert_trains_with_its_own_onednn(moved)


def test_a_copy_of_the_installed_package_trains(tmp_path):
    shutil.copytree(pathlib.Path(ftcore.__file__).parent, tmp_path / "ftcore")
    assert_trains_with_its_own_onednn(tmp_path)


def test_the_wheel_carries_types_and_the_licences_of_what_it_bundles(moved):
    assert (moved / "ftcore" / "py.typed").exists()
    assert (moved / "ftcore" / "_core.pyi").exists()
    if (moved / "ftcore" / "libdnnl.so.3").exists():
        licences = {path.name for path in (moved / "ftcore" / "licenses").iterdir()}
        assert licences == {"onednn-LICENSE", "onednn-THIRD-PARTY-PROGRAMS"}


def test_importing_ftcore_imports_no_framework(moved):
    assert run_clean(IMPORT, moved) == ["[]"]
