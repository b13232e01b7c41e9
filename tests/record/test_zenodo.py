"""Asking a record what it holds: right answers in both shapes, and every wrong one."""

import dataclasses
import hashlib
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fake_zenodo import FakeZenodo, Fault

from figures_pkg.record import zenodo
from figures_pkg.record.download import Patience, RemoteError, check_url, get
from figures_pkg.record.manifest import Record

RECORD = Record("sed", "10.5281/zenodo.1234567", "1234567", "BSD-2-Clause", "scans")
FILES = {"a scan.hspy": b"counts", "Weight:100%_#1.pkl": b"weights"}
QUICK = Patience(connect_s=2, silence_s=5, tries=3, pause_s=0.01, longest_pause_s=0.02, longest_retry_after_s=5)


@pytest.fixture
def server(monkeypatch):
    """An imitation with two files that FIGURES_PKG_ZENODO_API points to."""
    with FakeZenodo(FILES) as fake:
        monkeypatch.setenv(zenodo.API_VARIABLE, fake.api)
        yield fake


@pytest.mark.parametrize("shape", ["legacy", "new"])
def test_both_shapes_of_the_api_say_the_same(server, shape):
    """Names, sizes and checksums agree in the shape of today and that of October 2023, and the links deliver."""
    server.shape = shape
    files = zenodo.resolve(RECORD, QUICK)
    assert {name: (file.size, file.checksum) for name, file in files.items()} == {
        name: (len(content), "md5:" + hashlib.md5(content).hexdigest()) for name, content in FILES.items()
    }
    for name, file in files.items():
        with get(file.url, QUICK) as response:
            assert response.content == FILES[name]


def test_we_say_who_we_are(server):
    """Zenodo refuses nameless clients; ours has a name, a version and an address."""
    zenodo.resolve(RECORD, QUICK)
    (headers,) = server.requests_of("record")
    assert headers["User-Agent"].startswith("figures_pkg/")
    assert "(+https://doi.org/10.1038/s41524-024-01265-y)" in headers["User-Agent"]


