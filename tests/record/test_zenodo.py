"""Asking a record what it holds: right answers in both shapes, and every wrong one."""

import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fake_zenodo import FakeZenodo, Fault

from figures_pkg.record import zenodo
from figures_pkg.record.manifest import Record
from figures_pkg.record.zenodo import RemoteError, check_url, resolve

RECORD = Record("sed", "10.5281/zenodo.1234567", "1234567", "BSD-2-Clause", "scans")


@pytest.fixture
def server(world):
    """The imitation that FIGURES_PKG_ZENODO_API points to."""
    return world.server


@pytest.mark.parametrize("shape", ["legacy", "new"])
def test_both_shapes_of_the_api_say_the_same(server, tmp_path, shape):
    """Names, sizes and checksums agree in the shape of today and that of October 2023, and the links deliver."""
    server.shape = shape
    pins = resolve(RECORD)
    assert set(pins) == set(server.files)
    for name, content in server.files.items():
        assert (pins[name].size, pins[name].checksum) == (len(content), "md5:" + hashlib.md5(content).hexdigest())
        zenodo.download(pins[name].url, tmp_path / pins[name].checksum[4:], len(content), name)
        assert (tmp_path / pins[name].checksum[4:]).read_bytes() == content


def test_zenodo_is_told_who_asks_and_no_proxy_is(server, monkeypatch, caplog):
    """Zenodo refuses nameless clients; loopback is never asked through a proxy; a licence that is not the manifest's is told."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("no_proxy", "")
    resolve(RECORD)
    ((_, headers),) = server.asked
    assert not caplog.records
    server.licence = "cc-by-4.0"
    resolve(RECORD)
    assert "cc-by-4.0" in caplog.text
    assert headers["User-Agent"].startswith("figures_pkg/") and "(+https://doi.org/10.1038/s41524-024-01265-y)" in headers["User-Agent"]


def test_retry_after_is_obeyed_where_it_says_something(server, slept):
    """Seconds or a date; a past date means now, nonsense costs the usual pause, and too long a time is an error."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)  # a date has whole seconds
    expected = {"4": 4, date: 29.5, "0": 0, "Thu, 01 Jan 1970 00:00:00 GMT": 0, "soon": 1, "": 1, "0.5": 1}
    for text in expected:
        server.faults["record"] = [Fault(429, {"Retry-After": text}, b"slow down")]
        assert set(resolve(RECORD)) == set(server.files)
    assert slept == pytest.approx(list(expected.values()), abs=1.5) and slept[0] == 4
    server.faults["record"] = [Fault(429, {"Retry-After": "3600"}, b"slow down")]
    with pytest.raises(RemoteError, match="3600 s"):
        resolve(RECORD)
    assert len(slept) == len(expected)


REFUSED = {
    **{f"status {status}": (Fault(status, body=b'{"message": "no such thing"}'), 1, f"{status}.*no such thing.*data_manifest.yaml") for status in (403, 404, 410)},
    "busy": (Fault(503, body=b'{"status": 429, "message": "Too many requests"}'), 3, "(?s)503.*Too many requests"),
    "a gateway's page": (Fault(503, body=b"<html><h1>Bad <b>gateway</b></h1></html>"), 3, "(?s)503.*Bad +gateway"),
    "no words": (Fault(503, body=b""), 3, "(?s)503.*gave up after 3"),
    "a redirect to plain http": (Fault(302, {"Location": "http://files.example.org/record"}, b""), 1, "files.example.org.*refused"),
    "a page": (Fault(body=b"<html>maintenance</html>"), 1, "maintenance"),
    "cut JSON": (Fault(body=b'{"files": ['), 1, "not describe"),
    "no text": (Fault(body=b"\xff\xfe\x00"), 1, "not describe"),
    "a list": (Fault(body=b"[1, 2]"), 1, "not describe"),
    "no files": (Fault(body=b'{"message": "hidden"}'), 1, "not describe.*hidden"),
    "files that are none": (Fault(body=b'{"files": {"enabled": true}}'), 1, "not describe"),
    "another record": (Fault(body=b'{"id": 7654321, "files": []}'), 1, "1234567 answered for record 7654321.*data_manifest.yaml"),
    "no checksum": (Fault(body=b'{"files": [{"key": "a", "links": {}}]}'), 1, "not describe"),
    "a short checksum": (Fault(body=b'{"files": [{"filename": "a", "filesize": 1, "checksum": "12"}]}'), 1, "bytes and md5"),
    "an unprotected host": (Fault(body=b'{"files": [{"key": "a", "size": 1, "checksum": "md5:%s", "links": {"self": "http://example.org/a"}}]}' % (b"0" * 32)), 1, "refused"),
}


@pytest.mark.parametrize(("fault", "asked", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_answers_that_are_no_record_are_told(server, slept, fault, asked, words):
    """What waiting can mend is asked for again, the rest is not; the server's words reach the user, and no KeyError or JSON traceback does."""
    server.always["record"] = fault
    with pytest.raises(RemoteError, match=words):
        resolve(RECORD)
    assert len(server.asked) == asked and slept == [1, 2][: asked - 1]  # the pauses double


def test_a_silent_api_and_one_that_is_not_there_are_told(server, monkeypatch):
    server.always["record"] = Fault(stop_after=10, how="stall")
    monkeypatch.setattr(zenodo, "SILENCE_S", 0.1)
    with pytest.raises(RemoteError, match="gave up after 3"):
        resolve(RECORD)
    with FakeZenodo({}) as fake:
        monkeypatch.setenv(zenodo.API_VARIABLE, fake.api)
    with pytest.raises(RemoteError, match="127.0.0.1.*gave up after 3"):
        resolve(RECORD)


def test_https_and_loopback_are_accepted_and_nothing_else(monkeypatch):
    """The public API is the default."""
    for url in ("http://zenodo.org/api", "ftp://127.0.0.1/x", "file:///etc/passwd", "zenodo.org/api", "https:///x", "http://10.0.0.1/",
                "http://localhost.example.org", "http://127.0.0.1.example.org/", "http://127.0.0.1@example.org/"):  # fmt: skip
        with pytest.raises(RemoteError, match="refused"):
            check_url(url)
    for url in ("https://example.org/x", "http://localhost:1/x", "http://127.9.9.9/", "http://[::1]:80/"):
        assert check_url(url) == url
    monkeypatch.setenv(zenodo.API_VARIABLE, "")
    assert zenodo.api() == "https://zenodo.org/api"
