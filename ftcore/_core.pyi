"""The C core. Private: the names that users see are in ``ftcore``."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self, TypedDict, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats = NDArray[np.float32]
_Operand = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16]
_Dropout = tuple[float, int, int, int, int] | None

@final
class Backend:
    """A backend's operations, one method each: what csrc/backend/backend.h describes, on NumPy
    arrays. For tests and for reading along; the train step does not come through here.

    Matrices are C-contiguous (q, k and v of attention may be columns of a wider matrix). Those
    annotated _Operand hold float32, float16, or bfloat16 as uint16 (a float32's upper half: NumPy
    has no bfloat16), all those of a call and of its results the same. _Floats are float32 in any
    case. Where a backend's memory is a GPU's, operands are copied there, and results back.

    Nothing is converted. ValueError: a wrong shape or value, or a precision that the backend does
    not take; TypeError: a wrong type; IndexError: an id or label out of range. Dropout is
    (p, seed, step, micro_step, site) or None. With accumulate=True the gradients of parameters are
    added to copies of `into`. stream is what was not yet rounded, or None unless asked for."""

    name: str
    """"cpu" or "reference" """
    def __new__(cls, name: str, threads: int = 0) -> Self:
        """name: "auto", "cpu" or "reference". threads: 0 for as many as OpenMP chooses."""
    def supports(self, precision: str) -> bool:
        """Whether operands of "float32", "bfloat16" or "float16" are taken, on this device."""
    def embedding_forward(
        self,
        input_ids: NDArray[np.int32],
        position_ids: NDArray[np.int32],
        token_type_ids: NDArray[np.int32],
        word: _Floats,
        position: _Floats,
        type: _Floats | None,
        gamma: _Floats,
        beta: _Floats,
        eps: float,
        rows: int = -1,
        dropout: _Dropout = None,
        precision: str = "float32",
        stream: bool = False,
    ) -> tuple[_Operand, _Floats, _Floats, _Floats, _Floats | None]:
        """ids [tokens], tables [any, hidden] -> (out, sum [rows, hidden], mean, rstd [rows],
        stream [rows, hidden]); rows -1: as many as tokens. precision: out's."""
    def embedding_backward(
        self,
        dout: _Floats,
        input_ids: NDArray[np.int32],
        position_ids: NDArray[np.int32],
        token_type_ids: NDArray[np.int32],
        sum: _Floats,
        mean: _Floats,
        rstd: _Floats,
        gamma: _Floats,
        into: tuple[_Floats, _Floats, _Floats | None, _Floats, _Floats],
        padding_id: int = -1,
        accumulate: bool = False,
        dropout: _Dropout = None,
    ) -> tuple[_Floats, NDArray[np.uint8], _Floats, _Floats, _Floats | None, _Floats, _Floats]:
        """-> (dsum [rows, hidden], word_rows [vocab], dword, dposition, dtype, dgamma, dbeta).
        into: (dword, dposition, dtype, dgamma, dbeta); the tables are added to in any case."""
    def linear_forward(
        self,
        x: _Operand,
        weight: _Operand,
        bias: _Floats,
        activation: str = "none",
        keep: bool = True,
        tf32: bool = False,
    ) -> tuple[_Operand, _Operand | None]:
        """x [rows, in], weight [out, in], bias [out]; activation "none", "gelu", "tanh" or "relu"
        -> (y [rows, out], the pre-activation [rows, out] or None). tf32: the product may round
        float32 operands to TensorFloat-32."""
    def linear_backward(
        self,
        dy: _Operand,
        x: _Operand,
        weight: _Operand,
        activation: str = "none",
        kept: _Operand | None = None,
        want_dx: bool = True,
        add_to_dx: _Floats | None = None,
        accumulate: bool = False,
        into: tuple[_Floats, _Floats] | None = None,
        float32_dx: bool = False,
        tf32: bool = False,
    ) -> tuple[_Operand, _Operand | None, _Floats, _Floats]:
        """kept: GELU's pre-activation, tanh's or ReLU's y
        -> (the pre-activation's gradient, dx or None, dweight, dbias). into: (dweight, dbias).
        dx is float32 with float32_dx, or where it is added to."""
    def attention_forward(
        self,
        q: _Operand,
        k: _Operand,
        v: _Operand,
        cu_seqlens: NDArray[np.int32],
        heads: int,
        key_starts: NDArray[np.int32] | None = None,
        first_only: bool = False,
        dropout: _Dropout = None,
    ) -> tuple[_Operand, _Floats]:
        """q [query rows, heads * head_dim], k and v [rows, heads * head_dim]; query rows are
        sequences with first_only, rows otherwise -> (out like q, lse [heads, query rows], or flat
        what else the backend keeps for backward)."""
    def attention_backward(
        self,
        dout: _Operand,
        q: _Operand,
        k: _Operand,
        v: _Operand,
        lse: _Floats,
        cu_seqlens: NDArray[np.int32],
        heads: int,
        key_starts: NDArray[np.int32] | None = None,
        first_only: bool = False,
        dropout: _Dropout = None,
        out: _Operand | None = None,
    ) -> tuple[_Operand, _Operand, _Operand]:
        """-> (dq, dk, dv), their rows as far apart as those of q, k and v. `out`: forward's; only
        backends on a GPU need it."""
    def residual_norm_forward(
        self,
        x: _Operand,
        residual: _Floats,
        gamma: _Floats,
        beta: _Floats,
        eps: float,
        tokens: int = -1,
        dropout: _Dropout = None,
        stream: bool = False,
    ) -> tuple[_Operand, _Operand, _Floats, _Floats, _Floats | None]:
        """x, residual [rows, hidden] -> (y, sum [rows, hidden], mean, rstd [rows], stream
        [rows, hidden]); tokens -1: all rows."""
    def residual_norm_backward(
        self,
        dy: _Floats,
        sum: _Operand,
        mean: _Floats,
        rstd: _Floats,
        gamma: _Floats,
        tokens: int = -1,
        dropout: _Dropout = None,
        in_place: bool = False,
        accumulate: bool = False,
        into: tuple[_Floats, _Floats] | None = None,
    ) -> tuple[_Floats, _Operand, _Floats, _Floats]:
        """-> (dresidual, dx [rows, hidden], dgamma, dbeta [hidden]). in_place: dresidual is
        computed in dy's memory. into: (dgamma, dbeta)."""
    def first_rows_gather(self, x: _Operand, cu_seqlens: NDArray[np.int32]) -> _Operand: ...
    def first_rows_scatter(
        self, dfirst: _Floats, dx: _Floats, cu_seqlens: NDArray[np.int32]
    ) -> None:
        """dx [rows, hidden] is added to."""
    def dropout(self, x: _Floats, dropout: _Dropout) -> None:
        """x [count], in place."""
    def loss(
        self, logits: _Floats, labels: NDArray[np.int64] | _Floats, problem: str
    ) -> tuple[float, _Floats]:
        """logits [sequences, labels]; problem as in Hugging Face's config.problem_type
        -> (mean loss, dlogits)."""
    def scale_add(self, x: _Floats, scale: float, y: _Floats | None = None) -> None:
        """x [count] = scale * x + y, in place."""
    def scale_by(self, x: _Floats, scale: _Floats, y: _Floats | None = None) -> None:
        """x = scale[0] * x (+ y), in place."""
    def padded_lengths(
        self,
        input_ids: NDArray[Any],
        attention_mask: NDArray[Any] | None = None,
        token_type_ids: NDArray[Any] | None = None,
        position_ids: NDArray[Any] | None = None,
        labels: NDArray[Any] | None = None,
        class_labels: bool = True,
        limits: tuple[int, int, int, int] = ...,
    ) -> NDArray[np.int32]:
        """How many tokens each row keeps, negated where its first is masked; 0 where something is
        wrong with it. All [rows, length], labels [rows, width], of any strides; limits: how many
        words, positions, types and classes there are."""
    def pack(
        self,
        input_ids: NDArray[Any],
        attention_mask: NDArray[Any] | None = None,
        token_type_ids: NDArray[Any] | None = None,
        position_ids: NDArray[Any] | None = None,
        labels: NDArray[Any] | None = None,
        class_labels: bool = True,
        limits: tuple[int, int, int, int] = ...,
        cu_seqlens: NDArray[np.int32] = ...,
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[Any] | None]:
        """(input ids, token type ids, position ids [tokens]; labels) of rows packed so."""
    def sum_of_squares(self, x: _Floats, flags: NDArray[np.uint8] | None = None) -> float:
        """x [count], or [rows, width] of which only the rows with flags [rows] count."""
    def clip(
        self, squares: NDArray[np.float64], max_norm: float, loss_scale: float = 1.0
    ) -> tuple[float, float]:
        """-> (norm, what to scale gradients by)."""
    def adamw(
        self,
        parameter: _Floats,
        gradient: _Floats,
        moment1: _Floats,
        moment2: _Floats,
        lr: float,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        step: int,
        scale: float = 1.0,
        flags: NDArray[np.uint8] | None = None,
        shadow: NDArray[np.uint16] | None = None,
    ) -> None:
        """One step in place, step counting from 1, of [count] or of [rows, width] whose rows
        without a flag are only decayed. The gradient is multiplied by scale. shadow, like
        parameter: its copy in bfloat16, kept up to date."""
    def cast(self, x: _Floats, precision: str) -> _Operand:
        """x [count], rounded to nearest, ties to even."""
    def zero_rows(self, x: _Floats, flags: NDArray[np.uint8] | None = None) -> None:
        """x [count], or the flagged rows of x [rows, width], in place."""
    def add_flags(self, flags: NDArray[np.uint8], into: NDArray[np.uint8]) -> None:
        """Sets those of `into` [count] that are set in `flags`."""

