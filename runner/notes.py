"""Notes on what differs in the result and the files from what the script had."""

# Notes beyond these are only counted; the worker has its own limit.
MOST = 20


class Notes:
    """The notes of one answer; each is a sentence."""

    def __init__(self) -> None:
        """Start with none."""
        self._texts: list[str] = []
        self._more = 0

    @property
    def room(self) -> int:
        """Return how many more notes are kept."""
        return MOST - len(self._texts)

    def add(self, text: str) -> None:
        """Keep the note, or count it."""
        if self.room > 0:
            self._texts.append(text)
        else:
            self._more += 1

    def count(self, number: int) -> None:
        """Count notes that were not written."""
        self._more += number

    def clear(self) -> None:
        """Remove all notes."""
        self._texts.clear()
        self._more = 0

    def listed(self) -> list[str]:
        """Return the notes, and how many more there are."""
        return self._texts + ([f"{self._more} more"] if self._more else [])
