"""What a zygote shares with its forks, and what still works in them."""

import gc
import os
import sys
import unittest
import weakref

from runner import sharing


class Node:
    """An object with a name for others to refer to it."""

    def __init__(self, *referents: object) -> None:
        self.referents = list(referents)


class TestImmortalize(unittest.TestCase):
    """Each test runs in a fork: an immortal object is immortal for good."""

    def in_fork(self, check: "object") -> None:
        """Run check in a fork, and fail if it fails there."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                check()  # type: ignore[operator]
                code = 0
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def test_only_interpreters_with_immortal_objects_have_more(self) -> None:
        def check() -> None:
            assert (sharing.immortalize() > 1000) == (sys.version_info >= (3, 12))

        self.in_fork(check)

    def test_references_are_counted_for_new_objects_only(self) -> None:
        old = Node(Node("a text of its own"), {"key": 1 << 70})

        def check() -> None:
            if not sharing.immortalize():
                return
            immortal = sys.getrefcount(None)
            for met in (old, old.referents, old.referents[0], old.referents[1]):
                assert sys.getrefcount(met) == immortal
            new = Node(old)
            assert sys.getrefcount(new) < 10
            dead = weakref.ref(new)
            old.referents.append(new)
            del new
            assert dead() is not None
            old.referents.clear()
            assert dead() is None

        self.in_fork(check)

    def test_cycles_of_new_objects_are_collected(self) -> None:
        old = Node()

        def check() -> None:
            sharing.immortalize()
            gc.freeze()
            new = Node(old)
            new.referents.append(new)
            old.referents.append(old)
            dead = weakref.ref(new)
            del new
            gc.collect()
            assert dead() is None
            assert old.referents == [old]

        self.in_fork(check)

    def test_texts_and_arrays_that_are_shared_do_not_change(self) -> None:
        text, numbers = "".join(["a", "b"]), [3, 1, 2]

        def check() -> None:
            sharing.immortalize()
            longer = text
            longer += "c"
            ordered = sorted(numbers)
            assert (text, longer) == ("ab", "abc")
            assert (numbers, ordered) == ([3, 1, 2], [1, 2, 3])

        self.in_fork(check)


class TestLargePages(unittest.TestCase):
    """Memory that is merged keeps its contents."""

    def test_contents_stay(self) -> None:
        kept = [os.urandom(1000) for _ in range(8000)]
        copies = [bytes(bytearray(content)) for content in kept]
        merged = sharing.use_large_pages()
        self.assertEqual(kept, copies)
        release = tuple(int(part) for part in os.uname().release.split(".")[:2])
        self.assertEqual(merged > 0, release >= (6, 1))
