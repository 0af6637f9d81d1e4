"""The URI of MLflow: a secret is refused and not repeated, and what is no URI is a line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edgecompress.cli import main
from edgecompress.errors import InputError
from edgecompress.report.tracking_uri import checked_uri, shown

LOGIN = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
CLIENT = "keep it where the database's own client looks, such as ~/.pgpass"
FORMS = "http://HOST:PORT, https://HOST or sqlite:///FILE.db"


def test_a_database_that_is_not_there_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(InputError) as told:
        checked_uri(f"postgresql+psycopg2://me@127.0.0.1:{port}/runs")
    assert str(told.value) == (
        f"MLflow at postgresql+psycopg2://127.0.0.1:{port}/runs cannot be reached: connection refused; check the"
        " address, and that it runs"
    )


@pytest.mark.parametrize(
    ("uri", "way"),
    [
        ("http://me:hunter2@host:5000", LOGIN),
        ("https://hunter2@host", LOGIN),
        ("HTTPS://hunter2@host", LOGIN),
        ("http://me:hunter2@[host/", LOGIN),
        ("http://me:p/hunter2@host", LOGIN),
        ("http:/me:hunter2@host", LOGIN),
        ("me:hunter2@host:5000", LOGIN),
        ("//me:hunter2@host", LOGIN),
        ("https://host/?Token=hunter2", LOGIN),
        ("http://host/?access_token=hunter2", LOGIN),
        ("http://host/?a=1&apikey=hunter2", LOGIN),
        ("http://host/?x-auth=hunter2", LOGIN),
        ("http://host/#access_token=hunter2", LOGIN),
        ("http://host/?client%5Fsecret=hunter2", LOGIN),
        ("postgresql://me:hunter2@host/runs", CLIENT),
        ("postgresql://me:a#hunter2@host/runs", CLIENT),
        ("postgresql://me:hunter2@[host/runs", CLIENT),
        ("sqlite://me:hunter2@host", CLIENT),
        ("file://me:hunter2@host", CLIENT),
        ("mysql://host/runs?password=hunter2", CLIENT),
        ("mysql://host/runs?sslpassword=hunter2", CLIENT),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BODBC%7D%3BUID%3Dme%3BPWD%3Dhunter2", CLIENT),
    ],
)
def test_a_secret_in_the_uri_is_refused_and_not_repeated(
    uri: str, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", str(tmp_path), "--mlflow", uri]) == 2
    told = f"the URI of MLflow holds a name or password, which others can read; leave it out, and {way}"
    assert capsys.readouterr() == ("", f"error: {told}\n")


@pytest.mark.parametrize(
    "uri",
    [
        "http://host:5000",
        "https://[::1]:5000/mlflow",
        "http://host/team@home",
        "sqlite:///runs.db",
        "sqlite:////home/a:b/me@home/runs.db",
        "sqlite:///runs.db?timeout=3",
        "file:/home/me@home/runs",
        "file:///home/a:b/me@home/runs",
        "mysql:///runs?ssl_key=/etc/client.pem",
        "databricks",
        "databricks://profile",
        "databricks://scope:prefix",
    ],
)
def test_a_uri_without_a_secret_is_taken(uri: str) -> None:
    checked_uri(uri)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("", f"'' is no URI; write {FORMS}"),
        ("runs", f"'runs' is no URI; write {FORMS}"),
        ("http:", f"'http:' is no URI; write {FORMS}"),
        ("http://", f"'http://' names no host; write {FORMS}"),
        ("http://[", f"'http://[' is no URI; write {FORMS}"),
        ("localhost:5000", "'localhost:5000' is no URI; did you mean 'http://localhost:5000'?"),
        ("postgresql://a..b/runs", "'postgresql://a..b/runs' names no host; check the address"),
    ],
)
def test_what_is_no_uri_is_told(uri: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        checked_uri(uri)
    assert str(error.value) == told


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://host:abc/db",
        "mysql+pymysql://host:99999/db",
        "http://host:99999",
        "http://host:0",
        "http://me:hunter2",
        "postgresql://host:hunter2%40host/db",
    ],
)
def test_a_port_that_is_none_is_a_line_which_does_not_repeat_it(uri: str) -> None:
    with pytest.raises(InputError) as error:
        checked_uri(uri)
    assert str(error.value) == f"the port in the URI of MLflow is none from 1 to 65535; write {FORMS}"


@pytest.mark.parametrize(
    "uri", ["http://host:5000/a", "http://me@host:5000/a", "http://host:5000/a?b=c", "http://me@host:5000/a#b"]
)
def test_a_message_shows_neither_user_nor_query(uri: str) -> None:
    assert shown(uri) == "http://host:5000/a"
