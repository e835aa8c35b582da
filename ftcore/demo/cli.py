"""The command line: ``python -m ftcore demo``."""

import argparse
import pathlib
import sys
import tempfile
from typing import Any

import numpy as np

from ftcore.command_line import CommandError, count, positive

EXAMPLES_SHOWN = 3


def add_command(commands: Any) -> None:
    """Adds the command and its options to the subparsers of the command line."""
    demo = commands.add_parser(
        "demo",
        help="fine-tune a classifier of sentence pairs, or of your own data",
        description=(
            "Fine-tunes a BERT classifier, evaluates it after every epoch, and saves the model, "
            "its tokenizer and a plot in one folder. With no options: paraphrase detection, on "
            "the best model and data at hand; what was taken, and why, is printed first."
        ),
    )
    demo.add_argument(
        "--model",
        metavar="PATH_OR_NAME",
        help="a model's folder or its name on the hub; 'minilm': MiniLM-L6; 'small': a two-layer "
        "model trained from scratch, with a vocabulary made from the training texts",
    )
    demo.add_argument(
        "--dataset",
        metavar="PATH",
        help="a CSV, TSV (unquoted), JSON, JSON Lines or Parquet file, or a folder with a file for "
        "each split: one or two columns of text and a column named label, of text or whole "
        "numbers; a tenth of a single file is set aside to validate on; 'mrpc': GLUE MRPC; "
        "'embedded': the paraphrase set that ftcore generates",
    )
    demo.add_argument(
        "--epochs",
        type=positive,
        metavar="N",
        help="passes over the training rows, fractions allowed (default: 1 for a pretrained "
        "model, 16 for the small one)",
    )
    demo.add_argument(
        "--batch-size",
        type=count,
        metavar="N",
        help="default: 16 for a pretrained model, 32 for the small one",
    )
    demo.add_argument(
        "--learning-rate",
        type=positive,
        metavar="X",
        help="default: 1e-4 for a pretrained model, 1e-3 for the small one",
    )
    demo.add_argument("--seed", type=int, default=42, metavar="N", help="default: 42")
    demo.add_argument(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("ftcore-demo"),
        metavar="DIR",
        help="where the model and the plot are saved (default: ftcore-demo)",
    )
    demo.set_defaults(run=run_demo)


def _prepare_output(folder: pathlib.Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CommandError(f"--output {folder}: cannot be written to: {error.strerror}") from error


def _require_extras() -> None:
    for name in ("datasets", "matplotlib"):
        try:
            __import__(name)
        except ImportError as error:
            raise CommandError(
                f"the demo needs {name}, which is not installed: pip install 'ftcore[demo]'"
            ) from error


def run_demo(options: argparse.Namespace) -> None:
    """Prepare, process, train, evaluate, save."""
    _prepare_output(options.output)
    _require_extras()
    import datasets

    from ftcore.demo import choose

    datasets.disable_progress_bars()
    online = choose.hub_answers()
    if not online:
        choose.stay_offline()
    model_choice = choose.choose_model(options.model, online)
    task = choose.choose_data(options.dataset, model_choice, online, options.seed)
    print(f"data:   {task.description}")
    print(f"        {len(task.train)} training rows, {len(task.validation)} validation rows")
    with tempfile.TemporaryDirectory() as scratch:
        if model_choice.name is None:
            from ftcore.demo.small import write_small_model

            texts = (text for column in task.texts for text in task.train[column])
            write_small_model(pathlib.Path(scratch), texts, options.seed)
            print(f"model:  {model_choice.title} ({model_choice.reason})")
            _train(options, task, model_choice.title, scratch, pretrained=False)
        else:
            print(f"model:  {model_choice.title} ({model_choice.reason})")
            _train(options, task, model_choice.title, model_choice.name, pretrained=True)


def _train(options: argparse.Namespace, task: Any, title: str, name: str, pretrained: bool) -> None:
    import ftcore
    from ftcore.demo.report import compute_metrics, plot

    epochs = options.epochs or (1 if pretrained else 16)
    batch_size = options.batch_size or (16 if pretrained else 32)
    learning_rate = options.learning_rate or (1e-4 if pretrained else 1e-3)
    try:
        tokenizer = ftcore.AutoTokenizer.from_pretrained(name)
        model = ftcore.AutoModelForSequenceClassification.from_pretrained(
            name,
            num_labels=len(task.labels),
            id2label=dict(enumerate(task.labels)),
            label2id={label: number for number, label in enumerate(task.labels)},
        )
    except (OSError, ValueError) as error:
        raise CommandError(f"--model {options.model}: {error}") from error

    def tokenize(rows: dict[str, list[str]]) -> Any:
        first, second = [*(rows[column] for column in task.texts), None][:2]
        return tokenizer(first, second, truncation=True)

    train = task.train.map(tokenize, batched=True)
    validation = task.validation.map(tokenize, batched=True)
    trainer = ftcore.Trainer(
        model,
        ftcore.TrainingArguments(
            str(options.output),
            num_train_epochs=epochs,
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=64,
            learning_rate=learning_rate,
            warmup_steps=0.1,
            logging_steps=0.025,
            eval_strategy="epoch",
            eval_on_start=True,
            save_strategy="no",
            seed=options.seed,
        ),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=ftcore.DataCollatorWithPadding(tokenizer=tokenizer),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
    )
    try:
        result = trainer.train()
    except FloatingPointError as error:
        print(file=sys.stderr)  # ends the line of the progress bar
        raise CommandError(f"{error} (--learning-rate was {learning_rate:g})") from error
    try:
        trainer.save_model(str(options.output))
    except OSError as error:
        raise CommandError(f"--output {options.output}: cannot be saved to: {error}") from error

    evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    before, after = evaluations[0], evaluations[-1]
    labels = np.asarray(validation["label"])
    majority = np.bincount(labels).max() / len(labels)
    print(f"\n{'':14}{'before':>8}{'after':>8}")
    for key in ("eval_loss", "eval_accuracy", "eval_f1"):
        print(f"{key:14}{before[key]:8.4f}{after[key]:8.4f}")
    print(f"always the commonest label: accuracy {majority:.4f}")
    print(f"trained on {result.metrics['train_samples_per_second']:.1f} samples per second")
    picture = options.output / "training.png"
    plot(trainer.state.log_history, f"{title}, {len(train)} training rows", picture)
    _show_examples(options.output, task)
    print(f"\nmodel and tokenizer: {options.output}\nplot: {picture}")


def _show_examples(folder: pathlib.Path, task: Any) -> None:
    """Loads the saved folder anew and classifies the first validation rows with it."""
    import ftcore

    tokenizer = ftcore.AutoTokenizer.from_pretrained(str(folder))
    model = ftcore.AutoModelForSequenceClassification.from_pretrained(str(folder))
    rows = task.validation.select(range(min(EXAMPLES_SHOWN, len(task.validation))))
    texts = [list(rows[column]) for column in task.texts]
    first, second = [*texts, None][:2]
    batch = tokenizer(first, second, truncation=True, padding=True, return_tensors="np")
    output: Any = model(**batch)
    predictions = np.argmax(np.asarray(output.logits), axis=-1)
    print(f"\nthe saved model, loaded again from {folder}:")
    for number, label in enumerate(rows["label"]):
        for column in texts:
            print(f"  {column[number]}")
        says, truth = task.labels[predictions[number]], task.labels[label]
        print(f"    {says}" + ("" if says == truth else f" (the label is {truth})"))
