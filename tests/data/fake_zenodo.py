"""A small imitation of Zenodo on loopback that can fail in every way that we have to survive."""

import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

PIECE = 1 << 16


@dataclass(frozen=True)
class Fault:
    """How one answer goes wrong; the defaults are a right one."""

    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes | None = None  # instead of the right one
    kind: str = "application/octet-stream"
    stop_after: int | None = None  # bytes of the body, then `how`
    how: str = "close"  # "close", "reset" or "stall"
    length: bool = True  # whether Content-Length is sent
    chunked: bool = False  # in HTTP chunks instead
    ignore_range: bool = False
    corrupt: bool = False  # flip a bit of the first byte
    piece_pause_s: float = 0.0  # a slow line


class FakeZenodo:
    """
    One record with its files; use as a context manager.

    `faults[path]` is a list of faults for successive requests of a path, "record" or a file's name; `always[path]`
    holds for every request. `asked` gathers (path, headers) of all requests.
    """

    def __init__(self, files, record="1234567", shape="legacy"):
        self.files = files
        self.record = record
        self.shape = shape
        self.stated_sizes = {}  # what the record says where it lies
        self.licence = "bsd-2-clause"
        self.faults = defaultdict(list)
        self.always = {}
        self.asked = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"zenodo": self}))
        self.server.daemon_threads = True
        self.over = threading.Event()

    @property
    def api(self):
        """Address of the imitation's API."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/api"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def requests_of(self, path):
        """Return the headers of all requests for "record" or a file's name."""
        return [headers for asked, headers in self.asked if asked == path]

    def ranges_of(self, path):
        """Return the Range header of each request for a file, None where there was none."""
        return [headers.get("Range") for headers in self.requests_of(path)]

    def next_fault(self, path):
        """Return how the next answer to a path goes."""
        queue = self.faults[path]
        return queue.pop(0) if queue else self.always.get(path, Fault())

    def description(self):
        """Return the record as the API describes it, in the shape of today or in that of October 2023."""
        items = [self._item(name, content) for name, content in self.files.items()]
        metadata = {"license": {"id": self.licence}}
        return {"id": int(self.record), "revision": 3, "metadata": metadata, "files": items}

    def _item(self, name, content):
        """Return the description of one file."""
        size = self.stated_sizes.get(name, len(content))
        digits = hashlib.md5(content).hexdigest()
        if self.shape == "new":
            return {"filename": name, "filesize": size, "checksum": digits}
        link = f"{self.api}/records/{self.record}/files/{quote(name, safe='')}/content"
        return {"key": name, "size": size, "checksum": f"md5:{digits}", "links": {"self": link}}


class _Handler(BaseHTTPRequestHandler):
    """Answers one request according to the next fault of its path."""

    zenodo: FakeZenodo
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer."""
        path = self._name()
        self.zenodo.asked.append((path, dict(self.headers)))
        fault = self.zenodo.next_fault(path)
        known = path == "record" or path in self.zenodo.files
        if not known and fault == Fault():
            fault = Fault(404, body=b'{"status": 404, "message": "The requested URL was not found."}')
        self._answer(path, fault)

    def _name(self):
        """Return "record", a file's name, or the path itself if it is neither."""
        base = f"/records/{self.zenodo.record}"
        if self.path == f"/api{base}":
            return "record"
        found = re.fullmatch(rf"/api{base}/files/([^/]+)/content|{base}/files/([^/?]+)\?download=1", self.path)
        return unquote(found[1] or found[2]) if found else self.path

    def _answer(self, path, fault):
        """Send status, headers and body as the fault has it."""
        status, headers, body = fault.status, dict(fault.headers), fault.body
        if body is None and path == "record":
            body, headers["Content-Type"] = json.dumps(self.zenodo.description()).encode(), "application/json"
        elif body is None:
            body = self.zenodo.files.get(path, b"")
            status, body = self._cut_range(status, headers, body, fault)
        if fault.corrupt:
            body = bytes([body[0] ^ 1]) + body[1:]
        headers.setdefault("Content-Type", fault.kind)
        if fault.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif fault.length:
            headers["Content-Length"] = str(len(body))
        else:
            headers["Connection"] = "close"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(body, fault)

    def _cut_range(self, status, headers, body, fault):
        """Return 206 and the rest of the body if a range was asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not asked or fault.ignore_range or status != 200:
            return status, body
        start = int(asked[1])
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return 206, body[start:]

    def _send(self, body, fault):
        """Send the body, or its beginning and then what the fault says."""
        end = len(body) if fault.stop_after is None else fault.stop_after
        for start in range(0, end, PIECE):
            piece = body[start : min(start + PIECE, end)]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if fault.chunked else piece)
            time.sleep(fault.piece_pause_s)
        if fault.stop_after is None and fault.chunked:
            self.wfile.write(b"0\r\n\r\n")
        if fault.stop_after is None and fault.length:
            return
        self.close_connection = True
        if fault.how == "stall":
            self.zenodo.over.wait(10)
        elif fault.how == "reset":
            time.sleep(0.1)  # let the bytes before the reset arrive
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def handle(self):
        """Serve a connection; a client that hangs up, or that we hung up on, is part of the play."""
        try:
            super().handle()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True

    def finish(self):
        """Close the streams, which a reset has closed already."""
        try:
            super().finish()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True

    def log_message(self, *args):
        """Stay silent."""
