"""Each decision on what JSON a value has; protocol.md gives the reasons."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import random
import sys
import unittest
import uuid
from typing import Any

from runner import serialize

ROOM = 4 << 20


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    A = "a"


class Colour(enum.Enum):
    RED = 1


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Record:
    a: int = 1


class Text(str):
    """A str that lies about itself."""

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


class Impostor:
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return dict


def encoded(value: object, room: int = ROOM) -> str:
    return serialize.encode(value, room).decode()


def refused(value: object) -> str:
    try:
        data = serialize.encode(value, ROOM)
    except serialize.NotSerializableError as error:
        return error.detail
    raise AssertionError(f"not refused: {data[:200]!r}")


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
                # By way of the copy as well.
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


class TestRefused(unittest.TestCase):
    def test_types(self) -> None:
        today = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
        cases: list[tuple[object, str]] = [
            ({1}, "set; use list(...)"),
            (frozenset(), "frozenset; use list(...)"),
            (range(3), "range; use list(...)"),
            ((None for _ in "ab"), "generator; use list(...)"),
            (map(str, ()), "map; use list(...)"),
            ({}.keys(), "dict_keys; use list(...)"),
            (collections.deque(), "collections.deque; use list(...)"),
            (array.array("i"), "array.array; use list(...)"),
            (b"", "bytes; use .decode() or base64"),
            (1j, "complex; use [z.real, z.imag]"),
            (decimal.Decimal(1), "decimal.Decimal; use str(...) or float(...)"),
            (fractions.Fraction(1), "fractions.Fraction; use str(...) or float(...)"),
            (today, "datetime.datetime; use .isoformat()"),
            (today.date(), "datetime.date; use .isoformat()"),
            (today.time(), "datetime.time; use .isoformat()"),
            (today - today, "datetime.timedelta; use .total_seconds()"),
            (uuid.UUID(int=1), "uuid.UUID; use str(...)"),
            (object(), "object"),
            (len, "builtin_function_or_method"),
            (int, "type"),
            (..., "ellipsis"),
        ]
        for value, want in cases:
            with self.subTest(want):
                self.assertEqual(refused(value), f"result: {want}")
                self.assertEqual(refused({"a": [0, value]}), f'result["a"][1]: {want}')
        self.assertIn("use str(...)", refused(pathlib.PurePath("a")))
        self.assertIn("use .value", refused(Colour.RED))
        self.assertIn("Record; use dataclasses.asdict(...)", refused(Record()))
        self.assertIn("Impostor", refused(Impostor()))

    def test_numbers(self) -> None:
        long = 10**4300
        cases: list[tuple[object, str]] = [
            (math.nan, "float nan; use None"),
            (math.inf, "float inf; use None"),
            (-math.inf, "float -inf; use None"),
            (long, "int with more than 4300 digits; use str(...)"),
            (-long, "int with more than 4300 digits; use str(...)"),
        ]
        for value, want in cases:
            with self.subTest(want):
                self.assertEqual(refused(value), f"result: {want}")
                self.assertEqual(refused([{"k": value}]), f'result[0]["k"]: {want}')
                self.assertEqual(refused({value: 1}), f"result: key {want}")

    def test_the_digit_limit_stands_though_the_script_lifted_it(self) -> None:
        before = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)
        try:
            self.assertIn("4300 digits", refused([10**5000]))
        finally:
            sys.set_int_max_str_digits(before)

    def test_keys(self) -> None:
        cases: list[tuple[object, str]] = [
            ({(1, 2): 0}, "key of type tuple"),
            ({b"a": 0}, "key of type bytes; use .decode() or base64"),
            ({Colour.RED: 0}, "key of type"),
            ({1: 0, "1": 0}, 'two keys become "1"'),
            ({True: 0, "true": 0}, 'two keys become "true"'),
            ({None: 0, "null": 0}, 'two keys become "null"'),
            ({1.5: 0, "1.5": 0}, 'two keys become "1.5"'),
            (dict.fromkeys(["\ud800", "\udfff"]), 'two keys become "\ufffd"'),
        ]
        for value, want in cases:
            with self.subTest(want):
                self.assertTrue(refused(value).startswith(f"result: {want}"))
                nested = refused({"a": value})
                self.assertTrue(nested.startswith(f'result["a"]: {want}'), nested)

    def test_circles(self) -> None:
        in_list: list[object] = [0]
        in_list.append(in_list)
        in_dict: dict[str, object] = {}
        in_dict["a"] = [in_dict]
        wide: list[object] = []
        wide.extend([wide] * 10)
        self.assertEqual(refused(in_list), "result[1]: circular reference")
        self.assertEqual(refused(in_dict), 'result["a"][0]: circular reference')
        self.assertEqual(refused(wide), "result[0]: circular reference")

    def test_long_keys_are_shortened_in_the_path(self) -> None:
        self.assertLess(len(refused({"k" * 100_000: {1}})), 200)

    def test_hostile_objects(self) -> None:
        class Items(dict[str, object]):
            def items(self) -> Any:
                raise SystemExit("no")

        class Pairs(dict[str, object]):
            def items(self) -> Any:
                return [1, 2]

        class Meta(type):
            @property
            def __module__(cls) -> str:  # type: ignore[override]
                raise ValueError

        class Odd(metaclass=Meta):
            pass

        self.assertEqual(
            refused([Items(a=1)]), "result[0]: cannot be read: SystemExit: no"
        )
        self.assertIn("result: cannot be read: TypeError", refused(Pairs(a=1)))
        self.assertIn("result[0]: ", refused([Odd()]))

    def test_growing_while_it_is_read(self) -> None:
        class Endless(dict[str, object]):
            def items(self) -> Any:
                return ((str(n), n) for n in iter(random.random, 2))

        with self.assertRaises(serialize.TooLargeError):
            encoded(Endless())


class TestTooLarge(unittest.TestCase):
    def test_exactly_the_room_fits(self) -> None:
        self.assertEqual(encoded("a" * 8, 10), '"aaaaaaaa"')
        with self.assertRaises(serialize.TooLargeError) as caught:
            encoded("a" * 9, 10)
        self.assertEqual(caught.exception.length, 11)
        with self.assertRaises(serialize.TooLargeError):
            encoded("é" * 5, 10)

    def test_shared_parts_are_told_before_they_unfold(self) -> None:
        tree: object = "x"
        for _ in range(60):
            tree = [tree, tree]
        text = "x" * (1 << 20)
        for huge in (
            tree,
            [text] * 5000,
            {"a": [{"b": [text] * 5000}]},
            (Whole(1), tree),
        ):
            with self.assertRaises(serialize.TooLargeError) as caught:
                encoded(huge)
            self.assertGreater(caught.exception.length, ROOM)
