"""The CUDA backend's tape, on the mock driver: what is recorded is done, in order; what comes again
is replayed as a graph; what fails leaves a tape that can be used."""

import ctypes
import subprocess
import threading

import numpy as np
import pytest
from cuda_support import build

CUDA = build.CSRC / "backend" / "cuda"
SOURCES = [
    build.MOCK.parent / "tape.c",
    *[CUDA / f"{name}.c" for name in ("tape", "variables", "graphs", "sums", "behind")],
    *sorted((CUDA / "driver").glob("*.c")),
    *[build.CSRC / "common" / f"{name}.c" for name in ("memory", "status", "sha256", "threads")],
]
CALL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
WRAP = "-Wl,--wrap=realloc"  # by tape.c's
ANY, BACKWARD, LINEAR_BACKWARD = 0, 1, 2  # ft_cuda_kind
OK, MEMORY, RUNTIME = 0, 1, 7


def build_library():
    flags = ["-std=gnu11", "-O1", "-g1", "-Wall", "-fPIC", "-shared", f"-I{build.CSRC}"]
    kernels = "".join(p.read_text() for p in sorted((CUDA / "kernels").iterdir()))
    key = "".join([build.headers(), kernels, *flags, WRAP, *(p.read_text() for p in SOURCES)])

    def command(path):
        # Kernels' sources are found from the repository's root.
        subprocess.run(
            ["gcc", *flags, *map(str, SOURCES), "-o", str(path), "-ldl", "-lpthread", WRAP],
            check=True,
            cwd=build.CSRC.parent,
        )

    return build.make("libtape.so", key, command)


class TapeError(RuntimeError):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Sum(ctypes.Structure):
    _fields_ = [("out", ctypes.c_void_p), ("columns", ctypes.c_int32)]


class Behind(ctypes.Structure):
    """ft_cuda_behind, and ft_pad_arguments at its beginning."""

    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("packed", "dense", "cu_seqlens", "layout")],
        *[(name, ctypes.c_int32) for name in ("stride", "columns", "length", "vector")],
        *[(name, ctypes.c_int32) for name in ("precision", "count")],
    ]


