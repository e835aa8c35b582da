"""Columns from Arrow: every layout and type, and what is refused."""

import gc

import numpy as np
import pytest

from ftcore._core import Columns

pa = pytest.importorskip("pyarrow")

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def rows_of(columns: Columns) -> list[list[int]]:
    """The input ids of every row."""
    batch = columns.pack(np.arange(len(columns)))
    return [ids.tolist() for ids in np.split(batch.input_ids, batch.cu_seqlens[1:-1])]


def random_lists(random: np.random.Generator, count: int, size: int | None = None):
    return [
        random.integers(0, 100, random.integers(1, 9) if size is None else size).tolist()
        for _ in range(count)
    ]


def table_of(array_or_chunks, **columns) -> "pa.Table":
    return pa.table({"input_ids": array_or_chunks, **columns})


@pytest.mark.parametrize("element", INTEGERS)
@pytest.mark.parametrize("kind", ["list", "large_list", "fixed"])
def test_lists_of_every_kind_and_integer(kind, element):
    value = getattr(pa, element)()
    kinds = {
        "list": pa.list_(value),
        "large_list": pa.large_list(value),
        "fixed": pa.list_(value, 3),
    }
    rows = random_lists(np.random.default_rng(0), 5, 3)
    assert rows_of(Columns.from_arrow(table_of(pa.array(rows, kinds[kind])))) == rows


def test_chunks_of_any_number_of_rows():
    rows = random_lists(np.random.default_rng(1), 10)
    chunks = pa.chunked_array([rows[:3], rows[3:3], rows[3:4], rows[4:]], pa.list_(pa.int32()))
    assert rows_of(Columns.from_arrow(table_of(chunks))) == rows


@pytest.mark.parametrize("dtype", [np.uint64, np.int64])
def test_indices_name_rows_across_chunks(dtype):
    rows = random_lists(np.random.default_rng(2), 10)
    table = table_of(
        pa.chunked_array([rows[:3], rows[3:]], pa.list_(pa.int32())), label=list(range(10))
    )
    indices = np.array([9, 0, 3, 3, 2], dtype)
    columns = Columns.from_arrow(table, indices)
    assert rows_of(columns) == [rows[i] for i in indices]
    assert columns.pack([0, 1, 2, 3, 4]).labels.tolist() == [9, 0, 3, 3, 2]
    assert len(Columns.from_arrow(table, np.array([], dtype))) == 0


def test_an_empty_table():
    assert len(Columns.from_arrow(table_of(pa.array([], pa.list_(pa.int32()))))) == 0
    schema = pa.schema({"input_ids": pa.list_(pa.int32()), "label": pa.float32()})
    assert len(Columns.from_arrow(schema.empty_table())) == 0


@pytest.mark.parametrize("element", [*INTEGERS, "bool_"])
@pytest.mark.parametrize("name", ["label", "labels", "label_ids"])
def test_integer_labels(name, element):
    labels = pa.array([1, 0, 1], pa.int8()).cast(getattr(pa, element)())
    batch = Columns.from_arrow(table_of([[1], [2], [3]], **{name: labels})).pack([2, 1, 0])
    assert batch.labels.dtype == np.int64
    assert batch.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize("element", ["float32", "float64"])
def test_float_labels(element):
    value = getattr(pa, element)()
    one = Columns.from_arrow(table_of([[1], [2]], label=pa.array([0.5, 2.5], value)))
    assert one.pack([0, 1]).labels.tolist() == [[0.5], [2.5]]
    for kind in (pa.list_(value), pa.large_list(value), pa.list_(value, 2)):
        several = pa.array([[0, 1], [1, 1]], kind)
        batch = Columns.from_arrow(table_of([[1], [2]], label=several)).pack([1, 0])
        assert batch.labels.dtype == np.float32
        assert batch.labels.tolist() == [[1, 1], [0, 1]]