class Batch:
    """A packed batch: sequences end to end, no padding; from `Columns.pack` and `pack_padded`."""

    sequences: int
    tokens: int
    max_length: int
    input_ids: NDArray[np.int32]
    """[tokens]"""
    token_type_ids: NDArray[np.int32]
    """[tokens]"""
    position_ids: NDArray[np.int32]
    """[tokens]"""
    cu_seqlens: NDArray[np.int32]
    """[sequences + 1]"""
    key_starts: NDArray[np.int32] | None
    """[sequences]: the first token of each that attention looks at; None: cu_seqlens[:-1]"""
    labels: NDArray[np.int64] | NDArray[np.float32] | None
    """[sequences] int64 class labels, or [sequences, width] float32"""

class Columns:
    """Ragged columns of a data set as flat arrays: from Arrow, or from a sequence of dicts."""

    @staticmethod
    def from_arrow(
        stream: object, indices: NDArray[np.uint64] | NDArray[np.int64] | None = None
    ) -> Columns:
        """Reads an object with `__arrow_c_stream__`, or the capsule that it returns; the rows that
        `indices` name, in that order, or all.

        Read are input_ids, token_type_ids, position_ids and attention_mask (lists of integers) and
        label, labels or label_ids (integers, floats or lists of floats); other columns are
        ignored. ValueError: nulls, empty rows, unequal lengths, values beyond 32 bits. TypeError: a
        column of another type. IndexError: an index out of range."""
    @staticmethod
    def from_rows(
        rows: Sequence[Mapping[str, Any]], names: Collection[str] | None = None
    ) -> Columns:
        """Reads a sequence of mappings, whose first says which of those columns there are (of those
        in `names`, where given); values are lists, tuples, arrays or torch tensors. KeyError: a row
        without one of them."""
    def __len__(self) -> int: ...
    def lengths(self) -> NDArray[np.int32]:
        """[rows]: how many tokens of each row are kept (masked ones are not)."""
    def pack(self, indices: Sequence[int] | NDArray[np.int64]) -> Batch:
        """The rows that `indices` name, as they would be in a batch padded on the right."""