class Tape:
    """The functions of tape.h; memory is the mock driver's, addresses in the host's memory."""

    def __init__(self, driver):
        self.driver = driver
        self.library = ctypes.CDLL(str(build_library()))
        self.library.ft_error_message.restype = ctypes.c_char_p
        for name in ("tape_open", "tape_allocate"):
            getattr(self.library, name).restype = ctypes.c_void_p
        self.cuda = ctypes.c_void_p(self.library.tape_open())
        assert self.cuda, self.message()
        self.calls = []

    def message(self):
        return self.library.ft_error_message().decode()

    def do(self, function, *arguments):
        status = getattr(self.library, function)(self.cuda, *arguments)
        if status:
            raise TapeError(status, self.message())

    def close(self):
        self.library.tape_close(self.cuda)

    def allocate(self, size):
        address = self.library.tape_allocate(self.cuda, ctypes.c_size_t(size))
        assert address, self.message()
        return address

    def free(self, address):
        self.library.tape_free(self.cuda, ctypes.c_void_p(address))

    def upload(self, to, data):
        self.do("ft_cuda_upload", ctypes.c_void_p(to), bytes(data), ctypes.c_size_t(len(data)))

    def zero(self, address, size):
        self.do("ft_cuda_zero", ctypes.c_void_p(address), ctypes.c_size_t(size))

    def download(self, address, size):
        memory = ctypes.create_string_buffer(size)
        self.do("ft_cuda_download", memory, ctypes.c_void_p(address), ctypes.c_size_t(size))
        return memory.raw

    def variable(self, data):
        address = ctypes.c_void_p()
        self.do("ft_cuda_variable", data, ctypes.c_size_t(len(data)), ctypes.byref(address))
        return address

    def scratch(self, size):
        address = ctypes.c_void_p()
        self.do("ft_cuda_scratch", ctypes.c_size_t(size), ctypes.byref(address))
        return address.value

    def begin(self, kind=ANY):
        self.do("ft_cuda_begin", kind)

    def sum_later(self, parts, outs, accumulate=False):
        """Puts off sums of the parts' columns, which are shared out among the outs: addresses and
        how many columns each has."""
        address = self.put_off(len(parts), outs, accumulate)
        data = np.float32(parts).tobytes()

        def fill(given):
            ctypes.memmove(address, given, len(data))
            return OK

        self.call(fill, data)

    def put_off(self, parts, outs, accumulate=False):
        """The same, of parts that nothing fills yet."""
        address = ctypes.c_void_p()
        sums, rest = (Sum * len(outs))(*outs), (len(outs), ctypes.c_bool(accumulate))
        self.do("ft_cuda_sum_later", ctypes.c_uint32(parts), sums, *rest, ctypes.byref(address))
        return address

    def zero_behind(self, address, tokens, rows, columns):
        """Puts off zeros in the rows behind the tokens of a float32 matrix."""
        layout = self.variable(np.int32([1, tokens, rows, tokens]).tobytes())
        behind = Behind(address, None, None, layout, columns, columns, tokens, 0, 0, rows)
        self.do("ft_cuda_zero_behind", ctypes.byref(behind))

    def floats(self, address, count):
        return np.frombuffer(self.download(address, 4 * count), np.float32)

    def call(self, function, data):
        """function(address of the data) is called when the tape is played; it returns a status."""
        pointer = CALL(lambda cuda, data: function(data))
        self.calls.append(pointer)
        self.do("ft_cuda_record_call", pointer, data, ctypes.c_size_t(len(data)))
        return pointer

    def fill(self, address, value, size):
        return self.library.tape_fill(
            self.cuda, ctypes.c_void_p(address), ctypes.c_ubyte(value), ctypes.c_size_t(size)
        )

    def copy(self, variable, size, to):
        """Records a copy of a variable."""
        count = self.variable(np.int32(size).tobytes())
        self.do("tape_copy_variable", variable, count, ctypes.c_void_p(to))

    def submit(self):
        self.do("ft_cuda_submit")

    def synchronize(self):
        self.do("ft_cuda_synchronize")


@pytest.fixture
def tape(mock_driver, mock_nvrtc, monkeypatch, tmp_path):
    monkeypatch.setenv("FTCORE_CACHE", str(tmp_path))
    opened = Tape(mock_driver)
    yield opened
    opened.close()
    for kind in ("memory", "host memory", "stream", "event", "graph", "executable", "module"):
        assert mock_driver.alive(kind) == 0, kind
    assert mock_driver.alive("context") == 0
    assert mock_driver.contexts() == 0


def pattern(size, seed=0):
    return np.random.default_rng(seed).integers(1, 256, size, np.uint8).tobytes()


@pytest.fixture
def memory(tape):
    """4 MiB of device memory."""
    address = tape.allocate(4 << 20)
    yield address
    tape.free(address)


# ---- what is recorded is done


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 16, 1021, 1024, 4096, 70001, 1 << 20, (1 << 20) + 1])
@pytest.mark.parametrize("offset", [0, 1, 4])
def test_uploads_arrive_and_touch_nothing_else(tape, memory, size, offset, lazy):
    tape.driver.set_lazy(lazy)
    tape.zero(memory, 2 << 20)
    data = pattern(size)
    tape.upload(memory + offset, data)
    assert tape.download(memory, offset + size + 64) == bytes(offset) + data + bytes(64)


def test_things_happen_in_their_order(tape, memory):
    tape.driver.set_lazy()
    tape.upload(memory, pattern(100))
    tape.zero(memory, 50)
    tape.upload(memory + 25, b"x" * 10)
    tape.call(lambda data: tape.fill(memory + 30, 7, 2), b"")
    expected = bytes(25) + b"x" * 5 + b"\7\7" + b"x" * 3 + bytes(15) + pattern(100)[50:]
    assert tape.download(memory, 100) == expected


def test_nothing_starts_before_a_submit(tape, memory):
    calls = []
    tape.upload(memory, b"1234")
    tape.call(lambda data: calls.append(1) or OK, b"")
    assert calls == [] and tape.driver.launches() == 0
    tape.submit()
    assert calls == [1] and tape.driver.launches() == 1
    tape.submit()
    assert calls == [1]


