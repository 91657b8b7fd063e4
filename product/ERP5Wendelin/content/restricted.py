"""What scripts may do: the modules, types and statements that restricted code of this process gets besides Zope's own.

Scripts of a site are compiled by RestrictedPython and guarded by AccessControl: each attribute, item and import asks.
`install` adds to AccessControl's tables, once a process:

* modules, each by a list of names. What is not in the list does not exist for a script. Left out is what reads or
  writes files, tells or takes addresses in memory, changes how the whole process works, or calls methods of whatever
  it is given (`numpy.load`, `numpy.ctypeslib`, `numpy.seterrcall`, `json.dump`); and what shows memory that nobody has
  written to (`numpy.empty`).
* types, by a list of attributes: arrays, their scalars and dtypes, regular expressions, dates. Subclasses, such as
  `numpy.memmap`, have none. Arrays of objects have none either: their elements are addresses.
* guards of statements. An array's items and slices can be assigned, and arrays changed in place. Of the functions that
  Zope gives to scripts, `setattr` would set any name on an instance of a script's own class, among them
  `__array_interface__`, which numpy takes for an address in memory; so names that begin with an underscore are refused.
  A script's class may not inherit from one whose attributes are listed, for it would have them all. What is printed
  is bounded.

* objects whose attributes are what a script has put into them, requests among them: `__array_interface__` would be one.

A script can hand any object to numpy, which then calls methods of it that have names of functions (`sqrt`, `put`).

How long a script runs, and how much memory it fills with values of its own, is not bounded: who may write scripts is.
Nor is one thing that NumPy does kept from them: where it copies records column by column, what lies between the columns
is what memory had there before. Elements that the lake stores or sends have zeros there (`storage.array_shape`).
"""

from __future__ import annotations

import operator
import re
from datetime import date, datetime, time, timedelta, timezone
from importlib import import_module
from types import GeneratorType, ModuleType
from typing import Any

import msgpack
import numpy
from AccessControl import ZopeGuards
from AccessControl.SecurityInfo import ModuleSecurityInfo, secureModule
from AccessControl.SimpleObjectPolicies import ContainerAssertions, allow_type
from AccessControl.unauthorized import Unauthorized
from DocumentTemplate._DocumentTemplate import DictInstance
from RestrictedPython.Guards import full_write_guard, guarded_delattr, guarded_setattr
from RestrictedPython.PrintCollector import PrintCollector
from ZPublisher.BaseRequest import BaseRequest
from ZPublisher.HTTPRequest import TaintRequestWrapper

from Products.ERP5Wendelin.blockwise.blocks import Block
from Products.ERP5Wendelin.errors import TooLarge
from Products.ERP5Wendelin.storage.array import Array
from Products.ERP5Wendelin.storage.array_reader import Column, Columns, Merged, Typed, Window
from Products.ERP5Wendelin.storage.memory_array import MemoryArray

PRINT_LIMIT = 1024 * 1024
"""The most characters that one run of a script may print."""

