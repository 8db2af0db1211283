"""What of the result and the files is not as the script had it."""

# More than these become a count; the worker has a bound of its own.
MOST = 20


class Notes:
    """Collects sentences for one answer."""

    def __init__(self) -> None:
        """Start without any."""
        self._texts: list[str] = []
        self._more = 0

    @property
    def room(self) -> int:
        """How many more sentences are kept."""
        return MOST - len(self._texts)

    def add(self, text: str) -> None:
        """Keep the sentence, or count it."""
        if self.room > 0:
            self._texts.append(text)
        else:
            self._more += 1

    def count(self, number: int) -> None:
        """Count sentences that were not made."""
        self._more += number

    def clear(self) -> None:
        """Forget all of them."""
        self._texts.clear()
        self._more = 0

    def listed(self) -> list[str]:
        """The sentences, and how many more there are."""
        return self._texts + ([f"{self._more} more"] if self._more else [])
