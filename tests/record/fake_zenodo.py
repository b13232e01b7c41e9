"""A small imitation of Zenodo on loopback that can fail in every way that we have to survive."""

import hashlib
import json
import mmap
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
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
    One record with its files, or several; use as a context manager.

    The content of a file is given as bytes, or as the path of a file on disk, which may be large. `others` holds the files of
    further records by their numbers. `faults[path]` is a list of faults for successive requests of a path, "record" or a file's
    name; `always[path]` holds for every request. `asked` gathers (path, headers) of all requests.
    """

    def __init__(self, files, record="1234567", shape="legacy", others=None):
        self.files = files
        self.record = record
        self.others = others or {}
        self.answers_as = {}  # number that a record says it has, where it is not the one asked for
        self.digests = {}
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

    def files_of(self, record):
        """Return the files of a record by name, or None if there is no such record."""
        return self.files if record == self.record else self.others.get(record)

    def content(self, record, name):
        """Return the bytes of a file, without reading all of a large one."""
        content = (self.files_of(record) or {}).get(name, b"")
        if not isinstance(content, Path):
            return content
        with content.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def description(self, record):
        """Return a record as the API describes it, in the shape of today or in that of October 2023."""
        items = [self._item(record, name) for name in self.files_of(record)]
        metadata = {"license": {"id": self.licence}}
        return {"id": int(self.answers_as.get(record, record)), "revision": 3, "metadata": metadata, "files": items}

    def _item(self, record, name):
        """Return the description of one file."""
        content = self.content(record, name)
        size = self.stated_sizes.get(name, len(content))
        digits = self._digest(content, self.files_of(record)[name])
        if self.shape == "new":
            return {"filename": name, "filesize": size, "checksum": digits}
        link = f"{self.api}/records/{record}/files/{quote(name, safe='')}/content"
        return {"key": name, "size": size, "checksum": f"md5:{digits}", "links": {"self": link}}

    def _digest(self, content, given):
        """Return the MD5 of a file, that of one on disk only once."""
        if not isinstance(given, Path):
            return hashlib.md5(content).hexdigest()
        if given not in self.digests:
            self.digests[given] = hashlib.md5(content).hexdigest()
        return self.digests[given]


class _Handler(BaseHTTPRequestHandler):
    """Answers one request according to the next fault of its path."""

    zenodo: FakeZenodo
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer."""
        record, path = self._asked()
        self.zenodo.asked.append((path, dict(self.headers)))
        fault = self.zenodo.next_fault(path)
        files = self.zenodo.files_of(record)
        known = files is not None and (path == "record" or path in files)
        if not known and fault == Fault():
            fault = Fault(404, body=b'{"status": 404, "message": "The requested URL was not found."}')
        self._answer(record, path, fault)

    def _asked(self):
        """Return the number of a record, and "record", a file's name, or the path itself if it is neither."""
        found = re.fullmatch(r"/api/records/(\d+)(?:/files/([^/]+)/content)?|/records/(\d+)/files/([^/?]+)\?download=1", self.path)
        if not found:
            return "", self.path
        name = found[2] or found[4]
        return found[1] or found[3], unquote(name) if name else "record"

    def _answer(self, record, path, fault):
        """Send status, headers and body as the fault has it."""
        status, headers, body = fault.status, dict(fault.headers), fault.body
        if body is None and path == "record":
            body, headers["Content-Type"] = json.dumps(self.zenodo.description(record)).encode(), "application/json"
        elif body is None:
            body = self.zenodo.content(record, path)
            status, body = self._cut_range(status, headers, body, fault)
        if fault.corrupt:
            body = bytes([body[0] ^ 1]) + bytes(body[1:])
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
