"""TrainingArguments has transformers' names and defaults, and refuses what it cannot do by name."""

import dataclasses

import pytest

from ftcore import TrainingArguments
from ftcore.training.arguments import _ALTERNATIVES, as_training_arguments

REFERENCE = "5.24."
# Filled in by transformers from the machine it runs on.
MACHINE = {"accelerator_config", "fsdp", "fsdp_config", "debug"}
# Those that transformers does not have.
OWN = {"num_threads"}


@pytest.fixture(scope="module")
def theirs():
    transformers = pytest.importorskip("transformers")
    if not transformers.__version__.startswith(REFERENCE):
        pytest.skip(f"the names and defaults are those of transformers {REFERENCE}")
    return transformers.TrainingArguments


def test_has_the_fields_of_transformers_in_their_order_and_one_of_its_own(theirs):
    assert [f.name for f in dataclasses.fields(TrainingArguments)] == [
        *(f.name for f in dataclasses.fields(theirs)),
        "num_threads",
    ]


def test_settles_on_the_values_transformers_settles_on(theirs, tmp_path):
    # transformers takes disable_tqdm's default from its own level of logging.
    options = {"disable_tqdm": False}
    ours, reference = TrainingArguments(tmp_path, **options), theirs(str(tmp_path), **options)
    differing = {
        f.name
        for f in dataclasses.fields(ours)
        if f.name not in MACHINE | OWN and getattr(ours, f.name) != getattr(reference, f.name)
    }
    # None and False both leave it off.
    assert differing <= {"activation_checkpointing", "gradient_checkpointing"}


@pytest.mark.parametrize(
    "options",
    [
        {"eval_strategy": "steps", "logging_steps": 10},
        {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True},
        {"save_strategy": "best", "eval_strategy": "epoch", "metric_for_best_model": "f1"},
        {"eval_strategy": "steps", "eval_steps": 0.25, "metric_for_best_model": "eval_loss"},
    ],
)
def test_derives_what_transformers_derives(theirs, tmp_path, options):
    ours, reference = TrainingArguments(tmp_path, **options), theirs(str(tmp_path), **options)
    for name in (
        "do_eval",
        "eval_steps",
        "metric_for_best_model",
        "greater_is_better",
        "eval_strategy",
        "save_strategy",
        "logging_strategy",
    ):
        assert getattr(ours, name) == getattr(reference, name), name


@pytest.mark.parametrize("warmup", [0, 1, 7, 0.1, 0.25])
def test_counts_warm_up_steps_as_transformers_does(theirs, tmp_path, warmup):
    ours = TrainingArguments(tmp_path, warmup_steps=warmup)
    assert ours.get_warmup_steps(103) == theirs(
        str(tmp_path), warmup_steps=warmup
    ).get_warmup_steps(103)


@pytest.mark.parametrize("name", sorted(_ALTERNATIVES))
def test_refuses_each_unsupported_option_by_name(tmp_path, name):
    default = getattr(TrainingArguments(tmp_path), name)
    other = {bool: not default, int: 7, float: 0.5}.get(type(default), "something")
    with pytest.raises(ValueError, match=rf"{name}=.* is not supported: \w"):
        TrainingArguments(tmp_path, **{name: other})


@pytest.mark.parametrize("name", sorted(_ALTERNATIVES))
def test_accepts_each_unsupported_option_at_its_default(theirs, tmp_path, name):
    field = next(f for f in dataclasses.fields(theirs) if f.name == name)
    default = field.default_factory() if field.default is dataclasses.MISSING else field.default
    TrainingArguments(tmp_path, **{name: default})