def pack_padded(
    input_ids: object,
    attention_mask: object | None = None,
    token_type_ids: object | None = None,
    position_ids: object | None = None,
    labels: object | None = None,
) -> Batch:
    """Packs a padded batch: [batch, length] integers (position_ids may be [1, length]), labels
    [batch] integers or [batch] or [batch, width] floats.

    Tokens whose mask is 0 are dropped, but for the first of a row; without position_ids a token's
    position is its column. ValueError: a wrong shape, a row whose mask is all 0, a value beyond 32
    bits. TypeError: values that are no integers."""

def pad_columns(
    features: list[Mapping[str, Any]] | dict[str, list[Any]],
    main: str,
    pad: int,
    type_pad: int,
    width: int,
    multiple: int,
    left: bool,
    mask: bool,
    tensor: type | None,
    /,
) -> tuple[dict[str, Any], bool]:
    """Collates a batch. The columns `main`, token_type_ids, attention_mask and special_tokens_mask
    become int64 [rows, width], padded with pad, type_pad, 0 and 1; others int64 [rows] where they
    hold one integer a row, and a list otherwise. width: a number, -1 for the longest row's, -2 for
    no padding. mask: whether to add attention_mask where there is none. tensor: the type of tensors
    to make, where it offers C functions for DLPack; arrays otherwise, or where it is None. Returns
    the columns, and whether all are of the type asked for."""

