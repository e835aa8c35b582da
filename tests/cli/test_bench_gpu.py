"""``python -m ftcore bench --device cuda``, with a GPU that is made up and sides that are."""

import json

import pytest

import ftcore
from ftcore import _core
from ftcore.__main__ import main
from ftcore.bench import gpu, limit, models, side
from ftcore.bench.process import Refused
from ftcore.devices import Cpu, DeviceInfo, Gpu, Library

A100 = Gpu("cuda:0", "NVIDIA A100-SXM4-40GB", 40 << 30, (8, 0), True)
T4 = Gpu("cuda:1", "Tesla T4", 15 << 30, (7, 5), True)
STEP = {"ftcore": 0.01, "transformers": 0.03, gpu.COMPILED: 0.02}


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    config = ftcore.BertConfig(
        vocab_size=2000,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    models.write(folder, config)
    return folder


class FakeProcess:
    """Answers as a side would that trains in no time; notes who was asked for what."""

    asked: list = []
    open: set = set()
    blind: tuple = ()
    refusing: dict = {}

    def __init__(self, library, threads, settings):
        self.name = gpu.COMPILED if settings["compile"] else library
        self.settings = settings
        self.first = 5.0
        assert settings["gpu"]
        self.open.add(self.name)

    def __exit__(self, *failure):
        self.open.discard(self.name)

    def ask(self, method, *arguments):
        self.asked.append((self.name, method, *arguments))
        if method == "check_gpu":
            if self.name in self.blind:
                raise Refused("torch sees no GPU here")
            return "13.0"
        assert method == "gpu_train"
        if arguments[0] in self.refusing.get(self.name, ()):
            raise Refused("this precision is refused")
        self.first, first = 1.0, self.first
        return {"first_step": first, "step": STEP[self.name], "gpu_memory": 1 << 30}


@pytest.fixture
def fake(monkeypatch, tiny_folder, tmp_path):
    """A function that runs the benchmark on a made-up GPU and gives its figures."""
    for name, value in (("asked", []), ("open", set()), ("blind", ()), ("refusing", {})):
        monkeypatch.setattr(FakeProcess, name, value)
    monkeypatch.setattr(gpu, "Process", FakeProcess)

    def bench(*arguments, on=A100):
        libraries = {"driver": Library("13.0"), "cudnn": Library("9.18.1")}
        info = DeviceInfo(on.device, Cpu(), (on,), libraries)
        monkeypatch.setattr(gpu, "device_info", lambda: info)
        output = tmp_path / "figures.json"
        command = ["bench", "--device", "cuda", "--model", str(tiny_folder), "--rows", "60"]
        assert main([*command, *arguments, "--json", str(output)]) == 0
        assert FakeProcess.open == set()
        return json.loads(output.read_text())

    return bench


def test_the_sides_take_turns_and_figures_are_medians_and_their_ratio(fake, capsys):
    figures = fake("--rounds", "3", "--precision", "bfloat16")
    runs = [name for name, method, *_ in FakeProcess.asked if method == "gpu_train"]
    assert runs == ["ftcore", "transformers", "transformers", "ftcore", "ftcore", "transformers"]
    ours = figures["measures"]["bfloat16"]["ftcore"]
    assert ours["step"]["median"] == 0.01
    assert ours["step"]["count"] == 3
    assert ours["steps_per_second"] == pytest.approx(100)
    assert ours["sequences_per_second"] == pytest.approx(800)
    assert ours["share_of_peak"] == pytest.approx(figures["flops"] / 0.01 / 312e12)
    assert ours["first_step"] == {"median": 5.0, "low": 5.0, "high": 5.0, "count": 1}
    printed = capsys.readouterr().out
    assert "GPU NVIDIA A100-SXM4-40GB; driver 13.0; cudnn 9.18.1" in printed
    (row,) = (line for line in printed.splitlines() if line.startswith("| train step"))
    assert [cell.strip() for cell in row.split("|")[2:5]] == [
        "10.0 ms (10.0 to 10.0)",
        "30.0 ms (30.0 to 30.0)",
        "3.00",
    ]


def test_torch_compile_is_a_side_of_its_own(fake, capsys):
    figures = fake("--rounds", "1", "--precision", "float32", "--compile")
    assert set(figures["measures"]["float32"]) == set(STEP)
    assert "share_of_peak" not in figures["measures"]["float32"]["ftcore"]
    printed = capsys.readouterr().out
    assert "dense peak" not in printed
    header = next(line for line in printed.splitlines() if "float32" in line)
    assert [cell.strip() for cell in header.split("|")[1:-1]] == [
        "float32",
        "ftcore",
        "Hugging Face",
        "ratio",
        "torch.compile",
        "ratio",
    ]


@pytest.mark.parametrize(("on", "half"), [(A100, "bfloat16"), (T4, "float16")])
def test_the_precisions_are_those_that_suit_the_gpu(fake, on, half):
    assert list(fake("--rounds", "1", on=on)["measures"]) == ["float32", half]


def test_a_side_that_sees_no_gpu_is_left_out_and_named(fake, capsys):
    FakeProcess.blind = ("transformers",)
    figures = fake("--rounds", "1", "--precision", "float32")
    assert set(figures["measures"]["float32"]) == {"ftcore"}
    assert figures["absent"] == {"transformers": "torch sees no GPU here"}
    assert "Hugging Face was left out: torch sees no GPU here" in capsys.readouterr().out


def test_a_precision_that_a_side_refuses_is_said_to_be(fake, capsys):
    FakeProcess.refusing = {"ftcore": ("bfloat16",)}
    figures = fake("--rounds", "2", "--precision", "bfloat16")
    assert figures["measures"]["bfloat16"]["ftcore"] == {"refused": "this precision is refused"}
    assert "ftcore does not do bfloat16 here: this precision is refused" in capsys.readouterr().out


def test_with_no_gpu_it_says_why_and_fails(monkeypatch, capsys):
    libraries = {"driver": Library(error="there is no NVIDIA driver here")}
    info = DeviceInfo("cpu", Cpu(), (), libraries)
    monkeypatch.setattr(gpu, "device_info", lambda: info)
    assert main(["bench", "--device", "cuda"]) == 2
    complaint = capsys.readouterr().err
    assert "--device cuda: no GPU can be used here" in complaint
    assert "there is no NVIDIA driver here" in complaint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cuda", "--only", "step"], "--only is for --device cpu"),
        (["--device", "cuda", "--busy"], "--busy is for --device cpu"),
        (["--device", "cuda", "--profile"], "--profile is for --device cpu"),
        (["--compile"], "--compile is for --device cuda"),
        (["--precision", "float16"], "--precision float16 is for --device cuda"),
    ],
)
def test_options_of_the_other_device_are_refused(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_gpu_is_shown_alone_to_both_sides(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu.environment_of(T4, str(tmp_path))["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5ebe9")
    assert gpu.environment_of(T4, str(tmp_path))["CUDA_VISIBLE_DEVICES"] == "GPU-5ebe9"


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("Tesla T4", 65e12),
        ("NVIDIA A100-SXM4-40GB", 312e12),
        ("NVIDIA A100 80GB PCIe", 312e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA T400", None),
        ("NVIDIA A10G", None),
        ("NVIDIA GeForce GTX 1650", None),
    ],
)
def test_peaks_are_known_by_name_or_left_out(name, rate):
    assert gpu.peak(name) == rate


def test_operations_of_a_step_are_those_of_its_rows_on_average():
    core = ftcore.BertConfig(num_hidden_layers=2).core()
    want = limit.needed_flops(core, limit.Batch([512] * 8, active_words=1))
    assert gpu.flops_of_step(core, [512] * 100, 8) == pytest.approx(want)


@pytest.mark.parametrize("library", ["ftcore", "transformers"])
def test_a_run_is_timed_as_a_whole_behind_its_warm_up(tiny_folder, tmp_path, library):
    """The CPU stands in for the GPU: what waits for it and asks for its memory is replaced."""
    if library == "transformers":
        pytest.importorskip("accelerate")
    rows = {"first": ["a b c"] * 8, "second": ["d"] * 8, "label": [0, 1] * 4}
    (tmp_path / "texts.json").write_text(json.dumps({"train": rows, "evaluation": rows}))
    base = side.FtcoreSide if library == "ftcore" else side.Side
    waits = []

    class OnCpu(base):
        def wait(self, trainer):
            waits.append(trainer.state.global_step)

        def begin_memory(self):
            self.begun = True

        def gpu_memory(self):
            assert self.begun
            return 7

        def release_memory(self):
            waits.append("released")

    settings = {
        "library": library,
        "model": str(tiny_folder),
        "texts": str(tmp_path / "texts.json"),
        "max_length": 64,
        "batch_size": 4,
    }
    run = OnCpu(settings).gpu_train("float32", 3, 5)
    assert waits == [1, 3, 8, "released"]
    assert run["gpu_memory"] == 7
    assert run["step"] > 0
    assert run["first_step"] > 0


def test_ftcores_memory_is_what_is_gone_from_the_gpus(monkeypatch, tiny_folder, tmp_path):
    free = iter([1000, 400])
    monkeypatch.setattr(_core, "cuda_free_memory", lambda index: next(free))
    one = side.FtcoreSide.__new__(side.FtcoreSide)
    one.begin_memory()
    assert one.gpu_memory() == 600
