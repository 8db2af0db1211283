"""numpy and pandas values in results."""

import importlib.util
import unittest
from typing import Any

from runner import serialize
from runner.tests.harness import MAX_BYTES, main_returning, run

HAVE_NUMPY = importlib.util.find_spec("numpy") is not None
HAVE_PANDAS = importlib.util.find_spec("pandas") is not None


@unittest.skipUnless(HAVE_NUMPY, "numpy is not installed")
class TestNumpy(unittest.TestCase):
    np: Any

    @classmethod
    def setUpClass(cls) -> None:
        cls.np = __import__("numpy")

    def encoded(self, value: object) -> str:
        return serialize.encode(value, MAX_BYTES).decode()

    def refused(self, value: object) -> str:
        with self.assertRaises(serialize.NotSerializableError) as caught:
            serialize.encode(value, MAX_BYTES)
        return caught.exception.detail

    def test_scalars(self) -> None:
        np = self.np
        cases = [
            (np.bool_(True), "true"),
            (np.int8(-5), "-5"),
            (np.uint64(2**64 - 1), "18446744073709551615"),
            (np.float64(3), "3.0"),
            (np.float64(-0.0), "-0.0"),
            (np.float32(0.5), "0.5"),
            (np.float16(0.25), "0.25"),
            (np.str_("é"), '"é"'),
        ]
        for value, want in cases:
            with self.subTest(repr(value)):
                self.assertEqual(self.encoded(value), want)
                self.assertEqual(self.encoded({"a": [value]}), f'{{"a":[{want}]}}')

    def test_scalars_that_json_lacks(self) -> None:
        np = self.np
        cases = [
            (np.complex128(1), "numpy.complex128; use [z.real, z.imag]"),
            (np.bytes_(b"a"), "numpy.bytes_; use .decode()"),
            (np.longdouble(1), "numpy.longdouble; use str(...) or float(...)"),
            (np.void(b"a"), "numpy.void; use str(...)"),
        ]
        for value, want in cases:
            with self.subTest(want):
                self.assertIn(want, self.refused({"a": value}))

    def test_arrays(self) -> None:
        np = self.np
        cases = [
            (np.arange(3), "[0,1,2]"),
            (np.eye(2), "[[1.0,0.0],[0.0,1.0]]"),
            (np.array([True, False]), "[true,false]"),
            (np.array(["a", "é\ud800"]), '["a","é\ufffd"]'),
            (np.array([0.5], dtype="f2"), "[0.5]"),
            (np.array(5), "5"),
            (np.array([]), "[]"),
            (np.zeros((2, 0)), "[[],[]]"),
            (np.arange(6).reshape(2, 3).T[:, ::-1], "[[3,0],[4,1],[5,2]]"),
            (np.array([1], dtype=">i4"), "[1]"),
            (np.array([[1, None]], dtype=object), "[[1,null]]"),
            (np.array(["2024"], dtype="M8[Y]"), '["2024"]'),
        ]
        for value, want in cases:
            with self.subTest(want):
                self.assertEqual(self.encoded(value), want)
                self.assertEqual(self.encoded([{"a": value}]), f'[{{"a":{want}}}]')

    def test_arrays_that_json_lacks(self) -> None:
        np = self.np
        cases = [
            (np.array([object()]), "result[0]: object"),
            (np.array([1j]), "result: numpy.ndarray; use .real.tolist()"),
            (np.array([b"a"]), "result: numpy.ndarray; use .astype(str)"),
            (np.zeros(1, dtype=[("a", "i4")]), "result: numpy.ndarray; use .tolist()"),
            (np.array([1], dtype="g"), "result: numpy.ndarray; use .astype(float)"),
            (np.ma.array([1, 2], mask=[0, 1]), "result: numpy.ma.MaskedArray"),
            (np.matrix([1]), "result: numpy.matrix; use .tolist()"),
        ]
        for value, want in cases:
            with self.subTest(want):
                self.assertTrue(
                    self.refused(value).startswith(want), self.refused(value)
                )

    def test_keys(self) -> None:
        np = self.np
        self.assertEqual(self.encoded({np.str_("a"): 1}), '{"a":1}')
        for key, want in (
            (np.int64(1), "1"),
            (np.float64(1), "1.0"),
            (np.True_, "true"),
        ):
            self.assertEqual(self.encoded({key: 1}), f'{{"{want}":1}}')
        self.assertIn(
            "key of type numpy.longdouble", self.refused({np.longdouble(1): 1})
        )

    def test_huge_arrays_of_nothing(self) -> None:
        np = self.np
        for value in (
            np.broadcast_to(np.float64(0), (10**6, 10**6)),
            np.broadcast_to(np.zeros(0), (10**9, 0)),
        ):
            with self.assertRaises(serialize.TooLargeError):
                serialize.encode(value, MAX_BYTES)

    def test_nesting_counts_dimensions(self) -> None:
        value: Any = self.np.zeros((1, 1))
        for _ in range(serialize.MAX_DEPTH - 2):
            value = [value]
        self.encoded(value)
        self.assertIn("nested deeper", self.refused([value]))

    def test_the_seeds_own_script(self) -> None:
        script = """
def main():
    import numpy as np
    import pandas as pd
    print("Processing data...")
    data = np.array([1, 2, 3, 4, 5])
    return {"mean": float(np.mean(data)), "sum": int(np.sum(data))}
"""
        if not HAVE_PANDAS:
            script = script.replace("import pandas as pd", "pass")
        ended = run(script)
        self.assertEqual(ended.payload, b'{"mean":3.0,"sum":15}')
        self.assertEqual(ended.stdout, "Processing data...\n")

    def test_no_frames_of_numpy(self) -> None:
        script = "import numpy\ndef main(): numpy.linalg.inv(numpy.zeros((2, 2)))"
        trace = run(script).failure["traceback"]
        self.assertEqual(trace.count("File "), 1)
        self.assertIn("numpy.linalg.LinAlgError: Singular matrix", trace)