def test_lists_of_one_integer_are_class_labels():
    columns = Columns.from_arrow(table_of([[1], [2]], label=[[3], [4]]))
    assert columns.pack([0, 1]).labels.tolist() == [3, 4]


def test_boolean_masks():
    columns = Columns.from_arrow(
        table_of([[1, 2, 3], [4, 5]], attention_mask=[[True, False, True], [False, True]])
    )
    batch = columns.pack([0, 1])
    assert batch.input_ids.tolist() == [1, 3, 4, 5]
    assert batch.position_ids.tolist() == [0, 2, 0, 1]
    assert batch.key_starts.tolist() == [0, 3]


def test_other_columns_are_ignored():
    table = table_of([[1]], sentence1=["a"], idx=[None], nested=[{"a": [[1]]}])
    assert rows_of(Columns.from_arrow(table)) == [[1]]


def test_nulls_that_no_index_names_do_no_harm():
    table = table_of(pa.array([[1], None, [3]], pa.list_(pa.int32())), label=[0, None, 1])
    columns = Columns.from_arrow(table, [2, 0])
    assert rows_of(columns) == [[3], [1]]
    assert columns.pack([0, 1]).labels.tolist() == [1, 0]


def test_values_under_a_null_in_a_slice_do_no_harm():
    array = pa.array([[1, None], [2, 3], [4]], pa.list_(pa.int32()))
    assert rows_of(Columns.from_arrow(table_of(array).slice(1))) == [[2, 3], [4]]


@pytest.mark.parametrize("seed", range(200))
def test_equals_pyarrow_whatever_the_layout(seed):
    """Random kinds, types, chunks, slices, nulls and indices, against ``to_pylist``."""
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 40))
    size = int(random.integers(1, 5)) if random.random() < 0.3 else None
    rows = random_lists(random, count, size)
    mask = [random.integers(0, 2, len(row)).tolist() for row in rows]
    for ones in mask:
        ones[random.integers(0, len(ones))] = 1
    labels = random.integers(0, 5, count).tolist()
    nulls = set(random.integers(0, count, random.integers(0, 3)).tolist())

    def column(values, element):
        kinds = [pa.list_(element), pa.large_list(element)]
        kinds += [pa.list_(element, size)] if size is not None else []
        values = [None if i in nulls else v for i, v in enumerate(values)]
        before = random_lists(random, int(random.integers(0, 3)), size)
        kind = kinds[random.integers(len(kinds))]
        padded = pa.array([[0 for _ in row] for row in before] + values, kind)[len(before) :]
        cuts = np.sort(random.integers(0, count + 1, random.integers(0, 4)))
        bounds = [0, *cuts.tolist(), count]
        return pa.chunked_array(
            [padded[a:b] for a, b in zip(bounds, bounds[1:], strict=False)], kind
        )

    def element():
        return getattr(pa, INTEGERS[random.integers(len(INTEGERS))])()

    table = pa.table(
        {
            "label": pa.array(labels, element()),
            "input_ids": column(rows, element()),
            "attention_mask": column(mask, element()),
        }
    )
    start = int(random.integers(0, count))
    table = table.slice(start, int(random.integers(1, count - start + 1)))
    names = [i for i in range(len(table)) if i + start not in nulls]
    indices = random.permutation(names) if random.random() < 0.7 or nulls else None
    columns = Columns.from_arrow(table, indices)
    wanted = table.to_pylist()
    wanted = [wanted[i] for i in (names if indices is None else indices)]

    assert len(columns) == len(wanted)
    if not wanted:
        return
    batch = columns.pack(np.arange(len(wanted)))
    assert batch.labels.tolist() == [row["label"] for row in wanted]
    kept = [
        [
            (i, n)
            for i, (n, one) in enumerate(zip(row["input_ids"], row["attention_mask"], strict=True))
            if one or i == 0
        ]
        for row in wanted
    ]
    assert batch.position_ids.tolist() == [i for row in kept for i, _ in row]
    assert batch.input_ids.tolist() == [n for row in kept for _, n in row]


