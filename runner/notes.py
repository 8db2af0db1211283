"""Notes on what differs in the result and the files from what the script had."""

# Notes beyond these are only counted; the worker has its own limit.
MAX_NOTES = 20


class Notes:
    """The notes of one job; each is a sentence."""

    def __init__(self) -> None:
        """Start with none."""
        self._texts: list[str] = []
        self._not_kept = 0

    @property
    def remaining(self) -> int:
        """Return how many more notes are kept."""
        return MAX_NOTES - len(self._texts)

    def add(self, text: str) -> None:
        """Keep the note, or count it."""
        if self.remaining > 0:
            self._texts.append(text)
        else:
            self._not_kept += 1

    def count(self, number: int) -> None:
        """Count notes that were not written."""
        self._not_kept += number

    def extend(self, other: "Notes") -> None:
        """Add another's notes."""
        for text in other._texts:
            self.add(text)
        self._not_kept += other._not_kept

    def clear(self) -> None:
        """Remove all notes."""
        self._texts.clear()
        self._not_kept = 0

    def texts(self) -> list[str]:
        """Return the notes, and how many more there are."""
        return self._texts + ([f"{self._not_kept} more"] if self._not_kept else [])
