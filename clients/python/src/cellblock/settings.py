"""The settings of a client."""

from __future__ import annotations

import os
from typing import Any

import httpx

from .requests import Request
from .version import __version__


class Settings:
    """The validated settings of a client. Its repr does not include the token.

    base_url: the service's URL, without user and password.
    token: the service's `API_TOKEN`; None uses the environment variable
        `CELLBLOCK_TOKEN`, and "" sends no token.
    timeout: seconds to connect, and to wait for each read, to which the time for which
        the service may hold the response is added.
    """

    def __init__(self, base_url: str, token: str | None, timeout: float) -> None:
        url = httpx.URL(base_url)
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise ValueError("base_url must be http(s)://host[:port][/path]")
        if timeout <= 0:
            raise ValueError("timeout must be more than 0 seconds")
        self.base_url = str(url)
        self.timeout = timeout
        self._headers = {
            "User-Agent": f"cellblock-python/{__version__}",
            "Accept": "application/json, */*;q=0.5",
            **_authorization(token),
        }

    def __repr__(self) -> str:
        return self.base_url

    def client_arguments(self) -> dict[str, Any]:
        """Return the arguments of httpx's clients."""
        return {"base_url": self.base_url, "headers": self._headers}

    def request_arguments(self, request: Request) -> dict[str, Any]:
        """Return the arguments of httpx's build_request."""
        return {
            "method": request.method,
            "url": request.path,
            "params": request.params,
            "headers": request.headers,
            "content": request.content,
            "timeout": httpx.Timeout(
                self.timeout, read=self.timeout + request.hold, pool=None
            ),
        }


def _authorization(token: str | None) -> dict[str, str]:
    if token is None:
        token = os.environ.get("CELLBLOCK_TOKEN", "")
    if not token:
        return {}
    if not all("!" <= character <= "~" for character in token):
        # Check here: httpx's error would show the token.
        raise ValueError("the token has characters that a header cannot carry")
    return {"Authorization": f"Bearer {token}"}