def test_an_array_of_structs_is_a_table():
    structs = pa.array([{"input_ids": [i, i], "label": i} for i in range(5)])
    sliced = pa.chunked_array([structs[1:3], structs[4:]])
    columns = Columns.from_arrow(sliced)
    assert rows_of(columns) == [[1, 1], [2, 2], [4, 4]]
    assert columns.pack([0, 1, 2]).labels.tolist() == [1, 2, 4]


def test_a_null_struct_is_a_null_row():
    structs = pa.array([{"input_ids": [1]}, {"input_ids": [2]}], mask=np.array([False, True]))
    with pytest.raises(ValueError, match="row 1 of column 'input_ids' is null"):
        Columns.from_arrow(pa.chunked_array([structs]))
    assert rows_of(Columns.from_arrow(pa.chunked_array([structs]), [0])) == [[1]]


@pytest.mark.parametrize(
    ("kind", "dtype", "wrong"),
    [
        (pa.list_, np.int32, [0, 2, 5]),
        (pa.list_, np.int32, [0, 2, 1]),
        (pa.list_, np.int32, [-1, 2, 4]),
        (pa.list_, np.int32, [2**31 - 1, 2**31 - 1, 2**31 - 1]),
        (pa.large_list, np.int64, [0, 2, 2**62]),
        (pa.large_list, np.int64, [-(2**62), 2, 4]),
    ],
)
def test_offsets_that_lead_outside_are_refused(kind, dtype, wrong):
    offsets = np.array([0, 2, 4], dtype)
    values = pa.array([1, 2, 3, 4], pa.int32())
    array = pa.Array.from_buffers(
        kind(pa.int32()), 2, [None, pa.py_buffer(offsets)], children=[values]
    )
    table = table_of(array)
    offsets[:] = wrong  # pyarrow has checked them before
    with pytest.raises(ValueError, match="column 'input_ids' is malformed at row"):
        Columns.from_arrow(table)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"ids": [[1]]}, ValueError, "there is no column 'input_ids'"),
        ({"input_ids": ["a"]}, TypeError, "'input_ids' has the Arrow format \"u\""),
        ({"input_ids": [["a"]]}, TypeError, "'input_ids' has the Arrow format"),
        ({"input_ids": [[[1]]]}, TypeError, "'input_ids' has the Arrow format"),
        ({"input_ids": [{"a": 1}]}, TypeError, "'input_ids' has the Arrow format"),
        ({"input_ids": [1]}, TypeError, "'input_ids' must hold lists of integers"),
        ({"input_ids": [[1.5]]}, TypeError, "'input_ids' must hold lists of integers"),
        ({"input_ids": pa.array(["a"]).dictionary_encode()}, TypeError, "in a dictionary"),
        ({"input_ids": [None]}, ValueError, "'input_ids' holds nothing but nulls"),
        ({"input_ids": [[1], None]}, ValueError, "row 1 of column 'input_ids' is null"),
        ({"input_ids": [[1], [2, None]]}, ValueError, "row 1 of column 'input_ids' holds a null"),
        ({"input_ids": pa.array([[1], []])}, ValueError, "row 1 of column 'input_ids' is empty"),
        ({"input_ids": [[1], [2**31]]}, ValueError, "row 1 of column 'input_ids'.*32 bits"),
        ({"input_ids": [[-(2**31) - 1]]}, ValueError, "row 0 of column 'input_ids'.*32 bits"),
        (
            {"input_ids": pa.array([[2**64 - 1]], pa.list_(pa.uint64()))},
            ValueError,
            "row 0 of column 'input_ids'.*32 bits",
        ),
        (
            {"input_ids": [[1]], "attention_mask": [[1, 1]]},
            ValueError,
            "row 0 of column 'attention_mask' holds 2 values, but 'input_ids' holds 1",
        ),
        ({"input_ids": [[1]], "attention_mask": [[3]]}, ValueError, "'attention_mask' holds 3"),
        ({"input_ids": [[1]], "attention_mask": [[0]]}, ValueError, "'attention_mask' is all 0"),
        ({"input_ids": [[1]], "label": [1], "labels": [1]}, ValueError, "say the same"),
        ({"input_ids": [[1]], "label": ["yes"]}, TypeError, "column 'label'"),
        ({"input_ids": [[1]], "label": [None]}, ValueError, "column 'label'.*nulls"),
        ({"input_ids": [[1], [1]], "label": [0, None]}, ValueError, "row 1 of column 'label' is n"),
        (
            {"input_ids": [[1]], "label": [[1, 2]]},
            ValueError,
            "row 0 of column 'label' holds 2 int",
        ),
        (
            {"input_ids": [[1], [1]], "label": [[1.0], [1.0, 2.0]]},
            ValueError,
            "row 1 of column 'label' holds 2 numbers, but row 0 holds 1",
        ),
        (
            {"input_ids": [[1]], "label": pa.array([[]], pa.list_(pa.float32()))},
            ValueError,
            "empty",
        ),
        (
            {"input_ids": [[1]], "label": pa.array([2**63], pa.uint64())},
            ValueError,
            "does not fit in 64 signed bits",
        ),
        ({"input_ids": [[1]], "label": pa.array([np.float16(1)])}, TypeError, "column 'label'"),
    ],
)
def test_bad_tables_are_refused(columns, error, message):
    with pytest.raises(error, match=message):
        Columns.from_arrow(pa.table(columns))