MODULES = {
    "numpy": """
        pi e inf nan newaxis euler_gamma
        bool_ int8 int16 int32 int64 intc intp uint8 uint16 uint32 uint64 uintc uintp byte ubyte short ushort
        longlong ulonglong float16 float32 float64 half single double longdouble complex64 complex128 str_ bytes_
        datetime64 timedelta64 generic number integer signedinteger unsignedinteger inexact floating complexfloating
        dtype iinfo finfo
        array asarray ascontiguousarray asfortranarray copy zeros zeros_like ones ones_like full full_like arange
        linspace logspace geomspace meshgrid eye identity diag diagflat tri tril triu vander frombuffer fromiter
        fromstring fromfunction
        reshape ravel moveaxis rollaxis swapaxes transpose atleast_1d atleast_2d atleast_3d broadcast_to expand_dims
        squeeze concatenate stack vstack hstack dstack column_stack row_stack split array_split hsplit vsplit dsplit
        tile repeat delete insert append resize trim_zeros unique flip fliplr flipud roll rot90 pad
        add subtract multiply divide true_divide floor_divide power float_power remainder mod fmod divmod negative
        positive absolute abs fabs rint sign heaviside exp exp2 expm1 log log2 log10 log1p sqrt cbrt square reciprocal
        gcd lcm conj conjugate sin cos tan arcsin arccos arctan arctan2 hypot sinh cosh tanh arcsinh arccosh arctanh
        degrees radians deg2rad rad2deg unwrap
        bitwise_and bitwise_or bitwise_xor bitwise_not invert left_shift right_shift packbits unpackbits
        greater greater_equal less less_equal not_equal equal logical_and logical_or logical_xor logical_not maximum
        minimum fmax fmin isfinite isinf isnan isnat signbit copysign nextafter spacing modf ldexp frexp floor ceil
        trunc round around fix clip nan_to_num real imag angle real_if_close sinc i0 interp
        sum prod cumsum cumprod nansum nanprod nancumsum nancumprod diff ediff1d gradient cross trapz
        min max amin amax ptp nanmin nanmax mean median average std var nanmean nanmedian nanstd nanvar percentile
        quantile nanpercentile nanquantile corrcoef cov correlate convolve histogram histogram2d histogramdd
        histogram_bin_edges bincount digitize count_nonzero
        sort argsort lexsort partition argpartition argmin argmax nanargmin nanargmax argwhere nonzero flatnonzero
        where searchsorted extract select choose compress take take_along_axis put put_along_axis putmask place copyto
        diagonal diag_indices tril_indices triu_indices indices ravel_multi_index unravel_index fill_diagonal ix_
        all any allclose isclose array_equal array_equiv iscomplex iscomplexobj isreal isrealobj isscalar
        in1d isin intersect1d setdiff1d setxor1d union1d
        dot vdot inner outer matmul tensordot einsum kron trace
        poly polyval polyfit polyder polyint roots
        apply_along_axis apply_over_axes piecewise ndim shape size broadcast_shapes can_cast result_type
        promote_types min_scalar_type common_type array2string array_repr array_str datetime_as_string datetime_data
        is_busday busday_count busday_offset bartlett blackman hamming hanning kaiser
    """,
    "numpy.linalg": """
        norm inv pinv det slogdet solve lstsq tensorsolve tensorinv eig eigh eigvals eigvalsh svd qr cholesky cond
        matrix_rank matrix_power multi_dot LinAlgError
    """,
    "numpy.fft": """
        fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift
        ifftshift
    """,
    "numpy.random": "default_rng",
    "msgpack": "packb unpackb dumps loads ExtType Timestamp UnpackException",
    "json": "dumps loads JSONDecodeError",
    "math": """
        acos acosh asin asinh atan atan2 atanh ceil comb copysign cos cosh degrees dist e erf erfc exp expm1 fabs
        factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp lgamma log
        log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt tan tanh tau trunc ulp
    """,
    "re": """
        compile search match fullmatch split findall finditer sub subn escape error A ASCII DOTALL I IGNORECASE M
        MULTILINE S VERBOSE X
    """,
    "datetime": "date datetime time timedelta timezone",
    "DateTime": "DateTime",
    "zExceptions": "BadRequest Forbidden NotFound Unauthorized",
    "Products.ERP5Wendelin.errors": """
        BadInput BadPath NotAuthorised NotFound Gone Conflict WrongState Incomplete DigestMismatch TooLarge
    """,
}
"""Module -> the names that scripts may use. Functions of ours are declared public by the modules that have them."""

OWN_MODULES = "Products.ERP5Wendelin."

ARRAY = """
    T dtype imag itemsize nbytes ndim real shape size strides
    all any argmax argmin argpartition argsort astype byteswap choose clip compress conj conjugate copy cumprod cumsum
    diagonal dot fill flatten item max mean min nonzero partition prod ptp put ravel repeat reshape round searchsorted
    sort squeeze std sum swapaxes take tobytes tolist trace transpose var view
"""
"""Not among them: what writes files (`tofile`, `dump`), what leads to addresses (`ctypes`, `data`, `base`), and what
others who look at the same memory would fall over (`resize`, `setflags`, `setfield`)."""

SCALAR = f"{ARRAY} is_integer as_integer_ratio hex bit_count"
TEXT = " ".join(name for name in dir(str) if name[0] != "_" and not name.startswith("format"))
BYTES = " ".join(name for name in dir(bytes) if name[0] != "_")
DTYPE = "byteorder char descr hasobject isnative itemsize kind name names ndim newbyteorder num shape str"
RANDOM = """
    beta binomial chisquare choice dirichlet exponential f gamma geometric gumbel hypergeometric integers laplace
    logistic lognormal multinomial multivariate_normal negative_binomial normal pareto permutation permuted poisson
    random rayleigh standard_cauchy standard_exponential standard_gamma standard_normal standard_t triangular uniform
    vonmises wald weibull zipf
"""
DATE = "day isocalendar isoformat isoweekday month replace strftime timetuple toordinal weekday year"
TIME = "hour isoformat microsecond minute replace second strftime tzinfo utcoffset"