def test_what_is_uploaded_is_what_it_was_then(tape, memory):
    data = ctypes.create_string_buffer(b"before")
    tape.do("ft_cuda_upload", ctypes.c_void_p(memory), data, ctypes.c_size_t(6))
    data.value = b"after!"
    assert tape.download(memory, 6) == b"before"


def test_arguments_of_calls_are_copied_and_aligned(tape):
    seen = []

    def look(data):
        seen.append((ctypes.string_at(data, 5), data % 8))
        return OK

    tape.call(look, b"hello")
    tape.call(look, b"world")
    tape.submit()
    assert seen == [(b"hello", 0), (b"world", 0)]


def test_small_uploads_and_variables_are_one_copy(tape, memory):
    for i in range(20):
        tape.upload(memory + 1000 * i, pattern(1000, i))
    before = tape.driver.calls("cuMemcpyHtoDAsync")
    tape.submit()
    assert tape.driver.calls("cuMemcpyHtoDAsync") == before + 1
    assert tape.download(memory, 20000) == b"".join(pattern(1000, i) for i in range(20))


def test_uploads_one_after_another_are_one_kernel(tape, memory):
    def upload(count, step, size):
        before = tape.driver.launches()
        for i in range(count):
            tape.upload(memory + step * i, pattern(size + i, i))
        got = tape.download(memory, step * count)
        return tape.driver.launches() - before, got

    launches, got = upload(8, 3000, 2500)
    assert launches == 1
    for i in range(8):
        assert got[3000 * i :][: 2500 + i] == pattern(2500 + i, i)
    assert upload(9, 3000, 2500)[0] == 2  # no kernel has more than eight
    launches, got = upload(4, 100, 150)  # nor any that overlap
    assert launches == 4
    assert got == b"".join(pattern(150 + i, i)[:100] for i in range(4)) != bytes(400)


def test_more_variables_than_a_block_holds(tape, memory):
    """They go to further blocks, which stay."""
    parts = [pattern(200_000, i) for i in range(16)]
    for _ in range(3):
        for i, part in enumerate(parts):
            tape.upload(memory + 200_000 * i, part)
        assert tape.download(memory, 16 * 200_000) == b"".join(parts)
        parts.reverse()
    assert tape.driver.alive("memory") == 1 + 5


@pytest.mark.parametrize("lazy", [False, True])
def test_values_wait_for_the_gpu(tape, memory, lazy):
    """However many steps the host is ahead, none sees the values of another."""
    tape.driver.set_lazy(lazy)
    for i in range(30):
        value = pattern(40, i)
        for at in (0, 2000):  # further on, to be seen after all the steps
            tape.copy(tape.variable(value), 40, memory + at + 50 * i)
        tape.submit()
    everything = tape.download(memory, 2000 + 50 * 30)
    for i in range(30):
        for at in (0, 2000):
            assert everything[at + 50 * i :][:40] == pattern(40, i)


def test_variables_keep_their_places_until_the_submit(tape, memory):
    """Other operations' too, of which there may be many."""
    first = tape.variable(b"first")
    others = [tape.variable(pattern(3000, i)) for i in range(1000)]
    tape.copy(first, 5, memory)
    for i, variable in enumerate(others):
        tape.copy(variable, 3000, memory + 5000 + 3000 * i)
    everything = tape.download(memory, 5000 + 3_000_000)
    assert everything[:5] == b"first"
    assert everything[5000:] == b"".join(pattern(3000, i) for i in range(1000))


def test_a_tape_that_is_long_is_submitted_between_operations(tape, memory):
    calls = []
    for _ in range(1 << 15):
        tape.begin()
        tape.zero(memory, 1)
    tape.call(lambda data: calls.append(1) or OK, b"")
    assert calls == []
    tape.begin()
    assert calls == [1]


