"""What scripts may do with numpy, msgpack and json, and how they do not get out of it."""

from __future__ import annotations

import importlib
import re
from datetime import datetime

import numpy
import pytest

from Products.ERP5Wendelin import errors
from Products.ERP5Wendelin.content.restricted import ARRAYS, MODULES, PRINT_LIMIT, TYPES
from support.scripts import run_text


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("a = numpy.zeros(5)\na[1:3] = 7\nreturn a.tolist()", [0, 7, 7, 0, 0]),
        ("a = numpy.arange(6).reshape(2, 3)\na[1, 0] = 9\na[:, 2] = -1\nreturn a.tolist()", [[0, 1, -1], [9, 4, -1]]),
        ("a = numpy.arange(4)\na[a > 1] = 0\nreturn a.tolist()", [0, 1, 0, 0]),
        ("a = numpy.arange(3)\nb = a\na += 1\na *= 2\nreturn b.tolist()", [2, 4, 6]),
        ("a = numpy.ones(2)\na = a + numpy.float64(0.5) * 2 - a / 2\nreturn a.tolist()", [1.5, 1.5]),
        ("return (numpy.eye(2) @ numpy.array([3, 4])).tolist()", [3, 4]),
        ("return (numpy.arange(4) < 2).tolist(), bool(numpy.all([1, 0]))", ([True, True, False, False], False)),
        ("a = numpy.arange(10)\nreturn [int(a[3]), a[2:8:3].tolist(), a[-2:].tolist()]", [3, [2, 5], [8, 9]]),
        ("x, y = numpy.array([1, 2])\nreturn int(x + y)", 3),
        ("return [int(row.sum()) for row in numpy.ones((2, 3), 'i4')]", [3, 3]),
        ("return numpy.mean([1, 3]), numpy.array([1, 3]).std(), numpy.array([4, 2]).max()", (2.0, 1.0, 4)),
        ("return numpy.linalg.eigh(numpy.eye(2)).eigenvalues.tolist()", [1, 1]),
        ("u, s, v = numpy.linalg.svd(numpy.eye(2))\nreturn s.tolist()", [1, 1]),
        ("return numpy.fft.ifft(numpy.fft.fft([1, 2, 3])).real.round().tolist()", [1, 2, 3]),
        ("return numpy.random.default_rng(1).integers(5, size=9).max() < 5", True),
        ("return numpy.add.reduce([1, 2, 3]), numpy.maximum.accumulate([1, 3, 2]).tolist()", (6, [1, 3, 3])),
        ("return numpy.frombuffer(b'ab', 'u1').tolist()", [97, 98]),
        ("return numpy.array(['ab'])[0].upper(), numpy.array([b'ab'])[0].decode()", ("AB", "ab")),
        ("return str(numpy.datetime64('2026-01-02') + numpy.timedelta64(1, 'D'))", "2026-01-03"),
        ("return numpy.finfo('f8').eps > 0, numpy.iinfo('u1').max", (True, 255)),
        ("return isinstance(numpy.int8(1), numpy.integer)", True),
    ],
)
def test_arrays_are_usable(site, body, result):
    assert run_text(site, f"import numpy\n{body}") == result


