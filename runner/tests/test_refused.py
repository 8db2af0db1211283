"""Values without JSON, and their reports; protocol.md has the reasons."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import random
import sys
import unittest
import uuid
from typing import Any

from runner import serialize
from runner.tests.test_serialize import MAX_BYTES, Whole, encoded, refused


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Record:
    a: int = 1


class Impostor:
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return dict


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
            (b"", "bytes; use .decode() or base64.b64encode(...).decode()"),
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
            (long, "int with more than 4300 digits; use hex(...)"),
            (-long, "int with more than 4300 digits; use hex(...)"),
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
            ({b"a": 0}, "key of type bytes; use str(...)"),
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
            self.assertGreater(caught.exception.length, MAX_BYTES)
