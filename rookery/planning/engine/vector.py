"""Sixteen numbers at once, for the inner loop of the backward scan.

The scan reads a few short rows that lie far apart, combines them and writes one. Written as ordinary loops it runs
five times slower (the compiler guards every row against overlap and keeps partial sums in memory), so these few
primitives say exactly what is meant: a row is one vector. LLVM splits it into what the processor has (one AVX-512
register, two of AVX2, four of NEON). See docs/decisions/0002-vector-rows.md.
"""

# numba types these functions, not the annotations
# pyright: reportArgumentType=false, reportCallIssue=false, reportAssignmentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model
from numpy.typing import DTypeLike, NDArray

LANES = 16
_I64 = ir.IntType(64)
_BYTE = ir.IntType(8)
_BITS = ir.IntType(LANES)


class Vector(types.Type):
    """Sixteen numbers of one floating type, held in registers."""

    def __init__(self, dtype: types.Type):
        self.dtype = dtype
        super().__init__(name=f"Vector16({dtype})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(_scalar(fe_type.dtype), LANES))


def _scalar(dtype: types.Type) -> ir.Type:
    if isinstance(dtype, types.Integer):
        return ir.IntType(dtype.bitwidth)
    return {32: ir.FloatType(), 64: ir.DoubleType()}[dtype.bitwidth]  # type: ignore[attr-defined]


def rows(count: int, dtype: DTypeLike) -> NDArray:
    """Uninitialised (count, 16) array whose rows begin on cache lines: half the speed of the scan hangs on it."""
    size = max(1, count) * LANES * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + size].view(dtype).reshape(max(1, count), LANES)[:count]


def _row_pointer(context, builder, array_type, array, index, element):
    array = context.make_array(array_type)(context, builder, array)
    stride = cgutils.unpack_tuple(builder, array.strides)[0]
    if index.type.width < 64:
        index = builder.sext(index, _I64)
    start = builder.gep(builder.bitcast(array.data, _BYTE.as_pointer()), [builder.mul(index, stride)])
    return builder.bitcast(start, element.as_pointer())


@intrinsic
def load(typingctx, array, row, like):
    """Row `row` of a (n, 16) array as a vector of the dtype of `like`; integers are converted."""
    vector = Vector(like.dtype)

    def codegen(context, builder, signature, args):
        stored = ir.VectorType(_scalar(array.dtype), LANES)
        pointer = _row_pointer(context, builder, array, args[0], args[1], stored)
        value = builder.load(pointer, align=array.dtype.bitwidth // 8)
        if isinstance(array.dtype, types.Integer):
            value = builder.uitofp(value, ir.VectorType(_scalar(like.dtype), LANES))
        return value

    return vector(array, row, like), codegen


@intrinsic
def store(typingctx, array, row, vector):
    """Write a vector as row `row` of a (n, 16) array; into an array of integers it is cut to whole numbers."""

    def codegen(context, builder, signature, args):
        element = ir.VectorType(_scalar(array.dtype), LANES)
        value = args[2]
        if isinstance(array.dtype, types.Integer):
            value = builder.fptoui(value, element)
        pointer = _row_pointer(context, builder, array, args[0], args[1], element)
        builder.store(value, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, row, vector), codegen


@intrinsic
def splat(typingctx, value, like):
    """A vector holding `value` sixteen times, of the dtype of array `like`."""
    vector = Vector(like.dtype)

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(_scalar(like.dtype), LANES)
        number = context.cast(builder, args[0], value, like.dtype)
        undefined = ir.Constant(kind, ir.Undefined)
        one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

    return vector(value, like), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c, lane by lane, rounded once."""

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(_scalar(a.dtype), LANES)
        name = f"llvm.fma.v{LANES}f{a.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
        return builder.call(function, args)

    return a(a, b, c), codegen


@intrinsic
def add(typingctx, a, b):
    """a + b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fadd(*args)

    return a(a, b), codegen


@intrinsic
def times(typingctx, a, b):
    """a * b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fmul(*args)

    return a(a, b), codegen


@intrinsic
def minus(typingctx, a, b):
    """a - b, lane by lane."""

    def codegen(context, builder, signature, args):
        return builder.fsub(*args)

    return a(a, b), codegen


@intrinsic
def only(typingctx, a, bits):
    """a in the lanes whose bit is set, 0 in the others; lane 0 is the lowest of sixteen bits."""

    def codegen(context, builder, signature, args):
        lanes = builder.bitcast(args[1], ir.VectorType(ir.IntType(1), LANES))
        return builder.select(lanes, args[0], ir.Constant(args[0].type, [0.0] * LANES))

    return a(a, types.uint16), codegen


@intrinsic
def total(typingctx, a):
    """The sum of the sixteen lanes, in an order that the processor likes."""

    def codegen(context, builder, signature, args):
        kind = _scalar(a.dtype)
        signature = ir.FunctionType(kind, [kind, ir.VectorType(kind, LANES)])
        name = f"llvm.vector.reduce.fadd.v{LANES}f{a.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, signature, name)
        return builder.call(function, [ir.Constant(kind, 0.0), args[0]], fastmath=("reassoc",))

    return a.dtype(a), codegen


@intrinsic
def less_select(typingctx, a, b, if_less, otherwise):
    """`if_less` in the lanes where a < b, `otherwise` in the others (also where either is not a number)."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return if_less(a, b, if_less, otherwise), codegen


@intrinsic
def any_at_most(typingctx, a, b):
    """Whether, in at least one lane, a is finite and a <= b."""

    def codegen(context, builder, signature, args):
        infinite = ir.Constant(args[0].type, [float("inf")] * LANES)
        finite = builder.fcmp_ordered("<", args[0], infinite)
        lanes = builder.and_(builder.fcmp_ordered("<=", *args), finite)
        return builder.icmp_unsigned("!=", builder.bitcast(lanes, _BITS), ir.Constant(_BITS, 0))

    return types.boolean(a, b), codegen


@intrinsic
def bits_less(typingctx, a, b):
    """Sixteen bits, lane 0 the lowest: set in the lanes where a < b."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(builder.fcmp_ordered("<", *args), _BITS)

    return types.uint16(a, b), codegen


@intrinsic
def bits_at_most(typingctx, a, b):
    """Sixteen bits, lane 0 the lowest: set in the lanes where a <= b."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(builder.fcmp_ordered("<=", *args), _BITS)

    return types.uint16(a, b), codegen


@intrinsic
def prefetch(typingctx, array, row):
    """Ask for a row that will be read soon; changes nothing but the waiting."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer()] + [ir.IntType(32)] * 3)
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        begin = _row_pointer(context, builder, array, args[0], args[1], _BYTE)
        read, keep, data = (ir.Constant(ir.IntType(32), flag) for flag in (0, 3, 1))
        for line in range(LANES * array.dtype.bitwidth // 512 or 1):
            builder.call(function, [builder.gep(begin, [ir.Constant(_I64, 64 * line)]), read, keep, data])
        return context.get_dummy_value()

    return types.void(array, row), codegen
