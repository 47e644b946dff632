"""A JSON number-array parser compiled by numba: text to rows of float32, one verdict a row: parsed, or odd.

It accepts a strict subset of JSON, so an odd row may still be good: the plain parser decides. What it does accept is
bit for bit what ``numpy.float32(float(text))`` gives, in three steps:

- Eight digits at a time within a 64-bit word (Lemire 2021, "Number parsing at a gigabyte per second", section 6).
- At most 19 digits make an integer ``w`` below 2**64, and ``w * 10**e`` in float64 errs by less than ``_MARGIN`` units
  in its last place. As only float32 is wanted, which keeps 29 bits fewer, both roundings agree unless the value lies
  within the margin of a midpoint between two float32. One random number in 30 million does.
- There Clinger's case (1990, ``w`` at most 2**53 and ``|e|`` at most 22) is exact; the rest makes the row odd.

Subnormal float32 and numbers beyond float32 make the row odd, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

PADDING = 48  # bytes that are read, but not used, beyond the end of a number

_U = np.uint64
_ZEROS = _U(0x3030303030303030)
_ABOVE_NINE = _U(0x7676767676767676)
_HIGH_BITS = _U(0x8080808080808080)
_PAIRS = _U(0x000000FF000000FF)
_HUNDREDS = _U(0x000F424000000064)
_ONES = _U(0x0000271000000001)
_DROPPED = _U((1 << 29) - 1)  # the bits of a float64 that float32 has no room for
_MIDPOINT = _U(1 << 28)
_MARGIN = _U(8)
_EXACT = _U(1 << 53)
_MOST_DIGITS = 19
_POWERS = np.array([float(f"1e{power}") for power in range(64)])
_INTEGERS = np.array([10**power for power in range(20)], dtype=np.uint64)
_SMALLEST, _LARGEST = 1.1754944e-38, 3.4028234e38  # rounded inwards: the edges are odd


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # there is no folder to cache in: a read-only archive
        return njit(**options)(function)  # type: ignore[no-any-return]


@intrinsic  # type: ignore[untyped-decorator]
def _load(_context: Any, data: Any, at: Any) -> Any:
    """Load eight bytes of a uint8 array at any address, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        address = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(64).as_pointer())
        return builder.load(address, align=1)

    return types.uint64(data, at), generate


