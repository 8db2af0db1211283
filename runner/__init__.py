"""The Python that runs inside the sandbox; protocol.md says what it does."""