def shuffled_order(count: int, seed: int) -> NDArray[np.int64]:
    """The order in which Hugging Face's Trainer visits `count` rows in an epoch; seed is its data
    seed plus the number of the epoch."""

class GpuArray:
    """An array of another library's in a GPU's memory."""

    shape: tuple[int, ...]
    """Of up to two extents."""
    dtype: np.dtype[Any]
    """int64, int32, uint8, bool, float32 or float64."""
    stream: int | None
    """The handle of the stream on which its library works; None: that is not known."""
    read_only: bool

def gpu_array(
    object: Any, gpu: int, stream: int | None = None, alone: bool = False
) -> GpuArray | None:
    """Another library's array in a GPU's memory, seen by __cuda_array_interface__ or __dlpack__;
    None where it is nothing of the kind, on another GPU, of more dimensions or of other numbers.

    stream: the one on which its library works, with which the caller keeps the order (`follow`,
    `lead`). Without one, work that the library enqueued before comes before further work of the
    legacy default stream, or the array's `stream` is known. alone: there is one GPU, and arrays
    need not say on which they are."""

class Model:
    """The fused train step of one classifier: parameters, gradients and moments in flat arenas."""

    backend: str
    """"cpu", "cuda" or "reference" """
    device: str
    """Whose memory parameters, gradients and moments are in: "cpu", or a GPU's, "cuda:0"."""
    has_gradients: bool
    """Whether `backward` ran since the gradients were zeroed."""
    precision: str
    """"float32", "bfloat16" or "float16": of what the layers' products and activations are.
    Parameters, gradients, moments, the residual stream, the head and the loss are float32 in any.
    May be set, which drops what a forward kept; ValueError where the device does not do it."""
    tf32: bool
    """Whether products of linear layers may round float32 operands to TensorFloat-32, which has 10
    bits behind the point; attention's do not. May be set; ValueError where the device has no such
    products."""
    threads: int
    """On how many threads the passes run; may be set, from 1 to 1024."""
    def __init__(
        self,
        config: Mapping[str, Any],
        backend: str = "auto",
        threads: int = 0,
        profile: bool = False,
    ) -> None:
        """config: model_type ("bert" or "distilbert"), vocab_size, hidden_size, num_hidden_layers,
        num_attention_heads, intermediate_size, max_position_embeddings, type_vocab_size (bert
        alone), pad_token_id (-1: none), num_labels, layer_norm_eps, hidden_dropout_prob,
        attention_probs_dropout_prob, classifier_dropout. Parameters are zero."""
    def parameters(self) -> list[tuple[str, tuple[int, ...], bool]]:
        """(Hugging Face name, shape, whether weight decay applies by default) of each parameter."""
    def parameter(self, index: int) -> NDArray[np.float32]:
        """A writable view of the parameter; where memory is a GPU's, a copy that cannot be written.
        While a view lives, a model in 16 bits rounds its weights anew for each forward."""
    def gradient(self, index: int) -> NDArray[np.float32]:
        """A view or a copy of its gradient, likewise."""
    def moments(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Views or copies of AdamW's first and second moment, likewise."""
    def set_parameter(self, index: int, values: ArrayLike, /) -> None:
        """Copies numbers into the parameter. ValueError: they have another shape."""
    def set_gradient(self, index: int, values: ArrayLike, /) -> None:
        """Copies numbers into its gradient, which the next backward adds to if it is not the first
        since gradients were zeroed."""
    def set_moments(self, index: int, first: ArrayLike, second: ArrayLike, /) -> None:
        """Copies numbers into AdamW's moments."""
    def zero_moments(self, index: int) -> None: ...
    def reload_moments(self) -> None:
        """To be called after moments were written through their views."""
    def copy_state(self, other: Model) -> None:
        """Takes over parameters, gradients, moments, precision and problem_type of a model of the
        same configuration, on whatever backend; what `take_results` would have given of that one is
        this one's. ValueError: it is of another configuration, or the device does not do its
        precision; FloatingPointError: as `take_results`. Where this fails the model is left half
        copied."""
    def dlpack_device(self) -> tuple[int, int]:
        """What __dlpack_device__ returns of the memory that parameters are in."""
    def parameter_dlpack(
        self,
        index: int,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
    ) -> Any:
        """A capsule as __dlpack__ returns it, which shares the parameter's memory. While what is
        made of it lives, a model in 16 bits rounds its weights anew for each forward."""
    def parameter_address(self, index: int) -> tuple[int, object]:
        """(where the parameter lies, what keeps it there while it lives). What was asked for comes
        before further work of the GPU's legacy default stream."""
    problem_type: str
    """"single_label_classification", "regression" or "multi_label_classification"; may be set."""
    def forward(
        self,
        batch: Batch,
        training: bool = False,
        seed: int = 0,
        step: int = 0,
        micro_step: int = 0,
        keep: bool = False,
    ) -> tuple[float | None, NDArray[np.float32]]:
        """(mean loss or None where the batch has no labels, logits [sequences, num_labels]).

        With training=True dropout applies. With training=True or keep=True activations are kept
        for one `backward`: keep alone is a model in evaluation mode whose gradient is wanted, as
        Hugging Face gives it (from_pretrained leaves the model in that mode). seed, step and
        micro_step determine dropout's masks. IndexError: an id, position or label out of range;
        ValueError: a sequence longer than the model's positions, labels of the wrong kind."""
    def evaluate(
        self, batch: Batch, loss_rows: int
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
        """(mean losses or None where the batch has no labels, logits [sequences, num_labels]) of a
        forward without dropout, of which nothing is kept.

        Each loss is that of the next loss_rows sequences (the last may be of fewer), so that
        several batches can go through the model as one. Errors: those of `forward`."""
    def forward_padded(
        self,
        input_ids: GpuArray,
        attention_mask: GpuArray | None,
        token_type_ids: GpuArray | None,
        position_ids: GpuArray | None,
        labels: GpuArray | None,
        loss: GpuArray | None = None,
        logits: GpuArray | None = None,
        training: bool = False,
        seed: int = 0,
        step: int = 0,
        keep: bool = False,
    ) -> tuple[()] | tuple[float | None, NDArray[np.float32]] | None:
        """As `forward`, of a padded batch in the model's GPU's memory, where it is packed too.
        None, and nothing was done, where something is wrong with it or not taken here:
        `pack_padded` and `forward` tell what.

        Writes to logits and, where there are labels, loss: float32 [sequences, num_labels] and one
        number; without them the results are returned. Waits once, for the lengths of the rows."""
    def backward_from(self, loss_scale: GpuArray | None, dlogits: GpuArray | None, /) -> None:
        """As `backward`, of float32 arrays in the model's GPU's memory; None: 0."""
    def follow(self, stream: int, /) -> None:
        """What is done from now on comes after the work that the stream of that handle has."""
    def lead(self, stream: int | None, /) -> None:
        """The stream's further work comes after what was done. None: waits for that."""
    def download(self, array: GpuArray, /) -> NDArray[Any]:
        """A copy of what another library's array holds; waits."""
    def backward(self, loss_scale: float = 1.0, dlogits: NDArray[np.float32] | None = None) -> None:
        """Adds d(loss_scale * loss + sum(dlogits * logits)) to the gradients."""
    def zero_gradients(self) -> None:
        """There is no gradient any more; the next backward overwrites what was there."""
    def clear_gradients(self) -> None:
        """Where there are gradients they become 0."""
    def gradient_norm(self) -> float: ...
    def scale_gradients(self, factor: float) -> None: ...
    def update(
        self,
        groups: Sequence[tuple[float, float, float, float, float]],
        group_of: NDArray[np.int32],
        step: int,
        max_grad_norm: float = 0.0,
    ) -> float:
        """One AdamW step, with clipping where max_grad_norm > 0; returns the global gradient norm
        before clipping (nan where it was not needed: max_grad_norm == 0).

        groups: (lr, beta1, beta2, eps, weight_decay); group_of [parameters]: each parameter's
        group, or -1 to leave it alone. step counts from 1."""
    def train_step(
        self,
        batches: Sequence[Batch],
        loss_scale: float,
        seed: int,
        groups: Sequence[tuple[float, float, float, float, float]],
        group_of: NDArray[np.int32],
        step: int,
        max_grad_norm: float = 1.0,
        gradient_scale: float = 0.0,
        wait: bool = True,
    ) -> tuple[float, float] | None:
        """Zero, forward and backward of each batch (gradients accumulate, each batch's loss times
        loss_scale), clip, AdamW. Returns (sum of loss_scale * loss, gradient norm), or None where
        it does not wait: take_results has them. Raises FloatingPointError, with parameters and
        moments untouched, when a loss or the norm is nan or infinite; where memory is a GPU's and
        it does not wait, take_results does, and until then no further step changes anything.

        gradient_scale: what backward multiplies gradients by, for float16's sake; the update and
        the norm are of the true ones. A norm that is not finite then is no error: the step changes
        nothing; its results must be taken before the next step. 0: they are not scaled."""
    def take_results(self) -> tuple[float, int, float]:
        """(sum of the losses, number, last gradient norm) of the steps that were not waited for,
        and of which nobody has taken the results; waits for them."""
    def profile(self) -> list[tuple[str, tuple[int, ...], int, float]]:
        """(operation, shape, calls, seconds) of each operation that the backend has done since the
        model was made; products apart by shape (rows, in, out), the others' is (). RuntimeError:
        the model was made without profile=True."""

def learning_rate(
    schedule: str, base: float, step: int, warmup_steps: int, total_steps: int
) -> float:
    """schedule: "constant", "constant_with_warmup", "linear" or "cosine"; step counts from 0."""

def available_memory(root: str = "") -> int | None:
    """The bytes that this process may still take before the memory of the machine, or of the
    control groups that it is in, runs out; None where the system does not say. root: the folder
    that holds proc and sys."""

def wait_briefly() -> None:
    """Has OpenMP's threads sleep soon where they wait, from the next step on."""

def cpu_info() -> dict[str, Any]:
    """What the CPU backend computes with: "threads", "kernels" (that are used), "available" (those
    that this processor runs, best first), "bfloat16" (whether it is worth while), "onednn" (its
    version) and "onednn_path" (its file, or None). RuntimeError: this build has no oneDNN.
    ValueError: OMP_NUM_THREADS or FTCORE_CPU_KERNELS asks for what there is not."""

def measure_products(
    products: Sequence[tuple[int, int, int]],
    precision: str = "float32",
    threads: int = 0,
    passes: int = 1,
) -> list[float]:
    """Seconds of each pass over the products of a step, which run through oneDNN with nothing
    between them: forward, y [rows, out] = x [rows, in] weight^T, for each (rows, in, out) in turn;
    then back again, for each the gradients of x and of the weight (which is float32 where precision
    is "bfloat16"). RuntimeError: this build has no oneDNN. ValueError: this processor does not
    multiply in bfloat16. MemoryError: the operands do not fit in memory."""

def measure_stream(elements: int, threads: int = 0, passes: int = 1) -> list[float]:
    """Seconds of each pass that reads four arrays of `elements` floats and writes three of them, as
    AdamW does. RuntimeError: this build has no oneDNN. MemoryError: they do not fit in memory."""

@final
class Vocabulary:
    """Tokens and their ids. It never changes, and holds no Python object for each token."""

    def __new__(cls, ids: dict[str, int]) -> Self:
        """TypeError: a token is no str; ValueError: an id is not from 0 to 2**31 - 1."""
    @classmethod
    def from_vocab_txt(cls, data: bytes) -> Self:
        """From the bytes of a file of one token a line, the first having id 0. White space at the
        ends of lines is left out; of equal lines the last counts. ValueError: not UTF-8."""
    @classmethod
    def from_lines(cls, text: str) -> Self:
        """From what to_lines returns; nothing is left out."""
    @classmethod
    def from_tokenizer_json(cls, data: bytes) -> tuple[Self, int, int] | None:
        """From the object at model.vocab in a tokenizer.json: the vocabulary, and start and stop of
        that object within data. What is outside of it is not checked. None: there is no such
        object, or data is malformed before it. ValueError: it is malformed itself."""
    def __len__(self) -> int: ...
    def __contains__(self, token: str) -> bool: ...
    def __getitem__(self, token: str) -> int: ...
    def get(self, token: str) -> int | None:
        """The id of a token."""
    def token(self, id: int) -> str | None:
        """The token of an id; where several have it, the last that was given."""
    def to_dict(self) -> dict[str, int]:
        """The id of each token."""
    def to_lines(self) -> str | None:
        """The tokens in order of their ids, each followed by a line feed; None where that does not
        say it all, because ids are missing or a token holds a line feed."""

@final
class Tokenizer:
    """A BERT tokenizer, made of explicit contents."""

    def __init__(
        self,
        vocab: Vocabulary,
        unk_id: int,
        prefix: str,
        max_word_chars: int,
        clean_text: bool,
        space_cjk: bool,
        strip_accents: bool,
        lowercase: bool,
        added_tokens: tuple[tuple[str, int, bool, bool, bool, bool, bool], ...],
        single: tuple[tuple[int, int], ...],
        pair: tuple[tuple[int, int], ...],
    ) -> None:
        """added_tokens: (content, id, single_word, lstrip, rstrip, normalized, special) of each.
        single and pair: the pieces of a row, each (id, token type), with -1 and -2 for the
        texts."""
    def encode(self, options: EncodeOptions, texts: Any, pairs: Any, is_batch: bool, /) -> Encoding:
        """texts: one text, or a list or tuple of them where is_batch; a text is a str, or a list of
        words where the options say so. pairs: the same for second texts, or None; then a row of a
        batch may be a pair of texts itself."""
    def normalize(self, text: str) -> str: ...

@final
class EncodeOptions:
    """How texts are encoded and what of them is returned, understood once for many calls."""

    def __init__(
        self,
        columns: tuple[tuple[str, int], ...],
        *,
        add_special_tokens: bool = True,
        truncation: int = 0,
        max_length: int = 0,
        stride: int = 0,
        truncate_left: bool = False,
        overflow: bool = False,
        split_special_tokens: bool = False,
        split_words: bool = False,
        padding: int = 0,
        pad_length: int = 0,
        pad_multiple: int = 1,
        pad_left: bool = False,
        pad_id: int = 0,
        pad_type: int = 0,
        arrays: bool = False,
        trace: bool = False,
        threads: int = 0,
    ) -> None:
        """columns: what Encoding.columns() returns, (name, number of the column) of each.
        truncation: 0 none, 1 longest first, 2 only first, 3 only second. padding: 0 none, 1 to the
        longest row, 2 to pad_length. threads: 0 chooses."""

@final
class Encoding:
    """Encoded rows, held as flat arrays."""

    ids: NDArray[np.int32]
    """[tokens]: the rows' ids, end to end"""
    types: NDArray[np.int8]
    """[tokens]: the token types"""
    offsets: NDArray[np.int64]
    """[rows + 1]: row r is ids[offsets[r]:offsets[r + 1]]"""
    samples: NDArray[np.int64]
    """[rows]: which texts a row is of"""
    paired: list[bool]
    """for each row whether it has a second text"""
    spaced: dict[int, str]
    """of traced(): added tokens as they stand in the text, where that may not be their name, by
    their place in ids"""
    padded: int
    """the length that shorter rows are padded to, or 0"""
    width: int
    """tokens of the longest row, padding included"""
    def __len__(self) -> int: ...
    def columns(self, single: bool, /) -> dict[str, Any]:
        """The columns that the options name, padded as they say: lists of rows, or the first row
        where single; or int64 arrays [rows, width] where the options ask for them and rows are
        even."""
    def column(self, number: int, /) -> list[list[Any]]:
        """0: ids, 1: types, 2: attention mask, 3: special tokens mask, 4: sequences; of what
        traced() returns also 5: words, 6: offsets. Padded."""
    def traced(self) -> Encoding:
        """The same rows with the word and the offsets of each token."""

class _CudaLibrary(TypedDict):
    path: str | None
    """the file that it came from, or None: not found"""
    version: str | None
    """of the driver: the newest CUDA that it runs, "13.0"; of NVRTC "13.0"; of cuDNN "9.18.1"; of
    cuBLASLt "13.0.1" """
    error: str | None
    """why it cannot be used, and what to do; None: it can"""

class _CudaDevice(TypedDict):
    index: int
    name: str
    capability: tuple[int, int]
    """compute capability: (8, 0)"""
    memory: int
    """bytes in all"""
    usable: bool
    """whether the GPU and its driver will do; other libraries: see cuda_libraries"""
    reason: str | None
    """why not, and what to do"""

def set_library_folders(folders: Sequence[str], /) -> None:
    """Where NVIDIA's libraries are looked for after those that the process has loaded, and before
    the system's. Replaces what was set before; does not matter for what was found already."""

def cuda_libraries() -> dict[str, _CudaLibrary]:
    """ "driver", "nvrtc", "cudnn" and "cublaslt", loaded where they can be found. What was not
    found is looked for again at the next call."""

def cuda_devices() -> list[_CudaDevice]:
    """The NVIDIA GPUs that the driver shows; none where there is no driver: cuda_libraries says
    why."""

def compile_kernels(capability: int, /) -> dict[tuple[str, str], bytes]:
    """Compiles every kernel for GPUs of a compute capability, 80 for 8.0, which need not be there:
    by (source, precision) what the driver loads. RuntimeError: there is no NVRTC, or it does not
    compile them."""

def cuda_free_memory(index: int, /) -> int:
    """The bytes of a GPU's memory that no process has taken. RuntimeError, ValueError: there is no
    such GPU, or it will not do."""