ONE = numpy.eye(1)
LINALG_RESULTS = (
    numpy.linalg.eig(ONE),
    numpy.linalg.eigh(ONE),
    numpy.linalg.svd(ONE),
    numpy.linalg.qr(ONE),
    numpy.linalg.slogdet(ONE),
)
"""One of each class of named tuples that numpy.linalg returns, whose classes it doesn't name."""

TYPES: dict[type, str] = {
    numpy.dtype: DTYPE,
    numpy.ufunc: "accumulate at identity nargs nin nout outer reduce reduceat",
    numpy.random.Generator: RANDOM,
    numpy.iinfo: "bits dtype max min",
    numpy.finfo: "bits dtype eps epsneg max maxexp min minexp nexp nmant precision resolution smallest_normal tiny",
    msgpack.ExtType: "code data",
    msgpack.Timestamp: "nanoseconds seconds to_datetime to_unix to_unix_nano",
    re.Pattern: "findall finditer flags fullmatch groups match pattern search split sub subn",
    re.Match: "end endpos expand group groupdict groups lastgroup lastindex pos re regs span start string",
    date: DATE,
    time: TIME,
    datetime: f"{DATE} {TIME} astimezone date time timestamp timetz",
    timedelta: "days microseconds seconds total_seconds",
    timezone: "utcoffset",
    Block: "data start stop",
    **dict.fromkeys((Array, MemoryArray), "append dtype nbytes ndim resize shape size"),
    **dict.fromkeys((Column, Columns, Merged, Typed, Window), "dtype nbytes ndim shape size"),
    **{type(numpy.dtype(code)): DTYPE for code in numpy.typecodes["All"]},
    **{type(result): " ".join(result._fields) for result in LINALG_RESULTS},
}
"""Type -> the attributes that scripts may use."""

ARRAYS: dict[type, str] = {
    numpy.ndarray: ARRAY,
    **dict.fromkeys(numpy.sctypeDict.values(), SCALAR),
    numpy.str_: f"{TEXT} {SCALAR}",
    numpy.bytes_: f"{BYTES} {SCALAR}",
}
"""The same for what holds elements; refused where these are objects."""

NUMBERS: tuple[type, ...] = (
    numpy.generic,
    numpy.number,
    numpy.integer,
    numpy.signedinteger,
    numpy.unsignedinteger,
    numpy.inexact,
    numpy.floating,
    numpy.complexfloating,
    numpy.character,
    numpy.flexible,
)
"""Classes that have no instances of their own."""

ITERATORS = (GeneratorType, enumerate, filter, map, reversed, zip)
"""What may be iterated over: each item is checked as it comes."""

IN_PLACE = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "//=": operator.ifloordiv,
    "%=": operator.imod,
    "**=": operator.ipow,
    "<<=": operator.ilshift,
    ">>=": operator.irshift,
    "&=": operator.iand,
    "^=": operator.ixor,
    "|=": operator.ior,
    "@=": operator.imatmul,
}


OUTSIDE = ("BaseException", "GeneratorExit", "KeyboardInterrupt")
"""Exceptions that end more than a request; scripts can neither raise nor catch them by name."""

MAPPINGS = (BaseRequest, TaintRequestWrapper, DictInstance)
"""Classes that answer for any attribute from a mapping that scripts may change."""


def install() -> None:
    """Add to AccessControl's tables what scripts of this process may use; calling it again changes nothing."""
    for name, names in MODULES.items():
        import_module(name)
        ModuleSecurityInfo(name).declarePublic(*names.split())
    for name in MODULES:
        secureModule(name)
    for listed, names in TYPES.items():
        allow_type(listed, dict.fromkeys(names.split(), 1))
    for listed, names in ARRAYS.items():
        allow_type(listed, dict.fromkeys(names.split(), attribute_of_plain))
    for listed in (*NUMBERS, *ITERATORS):
        allow_type(listed, {})
    ZopeGuards.safe_builtins.update(
        __import__=import_allowed, setattr=set_public_attribute, delattr=delete_public_attribute
    )
    for name in OUTSIDE:
        ZopeGuards.safe_builtins.pop(name, None)
    for mapping in MAPPINGS:
        mapping.__array_interface__ = None  # which numpy refuses, and does not look for in the mapping
    ZopeGuards._safe_globals.update(
        _write_=writable, _inplacevar_=change_in_place, _print_=BoundedPrint, __metaclass__=make_class
    )