@pytest.mark.parametrize("wait", ["seconds", "date"])
def test_retry_after_is_obeyed(server, wait):
    """After 429 we wait for as long as the server says, in either notation, and then get the record."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)  # a date has whole seconds
    server.faults["record"] = [Fault(429, {"Retry-After": "1" if wait == "seconds" else date}, b"slow down")]
    start = time.monotonic()
    assert set(zenodo.resolve(RECORD, QUICK)) == set(FILES)
    assert time.monotonic() - start > 0.95
    assert len(server.asked) == 2


def test_a_server_that_asks_for_too_much_time_is_an_error(server):
    server.faults["record"] = [Fault(429, {"Retry-After": "3600"}, b"slow down")]
    with pytest.raises(RemoteError, match="3600 s"):
        zenodo.resolve(RECORD, QUICK)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refusals_are_not_repeated(server, status):
    server.always["record"] = Fault(status, body=b'{"message": "no such thing"}', kind="application/json")
    with pytest.raises(RemoteError, match=f"{status}.*no such thing"):
        zenodo.resolve(RECORD, QUICK)
    assert len(server.asked) == 1


BODIES = {
    "JSON": (b'{"status": 429, "message": "Too many requests"}', "application/json", "Too many requests"),
    "HTML": (b"<html><h1>Bad <b>gateway</b></h1></html>", "text/html", "Bad +gateway"),
    "nothing": (b"", "text/plain", "gave up after 3"),
}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("body, kind, said", BODIES.values(), ids=BODIES.keys())
def test_temporary_errors_are_repeated_and_then_told(server, status, body, kind, said):
    """Whatever the body of the error is, its words reach the user and no KeyError or JSON traceback does."""
    server.always["record"] = Fault(status, body=body, kind=kind)
    with pytest.raises(RemoteError, match=f"(?s){status}.*{said}"):
        zenodo.resolve(RECORD, QUICK)
    assert len(server.asked) == QUICK.tries


STRANGE = {
    "HTML with status 200": (b"<html>maintenance</html>", "text/html", "expected JSON"),
    "half a JSON": (b'{"files": [', "application/json", "expected JSON"),
    "bytes": (b"\xff\xfe\x00", "application/json", "expected JSON"),
    "a list": (b"[1, 2]", "application/json", "expected an object"),
    "an error with status 200": (b'{"message": "hidden"}', "application/json", "lists no files.*hidden"),
    "files that are no list": (b'{"files": {"enabled": true}}', "application/json", "lists no files"),
    "another record": (b'{"id": 7654321, "files": []}', "application/json", "answered for record 7654321"),
    "a file without size": (b'{"files": [{"key": "a", "links": {}}]}', "application/json", "not understood"),
    "a short checksum": (b'{"files": [{"filename": "a", "filesize": 1, "checksum": "12"}]}', "", "bytes and md5"),
}


@pytest.mark.parametrize("body, kind, said", STRANGE.values(), ids=STRANGE.keys())
def test_answers_that_are_no_record_are_told(server, body, kind, said):
    server.always["record"] = Fault(body=body, kind=kind)
    with pytest.raises(RemoteError, match=said):
        zenodo.resolve(RECORD, QUICK)


def test_a_silent_api_is_given_up(server):
    server.always["record"] = Fault(stop_after=10, how="stall")
    with pytest.raises(RemoteError):
        zenodo.resolve(RECORD, patience=dataclasses.replace(QUICK, silence_s=0.2))


def test_an_api_that_is_not_there_is_told(monkeypatch):
    with FakeZenodo({}) as fake:
        address = fake.api
    monkeypatch.setenv(zenodo.API_VARIABLE, address)
    with pytest.raises(RemoteError, match="127.0.0.1.*gave up after 3"):
        zenodo.resolve(RECORD, QUICK)


def test_the_public_api_is_the_default(monkeypatch):
    monkeypatch.delenv(zenodo.API_VARIABLE, raising=False)
    assert zenodo.api() == "https://zenodo.org/api"
    monkeypatch.setenv(zenodo.API_VARIABLE, "")
    assert zenodo.api() == "https://zenodo.org/api"


REFUSED = ["http://zenodo.org/api", "ftp://127.0.0.1/x", "file:///etc/passwd", "zenodo.org/api", "https:///x"]
REFUSED += ["http://localhost.example.org", "http://127.0.0.1.example.org/", "http://127.0.0.1@example.org/"]
REFUSED += ["http://10.0.0.1/"]


@pytest.mark.parametrize("url", REFUSED)
def test_other_schemes_and_hosts_are_refused(monkeypatch, url):
    monkeypatch.setenv(zenodo.API_VARIABLE, url)
    with pytest.raises(RemoteError, match="refused"):
        zenodo.api()


ACCEPTED = ["https://example.org/x", "http://localhost:1/x", "http://127.9.9.9/", "http://[::1]:80/"]


@pytest.mark.parametrize("url", ACCEPTED)
def test_https_and_loopback_are_accepted(url):
    assert check_url(url) == url


def test_a_redirect_to_plain_http_is_refused(server):
    server.always["record"] = Fault(302, {"Location": "http://files.example.org/record"}, b"")
    with pytest.raises(RemoteError, match="files.example.org.*refused"):
        zenodo.resolve(RECORD, QUICK)


def test_a_link_to_plain_http_is_refused(server):
    """A record cannot send us to an unprotected host."""
    item = '{"key": "a", "size": 1, "checksum": "md5:%s", "links": {"self": "http://example.org/a"}}' % ("0" * 32)
    server.always["record"] = Fault(body=f'{{"files": [{item}]}}'.encode())
    with pytest.raises(RemoteError, match="refused"):
        zenodo.resolve(RECORD, QUICK)


def test_loopback_is_never_asked_through_a_proxy(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("no_proxy", "")
    assert set(zenodo.resolve(RECORD, QUICK)) == set(FILES)


def test_another_licence_is_noticed(server, caplog):
    with caplog.at_level(logging.WARNING):
        zenodo.resolve(RECORD, QUICK)
        assert not caplog.records
        server.licence = "cc-by-4.0"
        zenodo.resolve(RECORD, QUICK)
    assert "cc-by-4.0" in caplog.text


@pytest.mark.parametrize("text", ["0", "0.5", "", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_costs_the_usual_pause(server, text):
    """Past dates mean now; nonsense is no error."""
    server.faults["record"] = [Fault(503, {"Retry-After": text}, b"slow down")]
    assert set(zenodo.resolve(RECORD, QUICK)) == set(FILES)