def test_scratch_that_grows_leaves_what_is_recorded_its_memory(tape, memory):
    small = tape.scratch(1000)
    tape.upload(small, b"small")
    copied = [tape.call(lambda data: tape.fill(small, 5, 3), b"")]
    large = tape.scratch(5 << 20)
    assert large != small
    tape.upload(large, b"large")
    assert tape.scratch(5 << 20) == large == tape.scratch(10)
    assert tape.driver.alive("memory") == 1 + 1 + 2  # variables, this memory, two scratches
    assert tape.download(large, 5) == b"large"
    assert tape.driver.alive("memory") == 1 + 1 + 1
    assert copied


# ---- sums that are put off


def test_sums_that_wait_are_made_by_one_kernel(tape, memory):
    parts = np.random.default_rng(0).integers(-100, 100, (70, 150))
    launched = tape.driver.launches("ft_add_partials_f32")
    tape.sum_later(parts[:, :33], [(memory, 33)])
    tape.begin(BACKWARD)
    tape.sum_later(parts[:9, :110], [(memory + 1000, 100), (memory + 2000, 10)])
    tape.begin(ANY)
    np.testing.assert_array_equal(tape.floats(memory, 33), parts[:, :33].sum(0))
    np.testing.assert_array_equal(tape.floats(memory + 1000, 100), parts[:9, :100].sum(0))
    np.testing.assert_array_equal(tape.floats(memory + 2000, 10), parts[:9, 100:110].sum(0))
    assert tape.driver.launches("ft_add_partials_f32") == launched + 1


def test_sums_of_no_parts_are_zeros(tape, memory):
    tape.upload(memory, np.float32([1, 2, 3]).tobytes())
    tape.sum_later(np.zeros((0, 2)), [(memory, 2)])
    np.testing.assert_array_equal(tape.floats(memory, 3), [0, 0, 3])


def test_sums_that_go_to_the_same_place_are_made_in_order(tape, memory):
    tape.sum_later([[1, 2], [3, 4]], [(memory, 2)])
    for _ in range(2):
        tape.sum_later([[10, 20]], [(memory, 2)], accumulate=True)
    np.testing.assert_array_equal(tape.floats(memory, 2), [24, 46])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_sums_that_go_to_overlapping_places_are_made_in_order(tape, memory, place):
    expected = np.float32([0, 1, 2, 3, 0])
    tape.zero(memory, 20)
    tape.sum_later([[1, 2, 3]], [(memory + 4, 3)])
    tape.sum_later([[10, 20, 30]], [(memory + 4 * place, 3)], accumulate=True)
    expected[place:][:3] += [10, 20, 30]
    np.testing.assert_array_equal(tape.floats(memory, 5), expected)
    assert tape.driver.launches("ft_add_partials_f32") == 2


@pytest.mark.parametrize("rows", [20, 40])
def test_sums_that_wait_have_as_much_memory_as_they_need(tape, memory, rows):
    """16 MiB, or what one of them needs."""
    parts = np.random.default_rng(0).integers(-9, 9, (rows, 120_000))
    for i in range(3):
        tape.sum_later(parts + i, [(memory + 480_000 * i, 120_000)])
    for i in range(3):
        got = tape.floats(memory + 480_000 * i, 120_000)
        np.testing.assert_array_equal(got, (parts + i).sum(0))


def test_more_sums_than_may_wait(tape, memory):
    for i in range(600):
        tape.sum_later([[i], [i]], [(memory + 4 * i, 1)])
    np.testing.assert_array_equal(tape.floats(memory, 600), 2 * np.arange(600))


# ---- zeros behind the tokens that are put off


@pytest.mark.parametrize(("kind", "launches"), [(LINEAR_BACKWARD, 0), (BACKWARD, 1), (ANY, 1)])
def test_zeros_behind_the_tokens_wait_for_a_linear_layer_alone(tape, memory, kind, launches):
    seen = []
    tape.upload(memory, np.ones(21, np.float32).tobytes())
    tape.zero_behind(memory, 5, 7, 3)
    tape.begin(kind)
    tape.call(lambda data: seen.append(tape.driver.launches("ft_unpad_rows_f32")) or OK, b"")
    np.testing.assert_array_equal(tape.floats(memory, 21), [1] * 15 + [0] * 6)
    assert seen == [launches]
    assert tape.driver.launches("ft_unpad_rows_f32") == 1


