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
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

PIECE = 1 << 16
SCAN = "a scan, 100 % real.hspy"
ODD = {"colon": "Weight_epoch:0000_l1:0.pkl", "hash": "a#b?c&d=e+f%20g.pkl", "up": "../../outside.txt", "slash": "x/y é.pkl"}


@dataclass(frozen=True)
class Fault:
    """How one answer goes wrong; the defaults are a right one."""

    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes | None = None  # instead of the right one
    stop_after: int | None = None  # bytes of the body, then `how`
    how: str = "close"  # "close", "reset" or "stall"
    length: bool = True  # whether Content-Length is sent
    chunked: bool = False  # in HTTP chunks instead
    ignore_range: bool = False
    corrupt: bool = False  # flip a bit of the first byte
    piece_pause_s: float = 0.0  # a slow line


def bytes_of(content: bytes | Path) -> bytes | memoryview:
    """The bytes of a file, without reading all of a large one."""
    return content if isinstance(content, bytes) else memoryview(np.memmap(content, mode="r"))


@cache
def digest(content: bytes | Path) -> str:
    """MD5 of a file; that of a large one is wanted more than once."""
    return hashlib.md5(bytes_of(content)).hexdigest()


class FakeZenodo:
    """One record with its files, each bytes or a path on disk; `others` holds those of further records by their numbers. A context manager.

    `faults[path]` is a list for successive requests of "record" or a file's name, `always[path]` holds for every one; `asked` gathers (path, headers).
    """

    def __init__(self, files, record="1234567", others=None):
        self.files, self.record, self.others = files, record, others or {}
        self.shape = "legacy"  # or "new", that of October 2023
        self.stated_sizes = {}  # what the record says where it lies
        self.licence = "bsd-2-clause"
        self.faults, self.always, self.asked = defaultdict(list), {}, []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"zenodo": self}))
        self.server.daemon_threads = True
        self.server.handle_error = lambda *args: None  # a client that hangs up, or that we hung up on, is part of the play
        self.over = threading.Event()

    @property
    def api(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/api"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def ranges_of(self, path):
        """The Range header of each request for "record" or a file's name, None where there was none."""
        return [headers.get("Range") for asked, headers in self.asked if asked == path]

    def description(self, record, files):
        """A record as the API describes it."""
        items = []
        for name, content in files.items():
            size, link = self.stated_sizes.get(name, len(bytes_of(content))), f"{self.api}/records/{record}/files/{quote(name, safe='')}/content"
            items.append({"filename": name, "filesize": size, "checksum": digest(content)} if self.shape == "new" else
                         {"key": name, "size": size, "checksum": f"md5:{digest(content)}", "links": {"self": link}})  # fmt: skip
        return {"id": int(record), "revision": 3, "metadata": {"license": {"id": self.licence}}, "files": items}


class _Handler(BaseHTTPRequestHandler):
    """Answers one request according to the next fault of its path."""

    zenodo: FakeZenodo
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Send status, headers and body as the fault has it."""
        asked = re.fullmatch(r"/api/records/(\d+)(?:/files/([^/]+)/content)?|/records/(\d+)/files/([^/?]+)\?download=1", self.path)
        record, path = (asked[1] or asked[3], unquote(asked[2] or asked[4] or "record")) if asked else ("", self.path)
        self.zenodo.asked.append((path, dict(self.headers)))
        queue = self.zenodo.faults[path]
        files = self.zenodo.files if record == self.zenodo.record else self.zenodo.others.get(record, {})
        fault = queue.pop(0) if queue else self.zenodo.always.get(path, Fault())
        status, headers, body = fault.status, dict(fault.headers), fault.body
        if body is None and files and path == "record":
            body = json.dumps(self.zenodo.description(record, files)).encode()
        elif body is None and path in files:
            body = bytes_of(files[path])
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if asked and not fault.ignore_range and status == 200:
                start = int(asked[1])
                status, headers["Content-Range"], body = 206, f"bytes {start}-{len(body) - 1}/{len(body)}", body[start:]
        elif body is None:
            status, body = 404, b'{"status": 404, "message": "The requested URL was not found."}'
        if fault.corrupt:
            body = bytes([body[0] ^ 1]) + body[1:]
        headers |= {"Transfer-Encoding": "chunked"} if fault.chunked else {"Content-Length": str(len(body))} if fault.length else {"Connection": "close"}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(body, fault)

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

    def log_message(self, *args):
        """Stay silent."""