@intrinsic  # type: ignore[untyped-decorator]
def _bits(_context: Any, value: Any) -> Any:
    """Return the bits of a float64."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.uint64(types.float64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _trailing_zeros(_context: Any, value: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@_compiled
def _eight(digits: Any) -> Any:
    """Return the number that eight digits make: bytes 0 to 9, the first one lowest."""
    pairs = digits * _U(10) + (digits >> _U(8))
    return ((pairs & _PAIRS) * _HUNDREDS + ((pairs >> _U(16)) & _PAIRS) * _ONES) >> _U(32)


@_compiled
def _not_digits(digits: Any) -> Any:
    """Return a word whose lowest set bit marks the first byte above 9, 0 if there is none."""
    return ((digits + _ABOVE_NINE) | digits) & _HIGH_BITS


@_compiled
def _any_number(data: Any, at: int, end: int) -> Any:
    """Read an unsigned JSON number of any shape: (where it ends or -1, integer, power of ten)."""
    whole, kept, power, start = _U(0), 0, 0, at
    seen_point = False
    digits = 0
    while at < end:
        byte = data[at]
        if 48 <= byte <= 57:
            digits += 1
            if kept < _MOST_DIGITS:
                whole = whole * _U(10) + _U(byte - 48)
                kept += 1 if whole != _U(0) else 0
                power -= 1 if seen_point else 0
            else:
                power += 0 if seen_point else 1
        elif byte == 46 and not seen_point and digits > 0:
            if digits > 1 and data[start] == 48:
                return -1, whole, power
            seen_point = True
            start, digits = at, 0
        else:
            break
        at += 1
    if digits == 0 or (not seen_point and digits > 1 and data[start] == 48):
        return -1, whole, power
    return at, whole, power


@_compiled
def _exponent(data: Any, at: int, end: int) -> Any:
    """Read what follows an ``e``: (where it ends or -1, exponent)."""
    negative = data[at] == 45
    if negative or data[at] == 43:
        at += 1
    start, exponent = at, 0
    while at < end and 48 <= data[at] <= 57:
        exponent = min(exponent * 10 + (data[at] - 48), 100_000)
        at += 1
    return (at if at > start else -1), (-exponent if negative else exponent)


@_compiled
def _scaled(whole: Any, power: int) -> Any:
    """Return (whole * 10**power, whether it is far from what float32 has trouble with), for any power."""
    if whole == _U(0):
        return 0.0, True
    if not -len(_POWERS) < power < len(_POWERS):
        return 0.0, False
    value = float(whole) * _POWERS[power] if power > 0 else float(whole) / _POWERS[-power]
    return value, _SMALLEST < value < _LARGEST


@_compiled
def _row(data: Any, at: Any, end: int, vector: Any) -> bool:
    """Parse ``data[at:end]`` into ``vector``; False if it is not an array of as many plain numbers."""
    while at < end and (data[at] == 32 or 9 <= data[at] <= 10 or data[at] == 13):
        at += 1
    if at >= end or data[at] != 91:
        return False
    at += 1
    last = len(vector) - 1
    for column in range(len(vector)):
        while at < end and data[at] <= 32:
            if not (data[at] == 32 or 9 <= data[at] <= 10 or data[at] == 13):
                return False
            at += 1
        if at >= end:
            return False
        negative = data[at] == 45
        at += negative
        start = at
        whole, power, simple = _U(data[at]) - _U(48), 0, False
        if whole <= _U(9) and data[at + 1] == 46:
            at += 2
            simple = True
            word = _load(data, at) ^ _ZEROS
            stop = _not_digits(word)
            if stop == _U(0):
                whole = whole * _U(100_000_000) + _eight(word)
                at += 8
                word = _load(data, at) ^ _ZEROS
                stop = _not_digits(word)
                if stop == _U(0):
                    whole = whole * _U(100_000_000) + _eight(word)
                    at += 8
                    word = _load(data, at) ^ _ZEROS
                    stop = _not_digits(word)
            count = _trailing_zeros(stop) >> _U(3) if stop != _U(0) else _U(8)
            power = start + 2 - at - np.int64(count)
            if power == 0:
                return False
            if power >= -18 or (power > -24 and whole < _INTEGERS[_U(19) - count]):
                shifted = (word << _U(8)) << (_U(56) - (count << _U(3)))
                whole = whole * _INTEGERS[count] + _eight(shifted)
                at += np.int64(count)
            else:
                simple = False
        if simple and data[at] | 32 != 101:
            value = float(whole) / _POWERS[-power]
        else:
            if not simple:
                at, whole, power = _any_number(data, start, end)
                if at < 0:
                    return False
            if data[at] | 32 == 101:
                at, exponent = _exponent(data, at + 1, end)
                if at < 0:
                    return False
                power += exponent
            value, fits = _scaled(whole, power)
            if not fits:
                return False
        unsure = (_bits(value) + _MARGIN - _MIDPOINT) & _DROPPED <= _MARGIN + _MARGIN
        if unsure and (whole > _EXACT or power < -22 or power > 22):
            return False
        narrow = np.float32(value)
        vector[column] = -narrow if negative else narrow
        while at < end and data[at] <= 32:
            if not (data[at] == 32 or 9 <= data[at] <= 10 or data[at] == 13):
                return False
            at += 1
        if at >= end or data[at] != (93 if column == last else 44):
            return False
        at += 1
        at += data[at] == 32
    while at < end and (data[at] == 32 or 9 <= data[at] <= 10 or data[at] == 13):
        at += 1
    return bool(at >= end)


@_compiled
def parse_rows(data: Any, offsets: Any, first: int, stop: int, matrix: Any, odd: Any) -> None:
    """Parse the texts ``first`` to ``stop`` into the same rows of ``matrix``, and mark those that are odd.

    Parameters
    ----------
    data
        uint8, the texts' UTF-8, one after the other.
    offsets
        int64, shape (texts + 1,): where each begins and the next one ends.
    matrix
        float32, shape (texts, dimension); odd rows are left undefined.
    odd
        bool, shape (texts,).
    """
    limit = len(data) - PADDING
    for row in range(first, stop):
        end = offsets[row + 1]
        odd[row] = end > limit or not _row(data, offsets[row], end, matrix[row])
