"""Each suggestion, followed, leads to a result."""

import importlib.util
import unittest
from typing import Any, ClassVar

from runner import arrays, serialize, suggestions
from runner.tests.test_serialize import MAX_BYTES

PACKAGES = [n for n in ("numpy", "pandas") if importlib.util.find_spec(n) is not None]
BEFORE = """
import array, base64, collections, dataclasses, datetime, decimal, enum, fractions
import pathlib, uuid
Colour = enum.Enum("Colour", "RED")
@dataclasses.dataclass
class Record:
    a: int = 1
"""
# Refused expressions, each with its suggestions followed.
PLAIN = [
    ("{1}", "list({1})"),
    ("frozenset([1])", "list(frozenset([1]))"),
    ("range(2)", "list(range(2))"),
    ("(n for n in [1])", "list(n for n in [1])"),
    ("map(str, [1])", "list(map(str, [1]))"),
    ("filter(None, [1])", "list(filter(None, [1]))"),
    ("zip([1])", "list(zip([1]))"),
    ("{}.keys()", "list({}.keys())"),
    ("{}.values()", "list({}.values())"),
    ("{}.items()", "list({}.items())"),
    ("collections.deque([1])", "list(collections.deque([1]))"),
    ("array.array('i', [1])", "list(array.array('i', [1]))"),
    ("b'a'", "b'a'.decode()", "base64.b64encode(b'a').decode()"),
    (
        "bytearray(b'a')",
        "bytes(bytearray(b'a')).decode()",
        "base64.b64encode(bytearray(b'a')).decode()",
    ),
    ("2j", "[2j.real, 2j.imag]"),
    ("decimal.Decimal(1)", "str(decimal.Decimal(1))", "float(decimal.Decimal(1))"),
    ("fractions.Fraction(1)", "str(fractions.Fraction(1))"),
    ("datetime.date(2024, 1, 2)", "datetime.date(2024, 1, 2).isoformat()"),
    ("datetime.time(1)", "datetime.time(1).isoformat()"),
    ("datetime.timedelta(1)", "datetime.timedelta(1).total_seconds()"),
    ("uuid.UUID(int=1)", "str(uuid.UUID(int=1))"),
    ("pathlib.Path('a')", "str(pathlib.Path('a'))"),
    ("Colour.RED", "Colour.RED.value"),
    ("Record()", "dataclasses.asdict(Record())"),
    ("10**5000", "hex(10**5000)"),
    ("{1: 0, '1': 1}", "{'a': 0, 'b': 1}"),
    ("{(1, 2): 0}", "{str((1, 2)): 0}"),
    ("{Record: 0}", "{str(Record): 0}"),
    ("{b'a': 0}", "{str(b'a'): 0}"),
    ("{frozenset(): 0}", "{str(frozenset()): 0}"),
    ("{2j: 0}", "{str(2j): 0}"),
    ("{Colour.RED: 0}", "{Colour.RED.value: 0}"),
    ("{datetime.timedelta(1): 0}", "{datetime.timedelta(1).total_seconds(): 0}"),
    ("{datetime.date(2024, 1, 2): 0}", "{datetime.date(2024, 1, 2).isoformat(): 0}"),
]
NUMPY = [
    ("numpy.complex128(1)", "[z.real, z.imag]", "numpy.complex128(1)"),
    ("numpy.clongdouble(1)", "[float(z.real), float(z.imag)]", "numpy.clongdouble(1)"),
    ("numpy.bytes_(b'a')", "z.decode()", "numpy.bytes_(b'a')"),
    ("numpy.longdouble(1)", "[float(z), str(z)]", "numpy.longdouble(1)"),
    ("numpy.void(b'a')", "str(z)", "numpy.void(b'a')"),
    ("z", "z.astype(float)", "numpy.array([1], dtype='g')"),
    ("z", "[z.real.tolist(), z.imag.tolist()]", "numpy.array([[1j]])"),
    ("z", "z.astype(str)", "numpy.array([b'a'])"),
    ("z", "z.tolist()", "numpy.zeros(1, dtype=[('a', 'i4')])"),
    ("z", "str(z)", "numpy.zeros(1, dtype='V3')"),
    ("z", "z.tolist()", "numpy.matrix([1])"),
    ("z", "z.tolist()", "numpy.ma.array([1, 2], mask=[0, 1])"),
    ("{numpy.longdouble(1): 0}", "{str(z): 0}", "numpy.longdouble(1)"),
]
PANDAS = [
    ("z", "[pandas.DataFrame(z), z.to_dict('records')]", "Frame({'a': [1]})"),
    ("z", "[z.tolist(), z.to_dict()]", "Column([1])"),
    ("z", "z.tolist()", "pandas.date_range('2024', periods=1)"),
    ("z", "z.tolist()", "pandas.MultiIndex.from_tuples([(1, pandas.Timestamp(0))])"),
    ("z", "z.tolist()", "pandas.period_range('2024', periods=1, freq='M')"),
    ("z", "z.tolist()", "pandas.Series(['2024'], dtype='M8[s]').unique()"),
    ("z", "z.tolist()", "pandas.Categorical(['a', None])"),
]


class Suggestions(unittest.TestCase):
    seen: ClassVar[set[str]] = set()

    def follow(self, refused: str, followed: str, before: str) -> None:
        with self.subTest(refused, before=before[-60:]):
            names: dict[str, Any] = {}
            exec(before, names)
            with self.assertRaises(serialize.NotSerializableError) as caught:
                serialize.encode(eval(refused, names), MAX_BYTES)
            self.assertRegex(caught.exception.detail, "; use ")
            self.seen.add(caught.exception.detail.partition("; ")[2])
            self.assertNotEqual(
                serialize.encode(eval(followed, names), MAX_BYTES), b"null"
            )

    def test_plain(self) -> None:
        for refused, *followed in PLAIN:
            for each in followed:
                self.follow(refused, each, BEFORE)

    @unittest.skipUnless("numpy" in PACKAGES, "numpy is not installed")
    def test_numpy(self) -> None:
        for refused, followed, value in NUMPY:
            value_is = f"import numpy\nz = {value}"
            self.follow(refused.replace(value, "z"), followed, value_is)

    @unittest.skipUnless("pandas" in PACKAGES, "pandas is not installed")
    def test_pandas(self) -> None:
        kinds = (
            "import pandas\nclass Frame(pandas.DataFrame): pass\n"
            "class Column(pandas.Series): pass\n"
        )
        for refused, followed, value in PANDAS:
            self.follow(refused, followed, f"{kinds}z = {value}")

    @classmethod
    def tearDownClass(cls) -> None:
        """Check that the lists above cover all suggestions."""
        if len(PACKAGES) == 2:
            known = {
                *suggestions._SUGGESTIONS.values(),
                *arrays._SUGGESTIONS.values(),
                suggestions.STR,
            }
            missing = {t for t in known if not any(t in seen for seen in cls.seen)}
            assert not missing, missing
