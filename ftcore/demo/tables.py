"""A user's own data: a file or a folder of files, its columns found, its labels numbered."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

from ftcore.command_line import CommandError

if TYPE_CHECKING:
    import datasets

TEXT_PAIRS = (
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("text", "text_pair"),
    ("text1", "text2"),
    ("question", "sentence"),
)
LABEL_NAMES = ("label", "labels", "class", "category", "target", "is_duplicate", "quality")
VALIDATION_NAMES = ("validation", "dev", "valid", "val", "test")
VALIDATION_SHARE = 0.1
MOST_LABELS = 1000

READERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"sep": "\t", "quoting": 3}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
    ".parquet": ("parquet", {}),
}


@dataclasses.dataclass(frozen=True)
class Task:
    """Rows to train on and to validate on, and what their columns mean."""

    train: "datasets.Dataset"
    validation: "datasets.Dataset"
    texts: tuple[str, ...]
    """The names of one or two columns of text."""
    labels: list[str]
    """The name of each label; the column "label" holds indices into it."""
    description: str


def read_files(path: pathlib.Path) -> "datasets.DatasetDict":
    """The splits of a file, or of a folder of files."""
    import datasets

    if not path.exists():
        raise CommandError(f"--dataset {path}: there is no such file or folder")
    if path.is_file() and path.suffix.lower() not in READERS:
        raise CommandError(f"--dataset {path}: not one of {', '.join(READERS)}")
    try:
        if path.is_dir():
            return datasets.load_dataset(str(path))
        kind, options = READERS[path.suffix.lower()]
        return datasets.load_dataset(kind, data_files={"train": str(path)}, **options)
    except Exception as error:
        cause = error.__cause__ or error
        reason = str(cause).strip().splitlines() or [type(cause).__name__]
        raise CommandError(f"--dataset {path}: cannot be read: {reason[0]}") from error


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in ("string", "large_string") and not hasattr(
        feature, "names"
    )


def label_column(rows: "datasets.Dataset") -> str:
    """The name of the column that holds the labels."""
    by_name = {name.lower(): name for name in rows.column_names}
    for name in LABEL_NAMES:
        if name in by_name:
            return by_name[name]
    classes = [name for name, feature in rows.features.items() if hasattr(feature, "names")]
    if len(classes) == 1:
        return classes[0]
    raise CommandError(
        f'there is no label column among {", ".join(rows.column_names)}: name one of them "label"'
    )


def text_columns(rows: "datasets.Dataset", label: str) -> tuple[str, ...]:
    """The names of the one or two columns that hold the texts."""
    found = [name for name in rows.column_names if name != label and _is_text(rows.features[name])]
    by_name = {name.lower(): name for name in found}
    for first, second in TEXT_PAIRS:
        if first in by_name and second in by_name:
            return by_name[first], by_name[second]
    if len(found) in (1, 2):
        return tuple(found)
    if "text" in by_name:
        return (by_name["text"],)
    if not found:
        raise CommandError(f"there is no column of text among {', '.join(rows.column_names)}")
    raise CommandError(
        f"there are {len(found)} columns of text ({', '.join(found)}): name the two to compare "
        '"sentence1" and "sentence2", or the one to classify "text"'
    )


def _label_names(rows: "datasets.Dataset", column: str) -> tuple[list[str], dict[Any, int]]:
    """The labels' names in order, and the number of each value."""
    feature = rows.features[column]
    if hasattr(feature, "names"):
        return list(feature.names), {i: i for i in range(len(feature.names))}
    values = set(rows.unique(column))
    if any(isinstance(value, (list, dict)) for value in values):
        raise CommandError(f'column "{column}" holds lists, not one label a row')
    if any(isinstance(value, float) and not value.is_integer() for value in values):
        raise CommandError(f'column "{column}" holds fractions: labels are text or whole numbers')
    if len(values) < 2:
        raise CommandError(
            f'column "{column}" holds one value only: there is nothing to tell apart'
        )
    if len(values) > MOST_LABELS or (len(values) > 20 and 2 * len(values) > len(rows)):
        raise CommandError(
            f'column "{column}" holds {len(values)} different values in {len(rows)} rows: '
            "these are no class labels"
        )
    ordered = sorted(values)
    names = [str(int(v)) if isinstance(v, float) else str(v) for v in ordered]
    return names, {value: number for number, value in enumerate(ordered)}


def load_task(path: pathlib.Path, seed: int) -> Task:
    """Reads the data at a path and makes it ready for tokenizing.

    Raises CommandError where there is no such data, or where its columns cannot be understood.
    """

    splits = read_files(path)
    notes = []
    train = splits["train"] if "train" in splits else next(iter(splits.values()))
    label = label_column(train)
    texts = text_columns(train, label)
    validation_name = next((name for name in VALIDATION_NAMES if name in splits), None)
    if validation_name is not None and splits[validation_name] is not train:
        validation = splits[validation_name]
        lacking = {*texts, label} - set(validation.column_names)
        if lacking:
            raise CommandError(f"the {validation_name} rows have no column {', '.join(lacking)}")
    else:
        validation = None

    def complete(rows: "datasets.Dataset") -> "datasets.Dataset":
        columns = [rows[column] for column in (*texts, label)]
        keep = [i for i, row in enumerate(zip(*columns, strict=True)) if None not in row]
        if len(keep) < len(rows):
            notes.append(f"{len(rows) - len(keep)} rows with an empty cell left out")
        return rows.select(keep)

    train = complete(train)
    if len(train) < 2:
        raise CommandError(f"--dataset {path}: {len(train)} complete rows are too few to train on")
    names, numbers = _label_names(train, label)
    if validation is None:
        halves = train.train_test_split(
            test_size=max(1, round(VALIDATION_SHARE * len(train))), seed=seed
        )
        train, validation = halves["train"], halves["test"]
        notes.append(f"{len(validation)} rows, drawn with seed {seed}, set aside to validate on")
    else:
        validation = complete(validation)
        if not len(validation):
            raise CommandError(f"--dataset {path}: the {validation_name} rows are all incomplete")

    def numbered(rows: "datasets.Dataset") -> "datasets.Dataset":
        unknown = set(rows.unique(label)) - set(numbers)
        if unknown:
            raise CommandError(
                f'label {sorted(unknown, key=str)[0]!r} of column "{label}" does not occur in the '
                "training rows"
            )
        labels = [numbers[value] for value in rows[label]]
        kept = rows.select_columns(list(texts))
        return kept.add_column("label", labels)

    description = f"{path}: texts from {' and '.join(texts)}, labels from {label}"
    return Task(
        train=numbered(train),
        validation=numbered(validation),
        texts=texts,
        labels=names,
        description="; ".join([description, *notes]),
    )