@pytest.mark.parametrize("duplicate", ["input_ids", "label"])
def test_two_columns_of_one_name_are_refused(duplicate):
    table = pa.Table.from_arrays(
        [pa.array([[1]]), pa.array([1]), pa.array([[1]])], ["input_ids", "label", duplicate]
    )
    with pytest.raises(ValueError, match="say the same"):
        Columns.from_arrow(table)


@pytest.mark.parametrize("indices", [[3], [-1], [0, 2**62]])
def test_indices_out_of_range_are_refused(indices):
    with pytest.raises(IndexError, match="is out of range: the table has 3 rows"):
        Columns.from_arrow(table_of([[1], [2], [3]]), indices)


def test_what_is_no_table_is_refused():
    with pytest.raises(AttributeError, match="__arrow_c_stream__"):
        Columns.from_arrow([[1]])
    with pytest.raises(TypeError, match="must be that of a table"):
        Columns.from_arrow(pa.chunked_array([[[1]]]))
    with pytest.raises(ValueError, match="PyCapsule"):
        Columns.from_arrow(pa.array([1]).type.__arrow_c_schema__())


def test_a_capsule_is_read_once():
    capsule = table_of([[1]]).__arrow_c_stream__()
    assert rows_of(Columns.from_arrow(capsule)) == [[1]]
    with pytest.raises(ValueError, match="has been read already"):
        Columns.from_arrow(capsule)


def test_a_stream_that_fails_is_reported():
    batch = table_of([[1]]).to_batches()[0]

    def batches():
        yield batch
        raise OSError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        Columns.from_arrow(pa.RecordBatchReader.from_batches(batch.schema, batches()))


def test_arrow_memory_is_released():
    rows = random_lists(np.random.default_rng(3), 1000)
    gc.collect()
    before = pa.total_allocated_bytes()
    for last in ([1], None):
        table = table_of(pa.array([*rows, last], pa.list_(pa.int32())))
        if last is None:
            with pytest.raises(ValueError, match="row 1000 of column 'input_ids' is null"):
                Columns.from_arrow(table)
        else:
            columns = Columns.from_arrow(table)
        assert pa.total_allocated_bytes() > before
        del table
        gc.collect()
        assert pa.total_allocated_bytes() == before
    assert rows_of(columns) == [*rows, [1]]