def import_allowed(name: str, globals: Any = None, locals: Any = None, fromlist: Any = None, level: int = 0) -> Any:
    """Guard of `import`.

    It is called as well when a script calls something written in C, such as an array's `sum`, that imports what it
    needs: by PyImport_Import, which gives a list. Statements give a tuple or None.
    """
    if isinstance(fromlist, list):
        return __import__(name, globals, locals, fromlist, level)
    if name.startswith(OWN_MODULES):
        import_module(name)  # which declares what scripts may use of it
    module = ZopeGuards.guarded_import(name, globals, locals, fromlist, level)
    return numpy_of_scripts() if module is numpy else module


def numpy_of_scripts() -> ModuleType:
    """numpy, with our `frombuffer`."""
    module = ModuleType("numpy")
    vars(module).update(vars(numpy), frombuffer=frombuffer)
    return module


def frombuffer(buffer: Any, *arguments: Any, **keywords: Any) -> Any:
    """numpy's, but for arrays of objects: whose elements would be addresses, to be read and written."""
    if isinstance(buffer, (numpy.ndarray, numpy.generic)) and buffer.dtype.hasobject:
        raise Unauthorized("Scripts may not use the memory of arrays of objects: give the array a dtype of values.")
    return numpy.frombuffer(buffer, *arguments, **keywords)


def attribute_of_plain(array: Any, name: str) -> Any:
    """An attribute of an array or scalar whose elements are values, not references to objects."""
    if array.dtype.hasobject:
        raise Unauthorized(f"Scripts may not use {name!r} of arrays of objects: give the array a dtype of values.")
    return getattr(array, name)


class Writer:
    """An array as the target of an assignment: of items and slices, and not of attributes such as `data`."""

    __slots__ = ("_array",)
    _array: Any

    def __init__(self, array: Any) -> None:
        object.__setattr__(self, "_array", array)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._array[index] = value

    def __setattr__(self, name: str, value: Any) -> None:
        raise Unauthorized(f"Scripts may not set {name!r} of an array: assign to its items.")


def writable(target: Any) -> Any:
    """Guard of `target[index] = value` and `target.name = value`."""
    if type(target) in (numpy.ndarray, numpy.void, Array, MemoryArray):
        return Writer(target)
    return full_write_guard(target)


def change_in_place(operation: str, target: Any, value: Any) -> Any:
    """Guard of `target += value` and its kin."""
    if type(target) is numpy.ndarray:
        return IN_PLACE[operation](target, value)
    return ZopeGuards.protected_inplacevar(operation, target, value)


def set_public_attribute(target: Any, name: str, value: Any) -> None:
    """`setattr` of scripts."""
    guarded_setattr(target, _public(name), value)


def delete_public_attribute(target: Any, name: str) -> None:
    """`delattr` of scripts."""
    guarded_delattr(target, _public(name))


def _public(name: str) -> str:
    # a subclass of str, which a script can make, may answer to startswith what it likes
    if type(name) is not str or name.startswith("_") or name.endswith("__roles__"):
        raise Unauthorized(f"Scripts may not set the attribute {name!r}.")
    return name


def make_class(name: str, bases: tuple[Any, ...], namespace: dict[str, Any]) -> Any:
    """Guard of `class` statements."""
    for base in bases:
        for ancestor in getattr(base, "__mro__", ()):
            if isinstance(ContainerAssertions.get(ancestor), dict):
                raise Unauthorized(f"A class of a script may not inherit from {base.__name__}.")
    return ZopeGuards._metaclass(name, bases, namespace)


class BoundedPrint(PrintCollector):
    """What a run of a script prints, which it reads as `printed`. TooLarge beyond the limit."""

    _left = PRINT_LIMIT

    def write(self, text: str) -> None:
        """Collect text."""
        self._left -= len(text) + 1
        if self._left < 0:
            raise TooLarge(f"The script printed more than {PRINT_LIMIT} characters. Store data in a Data Stream.")
        super().write(text)
