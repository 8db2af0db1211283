"""JSON, UTF-8, shortening, and the bounds of a report."""

import json
import unittest

from runner import report, text


class TestText(unittest.TestCase):
    def test_reads_what_the_worker_writes(self) -> None:
        value = {"script": 'a\n"\\\u00e9\u2028\x00\U0001f600', "n": 4194304}
        self.assertEqual(text.from_json(json.dumps(value)), value)

    def test_refuses_what_is_not_json(self) -> None:
        for bad in ("", "{", "nope", '{"a":}', '"\n"'):
            with self.subTest(bad), self.assertRaises(ValueError):
                text.from_json(bad)

    def test_surrogates_become_replacement_characters(self) -> None:
        self.assertEqual(
            text.to_utf8("a\ud800\udfffb"), b"a" + b"\xef\xbf\xbd" * 2 + b"b"
        )
        self.assertEqual(text.replace_surrogates("\udc80é"), "\ufffdé")

    def test_short_text_stays(self) -> None:
        for same in ("", "a" * 100, "é" * 50, "\U0001f600" * 25):
            self.assertEqual(text.shorten(same, 100), same)

    def test_long_text_keeps_head_and_tail_within_the_bound(self) -> None:
        for long in ("a" * 101, "é" * 51, "x" + "\U0001f600" * 99, "\ud800" * 90):
            for limit in (100, 64, 10, 0):
                with self.subTest(long=long[:3], limit=limit):
                    short = text.shorten(long, limit)
                    # The note itself stays at any limit.
                    max_bytes = max(limit, len(short.encode()) if limit < 64 else 0)
                    self.assertLessEqual(len(short.encode()), max_bytes)
                    self.assertIn(f"shortened from {len(long)}", short)
        middle = "head" + "-" * 1000 + "tail"
        short = text.shorten(middle, 200)
        self.assertTrue(short.startswith("head-"))
        self.assertTrue(short.endswith("-tail"))


class TestReport(unittest.TestCase):
    def test_is_bounded_whatever_the_fields_hold(self) -> None:
        for letter in ("a", "\x00", "é", "\ud800", "\U0001f600", '"'):
            with self.subTest(letter):
                fields = dict.fromkeys(report.LIMITS, letter * 600_000)
                data = report.encode({"code": "exception", **fields})
                self.assertLessEqual(len(data), report.MAX_BYTES)
                self.assertEqual(set(json.loads(data)), {"code", *report.LIMITS})

    def test_leaves_short_fields_alone(self) -> None:
        fields = {"code": "exit", "message": "é\n", "exit_code": 3}
        self.assertEqual(json.loads(report.encode(dict(fields))), fields)