@pytest.mark.parametrize("report_to", ["none", "all", [], ["none"], None])
def test_tolerates_every_way_of_reporting_to_nobody(tmp_path, report_to):
    assert TrainingArguments(tmp_path, report_to=report_to).report_to == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"report_to": "wandb"}, "report_to"),
        ({"optim": "adafactor"}, "optim"),
        ({"train_sampling_strategy": "group_by_length"}, "train_sampling_strategy"),
        ({"lr_scheduler_type": "polynomial"}, "lr_scheduler_type"),
        ({"eval_strategy": "sometimes"}, "eval_strategy"),
        ({"per_device_train_batch_size": 0}, "per_device_train_batch_size"),
        ({"gradient_accumulation_steps": 1.5}, "gradient_accumulation_steps"),
        ({"learning_rate": -1e-3}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"adam_beta2": 1.0}, "adam_beta2"),
        ({"logging_steps": 0}, "logging_steps"),
        ({"save_steps": 2.5}, "save_steps"),
        ({"seed": -1}, "seed"),
        ({"num_threads": 0}, "num_threads"),
        ({"num_threads": -2}, "num_threads"),
        ({"num_threads": True}, "num_threads"),
        ({"num_threads": 2.0}, "num_threads"),
        ({"num_threads": "2"}, "num_threads"),
        ({"num_threads": 10**30}, "num_threads"),
        ({"load_best_model_at_end": True}, "load_best_model_at_end"),
        ({"save_strategy": "best", "eval_strategy": "epoch"}, "metric_for_best_model"),
        (
            {
                "load_best_model_at_end": True,
                "eval_strategy": "steps",
                "eval_steps": 3,
                "save_steps": 10,
            },
            "save_steps",
        ),
    ],
)
def test_refuses_wrong_values_by_name(tmp_path, options, named):
    with pytest.raises(ValueError, match=named):
        TrainingArguments(tmp_path, **options)


def test_tf32_is_for_gpus(theirs, tmp_path):
    for value in (None, False):
        assert TrainingArguments(tmp_path, tf32=value).tf32 is value
        assert as_training_arguments(theirs(str(tmp_path), tf32=value)).tf32 is value
    with pytest.raises(
        ValueError, match=r"tf32=True\) is not supported on the CPU: .*leave it out"
    ):
        TrainingArguments(tmp_path, tf32=True, use_cpu=True)
    with pytest.raises(ValueError, match="tf32 must be True, False or None, got 'high'"):
        TrainingArguments(tmp_path, tf32="high")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fp16", True),
        ("per_device_train_batch_size", 0),
        ("num_threads", 0),
        ("eval_strategy", "sometimes"),
        ("learning_rate", "fast"),
    ],
)
def test_what_is_set_later_is_checked_too(tmp_path, name, value):
    args = TrainingArguments(tmp_path)
    setattr(args, name, value)
    with pytest.raises(ValueError, match=name):
        args.check()


def test_checking_again_changes_nothing(tmp_path):
    args = TrainingArguments(tmp_path, eval_strategy="steps", report_to="none", num_threads=2)
    before = args.to_dict()
    args.check()
    assert args.to_dict() == before


def test_refuses_unknown_names():
    with pytest.raises(TypeError, match="learning_rat"):
        TrainingArguments("out", learning_rat=1e-5)


def test_says_what_an_old_name_is_called_now():
    with pytest.raises(TypeError, match="evaluation_strategy.*eval_strategy"):
        TrainingArguments("out", evaluation_strategy="epoch")


def test_refuses_a_name_given_twice():
    with pytest.raises(TypeError, match="output_dir"):
        TrainingArguments("out", output_dir="elsewhere")


def test_takes_over_the_arguments_of_transformers(theirs, tmp_path):
    options = {
        "output_dir": str(tmp_path),
        "eval_strategy": "epoch",
        "learning_rate": 3e-5,
        "lr_scheduler_type": "cosine",
        "disable_tqdm": True,
    }
    assert as_training_arguments(theirs(**options)) == TrainingArguments(**options)


def test_refuses_the_unsupported_in_the_arguments_of_transformers(theirs, tmp_path):
    with pytest.raises(ValueError, match="label_smoothing_factor"):
        as_training_arguments(theirs(str(tmp_path), label_smoothing_factor=0.1))


def test_goes_through_json(tmp_path):
    import json

    args = TrainingArguments(tmp_path, eval_strategy="epoch")
    assert TrainingArguments(**json.loads(args.to_json_string())) == TrainingArguments(
        str(tmp_path), eval_strategy="epoch"
    )


def test_transformers_parser_reads_them_from_the_command_line():
    transformers = pytest.importorskip("transformers")
    parser = transformers.HfArgumentParser(TrainingArguments)
    (args,) = parser.parse_args_into_dataclasses(
        ["--output_dir", "x", "--learning_rate", "3e-5", "--eval_strategy", "epoch"]
        + ["--warmup_steps", "0.1", "--report_to", "none", "--do_train"]
    )
    assert (args.output_dir, args.learning_rate, args.eval_strategy) == ("x", 3e-5, "epoch")
    assert (args.warmup_steps, args.report_to, args.do_train) == (0.1, [], True)
    (defaults,) = parser.parse_args_into_dataclasses(["--output_dir", "x"])
    assert defaults == TrainingArguments("x")
