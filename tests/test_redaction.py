"""No credentials of a URI where people, logs and trackers read it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from raylab.cluster import connect
from raylab.config import document, objections
from raylab.engine import remote
from raylab.engine.files import told
from raylab.engine.redaction import public, redacted
from raylab.engine.runner import describe
from raylab.engine.store import Store, StoreError, refuse_credentials
from raylab.scoreboard import run as scoreboard
from raylab.sweep import words
from raylab.tracking.mlflow import connection as mlflow_connection

SECRET = "hunter2-hunter2"

HIDING = {
    f"s3://AKIAIOSFODNN7EXAMPLE:{SECRET}@bucket/raylab": "s3://***@bucket/raylab",
    f"http://me:{SECRET}@host:5000": "http://***@host:5000",
    f"http://{SECRET}@host:5000/path": "http://***@host:5000/path",
    f"https://{SECRET}:x-oauth-basic@host": "https://***@host",
    f"postgresql+psycopg2://me:a/{SECRET}/b@host/runs": "postgresql+psycopg2://***@host/runs",
    f"postgresql://me:a@{SECRET}@b@host:5432/runs": "postgresql://***@host:5432/runs",
    f"postgresql://me:a?{SECRET}#b@host/runs": "postgresql://***@host/runs",
    f"postgresql://host/runs?user=me&password={SECRET}&sslmode=require": "postgresql://host/runs?user=***&password=***&sslmode=require",
    f"s3://bucket/raylab?region=eu&{SECRET}": "s3://bucket/raylab?region=eu&***",
    f"s3://bucket?endpoint_override=http://me:{SECRET}@host:9000": "s3://***@host:9000",
    f"s3://bucket?endpoint_override=me%3A{SECRET}%40host&scheme=http": "s3://bucket?endpoint_override=***&scheme=http",
    f"https://host/mlflow#access_token={SECRET}": "https://host/mlflow#***",
}
KEEPING = (
    "/home/me@work/store",
    "sqlite:////home/me@work/mlflow.db",
    "file:///home/me@work/store",
    "s3://bucket/raylab?region=eu-west-1&scheme=http&endpoint_override=minio:9000",
    "http://mlflow:5000",
    "none",
)


@pytest.mark.parametrize("uri", HIDING)
def test_credentials_are_hidden_wherever_they_stand_in_a_uri(uri: str) -> None:
    assert public(uri) == HIDING[uri]
    assert SECRET not in redacted(f"cannot open {uri!r} ({uri}), giving up", uri)
    assert SECRET not in redacted(f"cannot open {uri!r}: host unknown")  # nobody says which URI it is


@pytest.mark.parametrize("sign", ["'", '"', " ", "<", "a/'", "a@'"])
def test_a_password_with_quotes_or_blanks_is_hidden_to_its_end(sign: str) -> None:
    uri = f"postgresql://me:pa{sign}{SECRET}@host/runs"
    assert redacted(f"at {uri}, giving up") == "at postgresql://***@host/runs, giving up"


def test_what_is_no_password_ends_no_uri_later() -> None:
    for text in (
        "http://host:5000 refused me@work",
        "'http://host:5000/x' of me@work",
        "s3://bucket/x?endpoint_override=minio:9000 data.root=/home/me@work",
    ):
        assert redacted(text) == text
    assert redacted("'a://u:p@one','b://u:p@two' c://u:p@three") == "'a://***@one','b://***@two' c://***@three"


@pytest.mark.parametrize("piece", ["a", "http://u:x' ", "a://b:'", "'a://b:c',"])
def test_a_long_text_is_redacted_in_time_that_grows_with_its_length(piece: str) -> None:
    began = time.process_time()
    redacted(piece * (50_000 // len(piece)))
    assert time.process_time() - began < 5


def longest(uri: str, width: int, length: int) -> str:
    """A text whose cut after `width` characters falls into the password of a URI."""
    return "x" * (width - length) + f" {uri}"


LONG_SECRET = SECRET * 20


def _of_ray(said: str) -> str:
    return connect._line(RuntimeError(said))


def _of_a_file(said: str) -> str:
    with pytest.raises(StoreError) as caught, told("path", "cannot be read"):
        raise OSError(said)
    return str(caught.value)


def _of_mlflow(said: str) -> str:
    return mlflow_connection._cause(RuntimeError(said), None, "")


def _of_a_value(said: str) -> str:
    return objections.shown([said])


def _of_a_change(said: str) -> str:
    with pytest.raises(ValueError, match="store: ") as caught:
        document.override(f"store=[{said}")
    return str(caught.value)


CUTS = {
    _of_ray: connect.LONGEST,
    _of_a_file: connect.LONGEST,
    _of_mlflow: mlflow_connection.LONGEST_CAUSE,
    lambda said: str(document.ConfigError([said])): document.LONGEST_LINE - document.KEPT_END,
    _of_a_value: objections.LONGEST,
    _of_a_change: document.LONGEST_KEY,
    lambda said: words.cause(said): words.LONGEST,
}


@pytest.mark.parametrize("told_by", CUTS)
def test_no_credential_is_cut_in_two_before_it_is_hidden(told_by: Callable[[str], str]) -> None:
    said = told_by(longest(f"s3://me:{LONG_SECRET}@bucket", CUTS[told_by], 30))
    assert "s3://" in said
    assert SECRET[:8] not in said


def test_the_words_of_a_store_that_cannot_be_reached_are_redacted_before_they_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri = "s3://bucket/x?endpoint_override=127.0.0.1:1&scheme=http&tls_ca_file_path=/" + SECRET * 3
    says = "import sys; sys.exit('x' * 270 + ' ' + sys.stdin.read().partition('path=')[2])"
    monkeypatch.setattr(remote, "ASK", says)
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        remote.check_reachable(uri)
    assert SECRET[:8] not in str(caught.value)


@pytest.mark.parametrize("uri", KEEPING)
def test_what_tells_only_where_is_shown_as_it_is(uri: str) -> None:
    assert public(uri) == uri
    assert redacted(f"at {uri} there is nothing", uri) == f"at {uri} there is nothing"


def test_pieces_that_a_library_quotes_alone_are_hidden_and_ordinary_words_are_not() -> None:
    uri = "postgresql://raylab:hunter%2F2-hunter@host/raylab?options=-csecret"
    said = redacted('user "raylab": hunter/2-hunter or hunter%2F2-hunter is wrong (-csecret)', uri)
    assert said == 'user "raylab": *** or *** is wrong (***)'


@pytest.mark.parametrize(
    "uri",
    [f"s3://key:{SECRET}/x@bucket", f"s3://bucket/x?password={SECRET}", f"nonsense://me:{SECRET}@host/x#{SECRET}"],
)
def test_a_store_that_cannot_be_opened_is_told_of_without_its_credentials(uri: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(uri)
    assert SECRET not in str(caught.value)
    assert SECRET not in describe(ValueError(f"{uri} is no store"))


def test_a_store_whose_keys_are_in_its_uri_is_refused_before_tune_writes_them_down() -> None:
    with pytest.raises(StoreError, match=r"store 's3://\*\*\*@bucket': credentials in a URI .* set AWS_ACCESS_KEY_ID"):
        Store(f"s3://key:{SECRET}@bucket")
    assert Store("gs://anonymous@bucket").root == "bucket"  # a name alone logs nobody in


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        (f"abfss://box@acct.dfs.core.windows.net/x?tenant_id=t&client_id=c&client_secret={SECRET}", "client_secret"),
        (f"abfss://box@acct.dfs.core.windows.net/x?sv=2024&sig={SECRET}", "sv, sig"),
        (f"abfss://box:{SECRET}@acct.dfs.core.windows.net/x", "what stands before the @"),
        (f"s3://bucket/x?region=eu&access_key={SECRET}&secret_key={SECRET}", "access_key, secret_key"),
        (f"s3://bucket/x?{SECRET}", "a parameter without a name"),
        (f"s3://bucket/x?endpoint_override=me%3A{SECRET}%40host", "endpoint_override"),
        (f"hdfs://me@host:9000/x?password={SECRET}", "password"),
        (f"gs://bucket/x#token={SECRET}", "what follows the #"),
    ],
)
def test_credentials_anywhere_in_a_stores_uri_are_refused_by_name(uri: str, named: str) -> None:
    with pytest.raises(StoreError, match=re.escape(f"credentials in a URI ({named}) end up in")) as caught:
        refuse_credentials(uri)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/x?region=eu&scheme=http&endpoint_override=minio:9000&tls_ca_file_path=/me%40work/ca.pem",
        "abfss://box@acct.dfs.core.windows.net/x?tenant_id=t&client_id=c&credential_kind=environment",
        "gs://anonymous@bucket/x?retry_limit_seconds=9&project_id=p",
        "hdfs://me@host:9000/x?replication=2&kerb_ticket=/tmp/krb5cc_0",
        "/home/me/a?secret=b#c",
    ],
)
def test_parameters_that_log_nobody_in_are_no_credentials(uri: str) -> None:
    refuse_credentials(uri)


def test_containers_of_one_azure_account_can_be_told_apart() -> None:
    said = [public(f"abfss://{box}@acct.dfs.core.windows.net/x?client_id=c") for box in ("raw", "runs")]
    assert said == [f"abfss://{box}@acct.dfs.core.windows.net/x?client_id=***" for box in ("raw", "runs")]
    assert "containers" in redacted("no such container: containers", "abfss://containers@acct/x?client_id=c")
    assert public(f"abfss://box:{SECRET}@acct/x") == "abfss://***@acct/x"


def test_where_pages_are_is_told_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Store("s3://bucket/pages?region=eu&tls_ca_file_path=/me/hunter2.pem")
    monkeypatch.setattr(place, "put", lambda *_: None)
    monkeypatch.setattr(place, "delete", lambda *_: None)
    assert scoreboard._keep(place, {}) == "s3://bucket/pages?region=eu&tls_ca_file_path=***"


def test_a_folder_of_a_store_keeps_the_options_of_its_uri(tmp_path: Path) -> None:
    far = Store("s3://bucket/raylab?region=eu").below("results/small")
    assert (far.root, far.uri) == ("bucket/raylab/results/small", "s3://bucket/raylab/results/small?region=eu")
    assert Store(str(tmp_path / "why?")).below("results").root == str(tmp_path / "why?" / "results")