def test_columns_of_records_can_be_read_and_assigned(site):
    body = """
        import numpy
        a = numpy.zeros(2, dtype=[('time', 'i8'), ('value', 'f8')])
        a['value'] = [1.5, 2.5]
        a[1]['time'] = 7
        for record in a:
            value = record['value']
        return a.dtype.names, a['value'].tolist(), a[1].tolist(), value
    """
    assert run_text(site, body) == (("time", "value"), [1.5, 2.5], (7, 2.5), 2.5)


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("import msgpack\nreturn msgpack.unpackb(msgpack.packb({'a': [1, b'x']}))", {"a": [1, b"x"]}),
        ("import msgpack\nreturn msgpack.unpackb(msgpack.packb(msgpack.ExtType(5, b'x'))).data", b"x"),
        ("import msgpack\nreturn msgpack.unpackb(msgpack.packb(msgpack.Timestamp(7))).seconds", 7),
        ("import json\nreturn json.loads(json.dumps({'a': [1.5, None]}))", {"a": [1.5, None]}),
        ("import re\nreturn re.match('(a)(?P<n>.)', 'ab').group('n'), re.sub('a', 'b', 'aa')", ("b", "bb")),
        ("import math\nreturn math.hypot(3, 4)", 5.0),
        ("from DateTime import DateTime\nreturn (DateTime('2026/01/02') + 1).strftime('%Y%m%d')", "20260103"),
        ("from datetime import datetime, timedelta\nreturn (datetime(2026, 1, 2) + timedelta(1)).strftime('%d')", "03"),
        ("return [a + b for a, b in ((x, 1) for x in [1, 2])]", [2, 3]),
        ("print('a', 1)\nprint('b')\nreturn printed", "a 1\nb\n"),
        (
            "class A:\n    pass\na = A()\na.x = 1\nsetattr(a, 'y', 2)\ndelattr(a, 'x')\nreturn a.y, hasattr(a, 'x')",
            (2, 0),
        ),
        ("class A(Exception):\n    pass\ntry:\n    raise A('x')\nexcept A as a:\n    return str(a)", "x"),
    ],
)
def test_modules_are_usable(site, body, result):
    assert run_text(site, body) == result


def test_all_that_is_listed_exists():
    for name, names in MODULES.items():
        module = importlib.import_module(name)
        assert [n for n in names.split() if not hasattr(module, n)] == []
    for listed in (
        numpy.ndarray,
        numpy.random.Generator,
        numpy.ufunc,
        numpy.dtype("i4"),
        re.Pattern,
        re.Match,
        datetime,
    ):
        names = {**TYPES, **ARRAYS}[listed if isinstance(listed, type) else type(listed)]
        assert [n for n in names.split() if not hasattr(listed, n)] == []