@unittest.skipUnless(HAVE_PANDAS, "pandas is not installed")
class TestPandas(unittest.TestCase):
    def test_no_guess_is_made(self) -> None:
        cases = [
            (
                "type('F', (pandas.DataFrame,), {'__module__': 'pandas'})()",
                "F; use pandas.DataFrame(...) or .to_dict('records')",
            ),
            ("pandas.Index([1])", "Index; use .tolist()"),
            ("pandas.Categorical(['a'])", "Categorical; use .tolist()"),
            ("pandas.Series(['2024'], dtype='M8[s]').array", "Array; use .tolist()"),
        ]
        for expression, want in cases:
            with self.subTest(expression):
                ended = run(main_returning(f"[{expression}]", "import pandas"))
                self.assertEqual(ended.failure["code"], "not_serializable")
                self.assertIn("result[0]: pandas.", ended.failure["detail"])
                self.assertIn(want, ended.failure["detail"])

    def test_the_form_of_tables(self) -> None:
        for expression, want in (
            (
                "pandas.DataFrame({'a': [1], 'b': [None], 'c': [nan]})",
                '{"columns":["a","b","c"],"index":[0],"data":[[1,null,null]]}',
            ),
            (
                "pandas.DataFrame([[1, 2]], columns=['a', 'a'], index=[('x', 1)])",
                '{"columns":["a","a"],"index":[["x",1]],"data":[[1,2]]}',
            ),
            ("pandas.DataFrame()", '{"columns":[],"index":[],"data":[]}'),
            (
                "pandas.DataFrame(index=[1, 2])",
                '{"columns":[],"index":[1,2],"data":[[],[]]}',
            ),
            (
                "pandas.Series([True, False], name='s', index=['x', 'y'])",
                '{"name":"s","index":["x","y"],"data":[true,false]}',
            ),
            (
                "pandas.Series(pandas.to_datetime(['2026-01-02T03:04:05Z', None]))",
                '{"name":null,"index":[0,1],"data":["2026-01-02T03:04:05+00:00",null]}',
            ),
            (
                "pandas.Series([pandas.NA, 1, pandas.Timedelta('1h')])",
                '{"name":null,"index":[0,1,2],"data":[null,1,"P0DT1H0M0S"]}',
            ),
            (
                "pandas.Series(['a', 'b'], dtype='category')",
                '{"name":null,"index":[0,1],"data":["a","b"]}',
            ),
            (
                "{'deep': [pandas.Series([2**63], dtype='uint64')]}",
                '{"deep":[{"name":null,"index":[0],"data":[9223372036854775808]}]}',
            ),
        ):
            with self.subTest(expression):
                before = "import pandas\nnan = float('nan')"
                ended = run(main_returning(expression, before))
                self.assertEqual(ended.payload.decode(), want)

    def test_cells_that_have_no_json(self) -> None:
        for expression, want in (
            ("pandas.DataFrame({'a': [{1}]})", 'result["data"][0][0]: set'),
            ("pandas.DataFrame({1j: [1]})", 'result["columns"][0]: complex'),
        ):
            with self.subTest(expression):
                ended = run(main_returning(expression, "import pandas"))
                self.assertIn(want, ended.failure["detail"])

    def test_a_table_over_the_bound(self) -> None:
        script = main_returning(
            "pandas.DataFrame(numpy.zeros((10000, 1000)))", "import numpy, pandas"
        )
        ended = run(script, max_bytes=1000)
        self.assertEqual((ended.kind, ended.length), (b"R", 1001))

    def test_what_the_suggestions_lead_to(self) -> None:
        frame = "f = pandas.DataFrame({'a': [1, 2], 'b': ['x', 'y'], 'c': [.5, 1]})"
        for expression, want in (
            (
                "f.to_dict('records')",
                '[{"a":1,"b":"x","c":0.5},{"a":2,"b":"y","c":1.0}]',
            ),
            ("f['a'].to_dict()", '{"0":1,"1":2}'),
            ("f['c'].tolist()", "[0.5,1.0]"),
            ("f['a'].sum()", "3"),
            ("f['a'].values", "[1,2]"),
        ):
            with self.subTest(expression):
                ended = run(main_returning(expression, f"import pandas\n{frame}"))
                self.assertEqual(ended.payload.decode(), want)
