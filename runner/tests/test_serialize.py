"""The JSON of each kind of value; protocol.md has the reasons."""

import collections
import enum
import json
import math
import random
import unittest

from runner import notes, serialize

MAX_BYTES = 4 << 20


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    A = "a"


Point = collections.namedtuple("Point", "x y")


class Text(str):
    """A str whose own methods return wrong values."""

    __slots__ = ()

    def __str__(self) -> str:
        return "lie"

    __repr__ = __str__

    def __len__(self) -> int:
        return 10**9


class Whole(int):
    def __repr__(self) -> str:
        return "lie"

    __str__ = __repr__


class Real(float):
    def __repr__(self) -> str:
        return "lie"

    __str__ = __repr__


def encoded(value: object, max_bytes: int = MAX_BYTES) -> str:
    return serialize.encode(value, max_bytes).decode()


def refused(value: object) -> str:
    try:
        data = serialize.encode(value, MAX_BYTES)
    except serialize.NotSerializableError as error:
        return error.detail
    raise AssertionError(f"not refused: {data[:200]!r}")


class TestNotNumbers(unittest.TestCase):
    def noted(self, value: object) -> tuple[str, list[str]]:
        told = notes.Notes()
        return serialize.encode(value, MAX_BYTES, None, told).decode(), told.texts()

    def test_they_become_null(self) -> None:
        for number, name in (
            (math.nan, "NaN"),
            (math.inf, "Infinity"),
            (Real("-inf"), "-Infinity"),
        ):
            with self.subTest(name):
                self.assertEqual(
                    self.noted([{"k": number}]),
                    ('[{"k":null}]', [f'result[0]["k"]: {name} became null']),
                )
                self.assertEqual(
                    self.noted({number: 1}),
                    ('{"null":1}', [f"result: key {name} became null"]),
                )
        self.assertEqual(self.noted([1.5, "nan"]), ('[1.5,"nan"]', []))

    def test_many_are_counted(self) -> None:
        _, told = self.noted([math.nan] * 1000)
        self.assertEqual((len(told), told[20]), (21, "980 more"))

    def test_long_paths(self) -> None:
        value: object = math.nan
        for _ in range(400):
            value = {"k" * 10_000: value}
        (note,) = self.noted(value)[1]
        self.assertLess(len(note.encode()), 2048)


class TestAccepted(unittest.TestCase):
    def test_values(self) -> None:
        big = 10**4299
        cases: list[tuple[object, str]] = [
            (None, "null"),
            (True, "true"),
            (0, "0"),
            (-1, "-1"),
            (2**70, "1180591620717411303424"),
            (big, str(big)),
            (-big, str(-big)),
            (3.0, "3.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e300, "1e+300"),
            (5e-324, "5e-324"),
            ("", '""'),
            ("é\U0001f600</\u2028", '"é\U0001f600</\u2028"'),
            ('"\\\n\x00\x1f\x7f', '"\\"\\\\\\n\\u0000\\u001f\x7f"'),
            ([], "[]"),
            ({}, "{}"),
            ((1, (2,)), "[1,[2]]"),
            (
                {"b": 1, "a": [None, {"z": 0, "y": 1}]},
                '{"b":1,"a":[null,{"z":0,"y":1}]}',
            ),
        ]
        for value, want in cases:
            with self.subTest(repr(value)[:40]):
                self.assertEqual(encoded(value), want)
                # Through the copy too.
                self.assertEqual(encoded((Whole(7), value)), f"[7,{want}]")

    def test_subclasses_count_as_what_they_extend(self) -> None:
        order = collections.OrderedDict(a=1, b=2)
        order.move_to_end("a")
        cases: list[tuple[object, str]] = [
            (Number.ONE, "1"),
            (Word.A, '"a"'),
            (Text("t"), '"t"'),
            (Whole(7), "7"),
            (Real(0.5), "0.5"),
            (Point(1, [2]), "[1,[2]]"),
            (order, '{"b":2,"a":1}'),
            (collections.defaultdict(int, a=1), '{"a":1}'),
            (collections.Counter("aa"), '{"a":2}'),
            ({Text("k"): 1, Number.ONE: 2, Word.A: 3}, '{"k":1,"1":2,"a":3}'),
        ]
        for value, want in cases:
            with self.subTest(want):
                self.assertEqual(encoded(value), want)

    def test_keys_as_json_dumps(self) -> None:
        value = {1: 0, -2.5: 0, 1e16: 0, True + 1: 0, None: 0, False: 0, "x": 0}
        self.assertEqual(encoded(value), json.dumps(value, separators=(",", ":")))

    def test_lone_surrogates(self) -> None:
        self.assertEqual(encoded("a\ud800b"), '"a\ufffdb"')
        self.assertEqual(
            encoded([{"\udfff": "\ud83d\ude00"}]), '[{"\ufffd":"\ufffd\ufffd"}]'
        )

    def test_depth_up_to_500(self) -> None:
        for wrap in (lambda v: [v], lambda v: {"a": v}, lambda v: Point(v, 1)):
            value: object = Whole(1)
            for _ in range(serialize.MAX_DEPTH):
                value = wrap(value)
            self.assertEqual(encoded(value).count("1") > 0, True)
            self.assertIn("nested deeper than 500 levels", refused(wrap(value)))

    def test_the_same_part_twice_is_no_circle(self) -> None:
        part = {"a": [Whole(1)]}
        self.assertEqual(encoded([part, part]), '[{"a":[1]},{"a":[1]}]')

    def test_agrees_with_json_on_random_values(self) -> None:
        source = random.Random(7)
        for _ in range(300):
            value = random_value(source, 5)
            want = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            self.assertEqual(encoded(value), want)
            self.assertEqual(encoded([Whole(1), value]), f"[1,{want}]")


def random_value(source: random.Random, depth: int) -> object:
    kind = source.randrange(9 if depth else 6)
    match kind:
        case 0:
            return source.choice([None, True, False])
        case 1:
            return source.randrange(-(2**80), 2**80)
        case 2:
            return source.uniform(-1e10, 1e10) * 10 ** source.randrange(-200, 200)
        case 3 | 4 | 5:
            letters = 'ab"\\\n\x01é\u20ac\U0001f600'
            return "".join(source.choices(letters, k=source.randrange(9)))
        case 6:
            return {
                f"{i}é": random_value(source, depth - 1)
                for i in range(source.randrange(5))
            }
    parts = [random_value(source, depth - 1) for _ in range(source.randrange(5))]
    return parts if kind == 7 else tuple(parts)