UNAUTHORISED = [
    "import os",
    "import sys",
    "import numpy.core",
    "import numpy.ctypeslib",
    "import numpy.lib.stride_tricks",
    "from numpy.lib import stride_tricks",
    "from numpy import ctypeslib",
    "from numpy import load",
    "from numpy.lib.stride_tricks import as_strided",
    "import ctypes",
    "import pickle",
    "import io",
    "import Products.ERP5Wendelin.storage.stream",
    "from Products.ERP5Wendelin import storage",
    "from datetime import sys",
    "from json import load",
    "from json import dump",
    "from json import codecs",
    "from msgpack import Unpacker",
    "from msgpack import pack",
    "from msgpack import unpack",
    "from re import sre_compile",
    "from re import enum",
    "import numpy\nreturn numpy.load",
    "import numpy\nreturn numpy.save",
    "import numpy\nreturn numpy.savetxt",
    "import numpy\nreturn numpy.loadtxt",
    "import numpy\nreturn numpy.genfromtxt",
    "import numpy\nreturn numpy.fromfile",
    "import numpy\nreturn numpy.memmap",
    "import numpy\nreturn numpy.DataSource",
    "import numpy\nreturn numpy.ctypeslib",
    "import numpy\nreturn numpy.core",
    "import numpy\nreturn numpy.lib",
    "import numpy\nreturn numpy.testing",
    "import numpy\nreturn numpy.version",
    "import numpy\nreturn numpy.ndarray",
    "import numpy\nreturn numpy.void",
    "import numpy\nreturn numpy.empty",
    "import numpy\nreturn numpy.nditer",
    "import numpy\nreturn numpy.seterrcall",
    "import numpy\nreturn numpy.errstate",
    "import numpy\nreturn numpy.set_printoptions",
    "import numpy\nreturn numpy.frompyfunc",
    "import numpy\nreturn numpy.float64.mro",
    "import numpy\nreturn getattr(numpy, '__dict__')",
    "import numpy\nreturn numpy.zeros(1).tofile",
    "import numpy\nreturn numpy.zeros(1).dump",
    "import numpy\nreturn numpy.zeros(1).dumps",
    "import numpy\nreturn numpy.zeros(1).ctypes",
    "import numpy\nreturn numpy.zeros(1).data",
    "import numpy\nreturn numpy.zeros(1).base",
    "import numpy\nreturn numpy.zeros(1).flags",
    "import numpy\nreturn numpy.zeros(1).flat",
    "import numpy\nreturn numpy.zeros(1).resize",
    "import numpy\nreturn numpy.zeros(1).setflags",
    "import numpy\nreturn numpy.zeros(1).getfield",
    "import numpy\nreturn numpy.zeros(1).setfield",
    "import numpy\nreturn getattr(numpy.zeros(1), '__array_interface__')",
    "import numpy\nreturn numpy.float64(1).tofile",
    "import numpy\nreturn numpy.float64(1).data",
    "import numpy\nreturn numpy.dtype('i4').type",
    "import numpy\nreturn numpy.dtype('i4').fields",
    "import numpy\nreturn numpy.random.seed",
    "import numpy\nreturn numpy.random.default_rng().bit_generator",
    "import numpy\nreturn numpy.array([None]).tolist()",
    "import numpy\nreturn numpy.frombuffer(numpy.array([None]), 'u8')",
    "from numpy import frombuffer, array\nreturn frombuffer(array([None]), 'u8')",
    "import numpy.linalg\nreturn numpy.frombuffer(numpy.zeros(1, dtype=[('o', 'O')])[0], 'u8')",
    "import numpy\nreturn numpy.array([None], dtype='O').view('u8')",
    "import numpy\nreturn numpy.zeros(1, dtype=[('o', 'O')])[0].item()",
    "import numpy\na = numpy.zeros(4)\na.shape = (2, 2)",
    "import numpy\na = numpy.zeros(4)\na.dtype = 'O'",
    "import numpy\na = numpy.zeros(4)\na.data = b''",
    "import numpy\na = numpy.zeros(1)\nsetattr(a, '__class__', 1)",
    "import numpy\nclass A(numpy.float64):\n    pass",
    "import numpy\nclass A(numpy.str_):\n    pass",
    "import numpy\nclass A(numpy.generic):\n    pass",
    "import numpy\nclass A(numpy.dtype):\n    pass",
    "from datetime import date\nclass A(date):\n    pass",
    "class A:\n    pass\nsetattr(A(), '__array_interface__', {})",
    "class A:\n    pass\nsetattr(A, '__array_interface__', {})",
    "class A:\n    pass\nsetattr(A(), 'x__roles__', None)",
    "class A:\n    pass\ndelattr(A, '__allow_access_to_unprotected_subobjects__')",
    "class S(str):\n    def startswith(self, x):\n        return 0\nclass A:\n    pass\nsetattr(A(), S('__x'), 1)",
    "return '{0.__class__}'.format(1)",
    "return '{x.__class__}'.format_map({'x': 1})",
    "return str.format('{0.__class__}', 1)",
    "import numpy\nreturn numpy.str_('{0.__class__}').format(1)",
    "return getattr(1, '__class__')",
    "return (x for x in [1]).throw",
    "return (x for x in [1]).close",
    "return [x for x in (s for s in [context.acl_users.users.listUserIds])]",
    "def f():\n    pass\nreturn getattr(f, '__globals__')",
    "import numpy\nreturn getattr(numpy.sum, '__globals__')",
    "import numpy\nreturn getattr(numpy.sum, '__wrapped__')",
    "return getattr(context, '_p_jar')",
    "return context.acl_users.users.listUserIds()",
    "from Products.ERP5Wendelin.errors import Any",
]


