"""What a client is made with."""

from __future__ import annotations

import os
from typing import Any

import httpx

from .requests import Request
from .version import __version__


class Settings:
    """The settings of a client, checked. The token is in no text that this gives.

    base_url: where the service is, without user and password.
    token: the service's `API_TOKEN`; None is that of the environment
        (`CELLBLOCK_TOKEN`), and "" is none.
    timeout: seconds for a connection, and, beyond the time for which the service
        holds an answer, between two pieces of one.
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

    def for_httpx(self) -> dict[str, Any]:
        """The arguments of httpx's clients."""
        return {"base_url": self.base_url, "headers": self._headers}

    def of(self, request: Request) -> dict[str, Any]:
        """The arguments of their method build_request."""
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
        # Here and not in httpx, whose error would show it.
        raise ValueError("the token has characters that a header cannot carry")
    return {"Authorization": f"Bearer {token}"}
