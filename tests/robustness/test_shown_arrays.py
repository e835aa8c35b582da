"""What other objects show of arrays in a GPU's memory, however wrongly, harms nothing. It is only
looked at, and there need be no GPU."""

import cuda_arrays
import numpy as np
import pytest

from ftcore import _core


class Shown:
    """What shows these attributes."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def interface(**changes):
    shown = {"shape": (2, 3), "typestr": "<i8", "data": (4096, False), "version": 3}
    shown.update(changes)
    return Shown(__cuda_array_interface__=shown)


MALFORMED = {
    "nothing": object(),
    "no dictionary": Shown(__cuda_array_interface__=7),
    "an empty dictionary": Shown(__cuda_array_interface__={}),
    "a list for a shape": interface(shape=[2, 3]),
    "a shape of text": interface(shape=("2", "3")),
    "a huge shape": interface(shape=(1 << 70, 1)),
    "three dimensions": interface(shape=(1, 2, 3)),
    "strides of another": interface(strides=(8,)),
    "bytes for a type": interface(typestr=b"<i8"),
    "complex numbers": interface(typestr="<c8"),
    "the other order of bytes": interface(typestr=">i8"),
    "no address": interface(data=("4096", False)),
    "a huge address": interface(data=(1 << 70, False)),
    "no memory": interface(data=(0, False)),
    "an odd address": interface(data=(4097, False)),
    "a huge stream": interface(stream=1 << 70),
    "a negative stream": interface(stream=-1),
    "negative extents": interface(shape=(-2, -3)),
    "more bytes than can be counted": interface(shape=(1 << 40, 1 << 40)),
    "as many, of one number": interface(shape=(1 << 40, 1 << 40), strides=(0, 0)),
    "strides beyond all memory": interface(strides=((1 << 63) - 8, 8)),
    "strides beyond it on both sides": interface(strides=(-(1 << 62), 1 << 61)),
    "a mask": interface(mask=interface()),
    "a device of text": Shown(__dlpack_device__=lambda: ("2", "0")),
    "a device without an array": Shown(__dlpack_device__=lambda: (2, 0)),
    "no capsule": Shown(__dlpack_device__=lambda: (2, 0), __dlpack__=lambda **_: 7),
}


@pytest.mark.parametrize("shown", MALFORMED.values(), ids=MALFORMED)
def test_what_is_shown_wrongly_is_no_array(shown):
    for options in ({}, {"alone": True}, {"stream": 1}):
        assert _core.gpu_array(shown, 0, **options) is None
    assert _core.gpu_array(interface(), 0, alone=True).shape == (2, 3)


def test_an_interruption_is_not_swallowed():
    def interrupted(**_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _core.gpu_array(Shown(__dlpack__=interrupted), 0, stream=1)


def test_capsules_of_another_major_version_are_not_read():
    ids = np.ones((2, 3), np.int64)
    for version, read in ((0, True), (1, True), (2, False)):
        shown = Shown(
            __dlpack_device__=lambda: (2, 0),
            __dlpack__=lambda version=version, **_: cuda_arrays.capsule(ids, version),
        )
        assert (_core.gpu_array(shown, 0) is not None) == read


def capsule_of(array, destructor=None, **fields):
    """What shows a capsule of the array, with other fields of the tensor's."""
    return Shown(
        __dlpack_device__=lambda: (2, 0),
        __dlpack__=lambda **_: cuda_arrays.capsule(array, 1, destructor, **fields),
    )


HUGE = (1 << 62, 1 << 62)
BAD_TENSORS = {
    "three dimensions": {"ndim": 3},
    "fewer than none": {"ndim": -1},
    "vectors for numbers": {"lanes": 2},
    "a negative extent": {"shape": cuda_arrays.extents(-2, 3)},
    "huge extents": {"shape": cuda_arrays.extents(*HUGE)},
    "huge extents in one piece": {"shape": cuda_arrays.extents(*HUGE), "strides": None},
    "huge strides": {"strides": cuda_arrays.extents(*HUGE)},
    "an odd offset": {"byte_offset": 4},
    "no memory": {"data": None},
}


@pytest.mark.parametrize("fields", BAD_TENSORS.values(), ids=BAD_TENSORS)
def test_capsules_of_what_cannot_be_are_not_read(fields):
    ids = np.ones((2, 3), np.int64)
    assert _core.gpu_array(capsule_of(ids, **fields), 0) is None
    assert _core.gpu_array(capsule_of(ids, **fields), 0, stream=1) is None
    good = {"strides": None, "byte_offset": 8}
    assert _core.gpu_array(capsule_of(ids, **good), 0).shape == (2, 3)


def test_a_capsule_is_read_after_an_interface_that_fails_half_way():
    """Nothing of what the interface had said is left."""
    shown = interface(data=(4096, True), strides=(8,), shape=(7, 5))
    shown.__dlpack_device__ = lambda: (2, 0)
    number = np.ones((), np.float32)
    shown.__dlpack__ = lambda **_: cuda_arrays.capsule(number, 0)
    array = _core.gpu_array(shown, 0)
    assert (array.shape, array.dtype, array.read_only) == ((), np.float32, False)


class Index:
    """A number whose reading runs other code first."""

    def __init__(self, value, code):
        self.value, self.code = value, code

    def __index__(self):
        self.code()
        return self.value


@pytest.mark.parametrize("name", ["shape", "strides"])
@pytest.mark.parametrize("at", [0, 1])
def test_what_an_array_shows_may_drop_its_parts_while_it_is_read(name, at):
    """What is read is what was shown, not what came into its place."""
    items, replaced = {}, []

    def pair(one, other):
        return tuple([one, other])  # noqa: C409 (a literal would be a constant, which stays)

    def drop():
        items.clear()
        replaced.extend(pair(1 << 40, True) for _ in range(50))

    items |= {"typestr": "<i8", "shape": pair(2, 3), "strides": pair(24, 8)}
    items |= {"data": pair(4096, False), "stream": int("1" * 12)}
    numbers = list(items[name])
    numbers[at] = Index(numbers[at], drop)
    items[name] = tuple(numbers)
    array = _core.gpu_array(Shown(__cuda_array_interface__=items), 0, alone=True)
    assert replaced
    assert (array.shape, array.read_only, array.stream) == ((2, 3), False, int("1" * 12))


@pytest.mark.parametrize("where", ["__dlpack_device__", "__cuda_array_interface__", "__dlpack__"])
def test_an_interruption_is_not_swallowed_anywhere(where):
    class Interrupted:
        def __getattr__(self, name):
            if name == where:
                raise KeyboardInterrupt
            if name == "__dlpack_device__":
                return lambda: (2, 0)
            raise AttributeError(name)

    with pytest.raises(KeyboardInterrupt):
        _core.gpu_array(Interrupted(), 0)


def test_a_capsule_is_let_go_of_with_the_array():
    """Its own destructor then lets go of the tensor, as it was not taken over."""
    ids, destroyed = np.ones((2, 3), np.int64), []
    shown = capsule_of(ids, destroyed.append)
    array = _core.gpu_array(shown, 0)
    assert array is not None and not destroyed
    del array
    assert len(destroyed) == 1
    assert _core.gpu_array(shown, 1, stream=1) is None  # of another GPU
    assert len(destroyed) == 2