@pytest.mark.parametrize("body", UNAUTHORISED)
def test_way_out_is_unauthorised(site, body):
    with pytest.raises(errors.NotAuthorised, match=r"\(/erp5/portal_skins/custom/probe, line \d+\)$"):
        run_text(site, body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return (x for x in []).gi_frame", '"gi_frame" is a restricted name'),
        (
            "try:\n    1 / 0\nexcept Exception as e:\n    return e.__traceback__",
            '"__traceback__" is an invalid attribute',
        ),
        ("return (lambda: 0).__globals__", '"__globals__" is an invalid attribute'),
        ("return ().__class__.__base__.__subclasses__()", '"__subclasses__" is an invalid attribute'),
        ("class A:\n    __array_interface__ = {}", '"__array_interface__" is an invalid variable name'),
        ("class A:\n    def __array__(self):\n        pass", '"__array__" is an invalid variable name'),
        ("class A(metaclass=type):\n    pass", 'The keyword argument "metaclass" is not allowed'),
        ("from numpy import *", '"*" imports are not allowed'),
        ("from numpy import __file__", '"__file__" is an invalid variable name'),
        ("exec('1')", "Exec calls are not allowed"),
        ("eval('1')", "Eval calls are not allowed"),
        ("a = [1]\na[0] += 1", "Augmented assignment of object items and slices is not allowed"),
        ("async def f():\n    pass", "AsyncFunctionDef statements are not allowed"),
        ("x = (", "SyntaxError"),
        ("x = 1\ny = \0", "can't be compiled"),
        ("return " + "-" * 5000 + "1", "can't be compiled"),
    ],
)
def test_way_out_does_not_compile(site, body, message):
    with pytest.raises(errors.BadInput, match=re.escape(message)):
        run_text(site, body)


UNKNOWN = (
    "type open globals vars dir object memoryview super input compile BaseException GeneratorExit KeyboardInterrupt"
)


@pytest.mark.parametrize("name", UNKNOWN.split())
def test_function_that_scripts_do_not_get_does_not_exist(site, name):
    with pytest.raises(errors.ScriptError, match=f"NameError: name '{name}' is not defined"):
        run_text(site, f"return {name}(1)")


INTERFACE = "{'shape': (3,), 'typestr': '|u1', 'version': 3, 'data': b'abc'}"
"""Instead of bytes, an address in memory could be the data."""


@pytest.mark.parametrize(
    "body",
    [
        f"request = context.REQUEST\nrequest.set('__array_interface__', {INTERFACE})\nreturn numpy.asarray(request)",
        f"request = context.REQUEST\nrequest.form['__array_interface__'] = {INTERFACE}\nreturn numpy.asarray(request)",
        "from Products.PythonScripts.standard import DTML\n"
        "page = DTML('<dtml-var \"asarray(_.namespace(**given)[0])\">')\n"
        f"return page(None, {{'asarray': numpy.asarray, 'given': {{'__array_interface__': {INTERFACE}}}}})",
    ],
    ids=["request", "form", "DTML"],
)
def test_numpy_takes_no_memory_from_what_a_script_has_put_into_an_object(site, body):
    with pytest.raises(errors.ScriptError, match="Invalid __array_interface__ value, must be a dict"):
        run_text(site, f"import numpy\n{body}")


def test_array_that_maps_a_file_is_closed_to_scripts(site, tmp_path):
    site.portal_skins.custom.mapped = numpy.memmap(tmp_path / "file", "u1", "w+", shape=(4,))
    with pytest.raises(errors.NotAuthorised):
        run_text(site, "return context.portal_skins.custom.mapped.flush")


def test_recursion_ends_with_an_error(site):
    with pytest.raises(errors.ScriptError, match="RecursionError: maximum recursion depth exceeded"):
        run_text(site, "def f(n):\n    return f(n + 1)\nreturn f(0)")


def test_script_that_calls_itself_ends_with_an_error(site):
    with pytest.raises(errors.ScriptError, match="Excessive recursion|maximum recursion depth exceeded"):
        run_text(site, "return context.probe()")


def test_endless_printing_ends_with_an_error(site):
    with pytest.raises(errors.TooLarge, match=rf"^The script printed more than {PRINT_LIMIT} characters\."):
        run_text(site, "while 1:\n    print('x' * 1000)\nreturn printed")


def test_endless_printing_of_nothing_ends_with_an_error(site):
    with pytest.raises(errors.TooLarge):
        run_text(site, "while 1:\n    print(end='')\nreturn printed")