def test_zeros_behind_the_tokens_are_of_the_tape_that_has_them(tape, memory):
    """Though it is cut before the linear layer that would have written them: the next tape has
    other variables."""
    tape.upload(memory, np.ones(21, np.float32).tobytes())
    for _ in range(1 << 15):
        tape.zero(memory + 1000, 1)
    tape.zero_behind(memory, 5, 7, 3)
    tape.begin(LINEAR_BACKWARD)
    for i in range(10):
        tape.variable(pattern(16, i))
    got = tape.floats(memory, 21)
    np.testing.assert_array_equal(got, [1] * 15 + [0] * 6)
    assert tape.driver.launches("ft_unpad_rows_f32") == 1


# ---- what comes again is a graph


def record_step(tape, memory, seed=0, parts=10, size=100):
    """Ten uploads to 1000 bytes, which they set to what the seed makes of them, and between them
    what keeps them from being one."""
    values = [pattern(size, 1000 * seed + i) for i in range(parts)]
    for i, value in enumerate(values):
        tape.upload(memory + i * size, value)
        tape.zero(memory + parts * size, 8)
    return b"".join(values)


def replays(tape):
    return tape.driver.calls("cuGraphLaunch")


def test_the_third_equal_tape_is_replayed(tape, memory):
    launches = []
    for seed in range(4):
        expected = record_step(tape, memory, seed)
        before = tape.driver.calls("cuLaunchKernel"), replays(tape)
        tape.submit()
        launches.append(
            (tape.driver.calls("cuLaunchKernel") - before[0], replays(tape) - before[1])
        )
        assert tape.download(memory, 1000) == expected
    # The first is played, the second recorded and launched, the others are launched alone.
    assert launches == [(10, 0), (10, 1), (0, 1), (0, 1)]
    assert tape.driver.graph_nodes() == 20


def test_batches_of_one_bucket_are_equal_tapes(tape, memory):
    """Though their counts of tokens are not."""
    for tokens in (961, 1000, 1024, 970):
        values = [pattern(4 * tokens, tokens + i) for i in range(8)]
        tape.zero(memory, 8 * 4096)
        for i, value in enumerate(values):
            tape.upload(memory + 4096 * i, value)
            tape.zero(memory + 8 * 4096, 8)
        tape.submit()
        everything = tape.download(memory, 8 * 4096)
        for i, value in enumerate(values):
            assert everything[4096 * i :][:4096] == value + bytes(4096 - len(value))
    assert replays(tape) == 3


def test_calls_and_zeros_are_replayed_too(tape, memory):
    calls = []

    def step(value, once):
        tape.zero(memory, 100)
        for i in range(10):
            tape.do("ft_cuda_record_call", once, bytes([i]), ctypes.c_size_t(1))
        tape.upload(memory + 50, value)
        return tape.download(memory, 100)

    def fill(cuda, data):
        calls.append(ctypes.string_at(data, 1)[0])
        return tape.fill(memory + calls[-1], calls[-1], 1)

    once = CALL(fill)
    results = [step(pattern(50, i), once) for i in range(4)]
    assert results == [bytes(range(10)) + bytes(40) + pattern(50, i) for i in range(4)]
    assert calls == 2 * list(range(10))
    assert replays(tape) == 3


def test_short_tapes_are_played(tape, memory):
    for _ in range(5):
        record_step(tape, memory, parts=3)
        tape.submit()
    assert replays(tape) == 0


def test_what_differs_in_one_byte_is_not_replayed(tape, memory):
    for place in range(5):
        expected = record_step(tape, memory + place, place)
        tape.submit()
        assert tape.download(memory + place, 1000) == expected
    assert replays(tape) == 0


def test_graphs_are_those_that_were_used_last(tape, memory):
    def step(place):
        expected = record_step(tape, memory + 4 * place, place)
        before = replays(tape)
        assert tape.download(memory + 4 * place, 1000) == expected
        return replays(tape) - before

    for place in range(64):
        assert [step(place) for _ in range(3)] == [0, 1, 1]
    assert tape.driver.alive("executable") == 64
    assert step(0) == 1
    assert [step(64) for _ in range(2)] == [0, 1]  # in place 1's place
    assert tape.driver.alive("executable") == 64
    assert step(0) == 1
    assert step(2) == 1
    assert step(1) == 0


