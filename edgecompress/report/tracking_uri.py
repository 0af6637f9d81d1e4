"""The URI of a tracking server or store: what is accepted as one, and how messages show it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from urllib.parse import unquote_plus, urlsplit

from edgecompress.errors import InputError, first_line

FORMS = "http://HOST:PORT, https://HOST or sqlite:///FILE.db"
HOST_AND_PORT = re.compile(r"[A-Za-z0-9_.-]+:[0-9]+(/.*)?")
SECRETS = re.compile(r"pass|pwd|token|secret|key|auth", re.IGNORECASE)
"""What is part of a name in a URI's query whose value nobody should read."""
PUBLIC = ("passfile", "sslkey", "ssl_key")
"""Names that have such a part and are paths of files."""
QUERY = re.compile(r"[?#;]")
LOCAL = re.compile(r"sqlite[+\w]*:///|file:(?!//[^/])", re.IGNORECASE)
"""How URIs begin that name no server: what follows is a path."""
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
DATABASES = ("sqlite", *PORTS)
MAX_PORT = 65535
LOGIN = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
CLIENT = "keep it where the database's own client looks, such as ~/.pgpass"
CONNECT_S = 10


def checked_uri(uri: str) -> None:
    """Refuse a URI that is none, or that holds a secret; no message repeats that.

    A server of a database is asked whether it is there, since MLflow would ask for many minutes.

    Raises:
        InputError: it is one of these.
    """
    _require_no_secret(uri)
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise InputError(f"{shown(uri)!r} is no URI; write {FORMS}") from None
    if HOST_AND_PORT.fullmatch(uri):
        raise InputError(f"{uri!r} is no URI; did you mean 'http://{uri}'?")
    if uri != "databricks" and (not parts.scheme or not re.search(r":.+", uri)):
        raise InputError(f"{shown(uri)!r} is no URI; write {FORMS}")
    if _is_web(parts.scheme) and not parts.hostname:
        raise InputError(f"{shown(uri)!r} names no host; write {FORMS}")
    database = parts.scheme.partition("+")[0]
    if not _is_web(parts.scheme) and database not in DATABASES:
        return  # MLflow knows others, or says that it does not
    port = _port(uri)
    if database in PORTS and parts.hostname:
        _require_server(uri, parts.hostname, port or PORTS[database])


def database_of(uri: str) -> str | None:
    """The kind of database that a URI names; None for anything else.

    >>> database_of("mysql+pymysql://host/runs"), database_of("http://host")
    ('mysql', None)
    """
    kind = uri.partition(":")[0].partition("+")[0].lower()
    return kind if kind in DATABASES else None


def shown(uri: str) -> str:
    """A URI as messages may have it: without user and query.

    >>> shown("postgresql://me@host:5432/runs?sslmode=require")
    'postgresql://host:5432/runs'
    """
    return re.sub(r"(?<=//)[^/]*@", "", QUERY.split(uri, maxsplit=1)[0])


def unreachable(uri: str, error: BaseException) -> InputError:
    """What is told of a server that does not answer."""
    why = (getattr(error, "strerror", None) or first_line(error)).rstrip(".").lower()
    why = f"no answer within {CONNECT_S} s" if "timed out" in why or isinstance(error, TimeoutError) else why
    return InputError(f"MLflow at {shown(uri)} cannot be reached: {why}; check the address, and that it runs")


def _require_no_secret(uri: str) -> None:
    """By the text alone: what no reader of URIs can take apart may hold a password, too."""
    scheme, found, rest = uri.partition("://")
    rest, kind = (rest, scheme.partition("+")[0].lower()) if found else (uri, "http")
    named = not LOCAL.match(uri) and ":" in rest.rpartition("@")[0]
    named = named or (_is_web(kind) and "@" in rest.partition("/")[0])
    if named or any(SECRETS.search(name) and name not in PUBLIC for name in _names(uri)):
        way = LOGIN if _is_web(kind) else CLIENT
        raise InputError(f"the URI of MLflow holds a name or password, which others can read; leave it out, and {way}")


def _names(uri: str) -> Iterator[str]:
    """The names that a URI's query gives values, those within a value too, such as of ``odbc_connect``."""
    for query in QUERY.split(uri, maxsplit=1)[1:]:
        yield from (name.strip().lower() for name in re.findall(r"([^?&#;={]+)=", unquote_plus(query)))


def _is_web(scheme: str) -> bool:
    return scheme.lower() in ("http", "https")


def _port(uri: str) -> int | None:
    """The port; what stands in its place is not repeated, since a password may."""
    try:
        port = urlsplit(uri).port
    except ValueError:
        port = 0
    if port == 0:
        raise InputError(f"the port in the URI of MLflow is none from 1 to {MAX_PORT}; write {FORMS}")
    return port


def _require_server(uri: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except OSError as error:
        raise unreachable(uri, error) from None
    except ValueError:  # of a name that none can have
        raise InputError(f"{shown(uri)!r} names no host; check the address") from None
