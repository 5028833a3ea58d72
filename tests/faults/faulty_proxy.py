"""An HTTP proxy before a server, that fails as networks do.

Seeded shares of requests are answered 500 or 503, held up, cut in the middle of what the client sends, or done without
an answer; and listings are those of a while ago.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "expect", "server", "date"}


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, shares: Mapping[str, float], seed: int, slow_seconds: float = 0.5) -> None:
        """`port` of the server behind it; `shares` of the faults 500, 503, slow, cut, unanswered and stale."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.shares, self.slow_seconds = port, dict(shares), slow_seconds
        self.injected, self.listings = Counter[str](), dict[str, Any]()
        self._draws, self._lock = random.Random(seed), threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def fault(self, method: str, is_listing: bool) -> str:
        """What to do to a request; "" for nothing."""
        with self._lock:
            at = self._draws.random()
            for fault, share in self.shares.items():
                at -= share
                if at < 0:
                    applies = {"cut": method in ("PUT", "POST"), "stale": is_listing}.get(fault, True)
                    self.injected[fault] += applies
                    return fault if applies else ""
        return ""

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what this is about."""


@contextlib.contextmanager
def proxy(port: int, shares: Mapping[str, float], seed: int, **more: Any) -> Iterator[Proxy]:
    with Proxy(port, shares, seed, **more) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        fault = self.server.fault(self.command, "list-type" in self.path)
        if fault == "cut":
            self.rfile.read(1)
            self._hang_up()
            return
        body = self._body()
        if fault in ("500", "503"):
            self._answer(int(fault), {"Content-Type": "application/xml"}, b"<Error><Code>InternalError</Code></Error>")
            return
        if fault == "slow":
            time.sleep(self.server.slow_seconds)
        answer = self._asked(body)
        if fault == "unanswered":
            self._hang_up()
            return
        if "list-type" in self.path:
            before, self.server.listings[self.path] = self.server.listings.get(self.path), answer
            answer = before if fault == "stale" and before else answer
        self._answer(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _pass_on  # noqa: N815  (http.server's names)

    def _body(self) -> bytes:
        """With its length said, or in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(chunks)

    def _asked(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        with contextlib.closing(connection):
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Quiet."""