@pytest.mark.parametrize(
    ("function", "code"), [("cuStreamBeginCapture", 801), ("cuGraphInstantiateWithFlags", 2)]
)
def test_what_cannot_be_a_graph_is_played(tape, memory, function, code):
    """And is not tried again."""
    tape.driver.fail(function, code, nth=1)
    for seed in range(5):
        expected = record_step(tape, memory, seed)
        assert tape.download(memory, 1000) == expected
    assert replays(tape) == 0
    assert tape.driver.calls("cuStreamBeginCapture") == 1


def test_a_call_that_cannot_be_captured_is_made(tape, memory):
    """The library behind it refuses: the tape is played from its beginning instead."""
    results = iter([OK, RUNTIME, OK, OK])
    once = CALL(lambda cuda, data: next(results))
    for seed in range(3):
        expected = record_step(tape, memory, seed)
        tape.do("ft_cuda_record_call", once, b"", ctypes.c_size_t(0))
        assert tape.download(memory, 1000) == expected
    assert replays(tape) == 0


def test_others_may_use_the_default_stream_while_a_graph_is_recorded(tape, memory):
    """As torch does in another thread."""
    results = []

    driver = tape.driver.library

    def fill_on_default_stream():
        context = ctypes.c_void_p()
        driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
        driver.cuCtxPushCurrent_v2(context)
        results.append(
            driver.cuMemsetD8Async(ctypes.c_void_p(memory + 2000), 7, ctypes.c_size_t(9), None)
        )
        driver.cuCtxPopCurrent_v2(ctypes.byref(context))
        driver.cuDevicePrimaryCtxRelease_v2(0)

    def use_default_stream(cuda, data):
        other = threading.Thread(target=fill_on_default_stream)
        other.start()
        other.join()
        return OK

    once = CALL(use_default_stream)
    for seed in range(4):
        expected = record_step(tape, memory, seed)
        tape.do("ft_cuda_record_call", once, b"", ctypes.c_size_t(0))
        assert tape.download(memory, 1000) == expected
    assert results == [OK, OK]  # played and recorded
    assert tape.download(memory + 2000, 9) == 9 * b"\x07"
    assert replays(tape) == 3


# ---- what fails


def test_a_call_that_fails_is_the_error_of_the_submit(tape, memory):
    tape.upload(memory, b"abcd")
    with pytest.raises(TapeError, match="cuMemsetD8Async|filling") as error:
        tape.driver.fail("cuMemsetD8Async", 1)
        tape.call(lambda data: tape.fill(memory, 1, 1), b"")
        tape.submit()
    assert error.value.status == RUNTIME
    tape.submit()  # nothing is left of it
    assert tape.download(memory, 4) == b"abcd"


FAILURES = {
    "cuMemcpyHtoDAsync": "copying a step's arguments to the GPU",
    "cuEventRecord": "recording an event",
    "cuLaunchKernel": "launching upload in float32",
    "cuMemsetD8Async": "zeroing 8 bytes",
    "cuMemcpyDtoHAsync": "copying 1000 bytes from the GPU",
    "cuStreamSynchronize": "waiting for the GPU",
    "cuModuleGetFunction": "looking up the kernel ft_upload_f32",
    "cuMemAlloc": "needed on the GPU|allocating",
    "cuMemHostAlloc": "bytes of pinned memory",
}


@pytest.mark.parametrize("function", FAILURES)
@pytest.mark.parametrize("code", [1, 2])
def test_each_failure_is_told_and_over(tape, memory, function, code):
    tape.driver.fail(function, code)
    with pytest.raises(TapeError, match=FAILURES[function]) as error:
        record_step(tape, memory)
        tape.zero(memory, 8)
        tape.download(memory, 1000)
    assert error.value.status == (MEMORY if code == 2 else RUNTIME)
    assert "CUDA_ERROR_" in str(error.value) or "are free" in str(error.value)
    tape.synchronize()
    for seed in range(4):
        expected = record_step(tape, memory, seed)
        assert tape.download(memory, 1000) == expected


