"""Asking a record what it holds: right answers in both shapes, and every wrong one."""

import hashlib
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fake_zenodo import FakeZenodo, Fault

from figures_pkg.record import zenodo
from figures_pkg.record.manifest import Record
from figures_pkg.record.zenodo import RemoteError, check_url, resolve

RECORD = Record("sed", "10.5281/zenodo.1234567", "1234567", "BSD-2-Clause", "scans")
FILES = {"a scan.hspy": b"counts", "Weight:100%_#1.pkl": b"weights"}


@pytest.fixture
def server(monkeypatch, slept):
    """An imitation with two files that FIGURES_PKG_ZENODO_API points to."""
    with FakeZenodo(FILES) as fake:
        monkeypatch.setenv(zenodo.API_VARIABLE, fake.api)
        yield fake


@pytest.mark.parametrize("shape", ["legacy", "new"])
def test_both_shapes_of_the_api_say_the_same(server, tmp_path, shape):
    """Names, sizes and checksums agree in the shape of today and that of October 2023, and the links deliver."""
    server.shape = shape
    files = resolve(RECORD)
    assert {name: (file.size, file.checksum) for name, file in files.items()} == {
        name: (len(content), "md5:" + hashlib.md5(content).hexdigest()) for name, content in FILES.items()
    }
    for name, file in files.items():
        zenodo.download(file.url, tmp_path / shape, file.size, name)
        assert (tmp_path / shape).read_bytes() == FILES[name]
        (tmp_path / shape).unlink()


def test_we_say_who_we_are(server):
    """Zenodo refuses nameless clients; ours has a name, a version and an address."""
    resolve(RECORD)
    (headers,) = server.requests_of("record")
    assert headers["User-Agent"].startswith("figures_pkg/") and "(+https://doi.org/10.1038/s41524-024-01265-y)" in headers["User-Agent"]


def test_retry_after_is_obeyed_where_it_says_something(server, slept):
    """Seconds or a date; a past date means now, and nonsense costs the usual pause."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)  # a date has whole seconds
    expected = {"4": 4, date: 29.5, "0": 0, "Thu, 01 Jan 1970 00:00:00 GMT": 0, "soon": 1, "": 1, "0.5": 1}
    for text in expected:
        server.faults["record"] = [Fault(429, {"Retry-After": text}, b"slow down")]
        assert set(resolve(RECORD)) == set(FILES)
    assert slept == pytest.approx(list(expected.values()), abs=1.5) and slept[0] == 4


def test_a_server_that_asks_for_too_much_time_is_an_error(server, slept):
    server.faults["record"] = [Fault(429, {"Retry-After": "3600"}, b"slow down")]
    with pytest.raises(RemoteError, match="3600 s"):
        resolve(RECORD)
    assert not slept


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refusals_are_not_repeated(server, status):
    server.always["record"] = Fault(status, body=b'{"message": "no such thing"}', kind="application/json")
    with pytest.raises(RemoteError, match=f"{status}.*no such thing"):
        resolve(RECORD)
    assert len(server.asked) == 1


BODIES = {"Too many requests": b'{"status": 429, "message": "Too many requests"}', "Bad +gateway": b"<html><h1>Bad <b>gateway</b></h1></html>", "gave up after 3": b""}


@pytest.mark.parametrize("said", BODIES)
def test_temporary_errors_are_repeated_and_then_told(server, said):
    """Whatever the body of the error is, its words reach the user and no KeyError or JSON traceback does."""
    server.always["record"] = Fault(503, body=BODIES[said])
    with pytest.raises(RemoteError, match=f"(?s)503.*{said}"):
        resolve(RECORD)
    assert len(server.asked) == 3


STRANGE = {
    b"<html>maintenance</html>": "maintenance",  # with status 200
    b'{"files": [': "not describe",
    b"\xff\xfe\x00": "not describe",
    b"[1, 2]": "not describe",
    b'{"message": "hidden"}': "not describe.*hidden",
    b'{"files": {"enabled": true}}': "not describe",
    b'{"id": 7654321, "files": []}': "answered for record 7654321",
    b'{"files": [{"key": "a", "links": {}}]}': "not describe",
    b'{"files": [{"filename": "a", "filesize": 1, "checksum": "12"}]}': "bytes and md5",
    b'{"files": [{"key": "a", "size": 1, "checksum": "md5:%s", "links": {"self": "http://example.org/a"}}]}' % (b"0" * 32): "refused",
}


@pytest.mark.parametrize("body", STRANGE)
def test_answers_that_are_no_record_are_told(server, body):
    """Among them a record that sends us to an unprotected host."""
    server.always["record"] = Fault(body=body)
    with pytest.raises(RemoteError, match=STRANGE[body]):
        resolve(RECORD)


def test_a_silent_api_and_one_that_is_not_there_are_told(server, monkeypatch):
    server.always["record"] = Fault(stop_after=10, how="stall")
    monkeypatch.setattr(zenodo, "SILENCE_S", 0.1)
    with pytest.raises(RemoteError, match="gave up after 3"):
        resolve(RECORD)
    with FakeZenodo({}) as fake:
        address = fake.api
    monkeypatch.setenv(zenodo.API_VARIABLE, address)
    with pytest.raises(RemoteError, match="127.0.0.1.*gave up after 3"):
        resolve(RECORD)


@pytest.mark.parametrize("url", ["http://zenodo.org/api", "ftp://127.0.0.1/x", "file:///etc/passwd", "zenodo.org/api", "https:///x", "http://10.0.0.1/",
                                 "http://localhost.example.org", "http://127.0.0.1.example.org/", "http://127.0.0.1@example.org/"])  # fmt: skip
def test_other_schemes_and_hosts_are_refused(monkeypatch, url):
    monkeypatch.setenv(zenodo.API_VARIABLE, url)
    with pytest.raises(RemoteError, match="refused"):
        zenodo.api()


@pytest.mark.parametrize("url", ["https://example.org/x", "http://localhost:1/x", "http://127.9.9.9/", "http://[::1]:80/"])
def test_https_and_loopback_are_accepted(monkeypatch, url):
    """The public API is the default."""
    assert check_url(url) == url
    monkeypatch.setenv(zenodo.API_VARIABLE, "")
    assert zenodo.api() == "https://zenodo.org/api"


def test_a_redirect_to_plain_http_is_refused(server):
    server.always["record"] = Fault(302, {"Location": "http://files.example.org/record"}, b"")
    with pytest.raises(RemoteError, match="files.example.org.*refused"):
        resolve(RECORD)


def test_loopback_is_never_asked_through_a_proxy(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("no_proxy", "")
    assert set(resolve(RECORD)) == set(FILES)


def test_another_licence_is_noticed(server, caplog):
    with caplog.at_level(logging.WARNING):
        resolve(RECORD)
        assert not caplog.records
        server.licence = "cc-by-4.0"
        resolve(RECORD)
    assert "cc-by-4.0" in caplog.text