def test_kernels_are_compiled_when_they_are_submitted(tape, memory, mock_nvrtc):
    tape.upload(memory, b"x")
    tape.sum_later([[1]], [(memory + 4, 1)])
    assert mock_nvrtc.calls("nvrtcCompileProgram") == 0
    tape.submit()
    assert mock_nvrtc.calls("nvrtcCompileProgram") == 2
    record_step(tape, memory)
    tape.submit()
    assert mock_nvrtc.calls("nvrtcCompileProgram") == 2


def test_a_kernel_that_is_not_compiled_is_told_and_tried_again(tape, memory, mock_nvrtc):
    mock_nvrtc.fail("nvrtcCompileProgram", 6)
    tape.upload(memory, b"x")
    with pytest.raises(TapeError, match="NVRTC .* does not compile upload.cu"):
        tape.submit()
    tape.upload(memory, b"x")
    assert tape.download(memory, 1) == b"x"


def test_what_fails_beside_others_is_tried_again_alone(tape, memory, mock_nvrtc):
    """By the thread that is told why."""
    mock_nvrtc.fail("nvrtcCompileProgram", 6)
    tape.upload(memory, b"x")
    tape.sum_later([[1]], [(memory + 4, 1)])
    tape.submit()
    assert mock_nvrtc.calls("nvrtcCompileProgram") == 3


def test_an_image_that_cannot_be_loaded_is_compiled_again(tape, memory, mock_nvrtc):
    """It may be the disk that has it wrong."""
    tape.driver.fail("cuModuleLoadData", 200)
    tape.upload(memory, b"x")
    tape.submit()
    assert mock_nvrtc.calls("nvrtcCompileProgram") == 2
    assert tape.download(memory, 1) == b"x"


def test_a_graph_that_fails_is_told_and_over(tape, memory):
    for seed in range(2):
        record_step(tape, memory, seed)
        tape.submit()
    record_step(tape, memory, 3)
    tape.driver.fail("cuGraphLaunch", 1)
    with pytest.raises(TapeError, match="launching a graph of 20 operations"):
        tape.submit()
    expected = record_step(tape, memory, 4)
    assert tape.download(memory, 1000) == expected


def test_what_a_failed_submit_put_off_is_over(tape, memory):
    """What it would have written to may be no more."""
    gone = tape.allocate(64)
    tape.zero_behind(gone, 1, 2, 8)
    tape.put_off(4, [(gone, 2)])
    tape.library.tape_fail_next_realloc()
    with pytest.raises(TapeError, match="cannot allocate a tape of"):
        tape.submit()
    tape.free(gone)
    tape.upload(memory, b"x")
    assert tape.download(memory, 1) == b"x"
    assert tape.driver.launches("ft_add_partials_f32") == 0
    assert tape.driver.launches("ft_unpad_rows_f32") == 0


def test_waiting_for_a_slot_may_fail(tape, memory):
    for i in range(4):
        tape.upload(memory, pattern(10, i))
        tape.submit()
    tape.driver.fail("cuEventSynchronize", 1)
    with pytest.raises(TapeError, match="waiting for an earlier step"):
        tape.upload(memory, b"x")
    tape.upload(memory, b"yz")
    assert tape.download(memory, 2) == b"yz"


def test_no_memory_for_scratch(tape):
    tape.driver.set_memory(1 << 20)
    with pytest.raises(TapeError, match=r"512\.00 MiB are needed on the GPU, ") as error:
        tape.scratch(512 << 20)
    assert error.value.status == MEMORY
    assert "torch.cuda.empty_cache()" in str(error.value)
    tape.driver.set_memory(1 << 30)
    assert tape.scratch(512 << 20)


@pytest.mark.parametrize("code", [700, 719])
def test_what_ends_the_process_is_said_to(tape, memory, code):
    tape.upload(memory, b"x")
    tape.driver.fail("cuStreamSynchronize", code)
    with pytest.raises(TapeError, match="this process can use the GPU no more: restart it"):
        tape.synchronize()
