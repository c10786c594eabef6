"""The RDS Data API, asked by boto3 itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from frontend_known import FIRST, KEY, REGION, SECOND, TOKENS, cluster, key, known_clusters
from frontend_running import Running, until, with_frontend
from hypothesis import given
from hypothesis import strategies as st

from tausql.access.sigv4 import Credentials, signed_headers
from tausql.frontend.app import create_app
from tausql.frontend.http_named_parameters import ParameterRefused, numbered
from tausql.frontend.http_rds_values import (
    Field,
    Parameter,
    ResultOptions,
    formatted,
    metadata_of,
    records_of,
    statement_of,
)
from tausql.pgwire.rows import Column
from tausql.protocol.clusters import KeyRecord
from tausql.runtime.http import HttpServer

SECRET = "arn:aws:secretsmanager:local-1:000000000000:secret:none"
WHOM = {"resourceArn": FIRST.arn, "secretArn": SECRET}
READER = key(
    "AKIAREADER",
    (json.dumps({"Statement": {"Effect": "Allow", "Action": "dsql:DbConnect", "Resource": "*"}}),),
)
IDLE = cluster("c", 9, status="DELETING")


def client(url: str, by: KeyRecord = KEY, **more: Any) -> Any:
    return boto3.client(
        "rds-data",
        endpoint_url=url,
        region_name=more.pop("region", REGION),
        aws_access_key_id=by.access_key_id,
        aws_secret_access_key=more.pop("secret", by.secret),
        aws_session_token=by.session_token or None,
        config=Config(retries={"total_max_attempts": 1}),
    )


def with_boto(directory_: Path, body: Callable[[str, Running], None], settings: dict[str, Any] | None = None) -> None:
    """Run `body` in a thread of its own, with the URL of a frontend."""

    async def main(running: Running) -> None:
        server = HttpServer(create_app(running.service), "127.0.0.1:0")
        await server.start()
        try:
            await asyncio.to_thread(body, f"http://{server.address}", running)
            await until(lambda: running.service.statements.running == 0)
        finally:
            await server.stop()

    with_frontend(
        directory_,
        main,
        settings={**TOKENS, **(settings or {})},
        clusters=known_clusters((FIRST, SECOND, IDLE), (KEY, READER)),
    )


def refusal(function: Callable[[], Any]) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        function()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_a_statement_gives_records_and_metadata(tmp_path: Path) -> None:
    def body(url: str, running: Running) -> None:
        rds = client(url)
        answer = rds.execute_statement(sql="select 1", includeResultMetadata=True, database="postgres", **WHOM)
        assert answer["records"] == [[{"longValue": 1}]]
        assert answer["numberOfRecordsUpdated"] == 0
        (column,) = answer["columnMetadata"]
        assert (column["name"], column["label"], column["typeName"], column["type"]) == ("n", "n", "int4", 4)
        plain = rds.execute_statement(sql="select 1", **WHOM)
        assert "columnMetadata" not in plain
        assert rds.execute_statement(sql="select 1", formatRecordsAs="JSON", **WHOM)["formattedRecords"] == '[{"n":1}]'
        written = rds.execute_statement(sql="insert into t", **WHOM)
        assert (written["numberOfRecordsUpdated"], written["generatedFields"]) == (2, [])
        assert "records" not in written
        start = running.processor.starts[0]
        assert (start.cluster, start.user, start.database, start.mapped) == (1, "admin", "postgres", "")

    with_boto(tmp_path, body)


def test_named_parameters_are_bound(tmp_path: Path) -> None:
    def body(url: str, running: Running) -> None:
        rds = client(url)
        for value, expected in (
            ({"longValue": 7}, "7"),
            ({"doubleValue": 1.5}, "1.5"),
            ({"stringValue": "é'"}, "é'"),
            ({"booleanValue": False}, "false"),
            ({"blobValue": b"\x00\xff"}, "\\x00ff"),
        ):
            answer = rds.execute_statement(
                sql="select :a_1 /* :none */", parameters=[{"name": "a_1", "value": value}], **WHOM
            )
            assert answer["records"] == [[{"stringValue": expected}]]
        null = rds.execute_statement(sql="select :a", parameters=[{"name": "a", "value": {"isNull": True}}], **WHOM)
        assert null["records"] == [[{"isNull": True}]]
        for parameters, word in (
            ([], "Cannot find parameter: a"),
            ([{"name": "a", "value": {"arrayValue": {"longValues": [1]}}}], "Array parameters are not supported."),
            ([{"name": "a", "value": {"longValue": 1}}] * 2, "more than once"),
            ([{"name": "a", "value": {"stringValue": "a\0"}}], "zero byte"),
        ):
            kind, status, message = refusal(
                lambda parameters=parameters: rds.execute_statement(sql="select :a", parameters=parameters, **WHOM)
            )
            assert (kind, status, word in message) == ("BadRequestException", 400, True), message

    with_boto(tmp_path, body)


def test_transactions(tmp_path: Path) -> None:
    def body(url: str, running: Running) -> None:
        rds = client(url)
        for end, status in (
            (rds.commit_transaction, "Transaction Committed"),
            (rds.rollback_transaction, "Rollback Complete"),
        ):
            begun = rds.begin_transaction(database="postgres", **WHOM)["transactionId"]
            rds.execute_statement(sql="insert into t", transactionId=begun, **WHOM)
            assert end(transactionId=begun, **WHOM)["transactionStatus"] == status
            kind, code, _ = refusal(lambda end=end, begun=begun: end(transactionId=begun, **WHOM))
            assert (kind, code) == ("TransactionNotFoundException", 404)
        begun = rds.begin_transaction(**WHOM)["transactionId"]
        assert refusal(lambda: rds.execute_statement(sql="fail", transactionId=begun, **WHOM)) == (
            "DatabaseErrorException",
            400,
            "ERROR: duplicate key\n  Detail: Key (a)=(1) already exists.\n  Hint: h; SQLState: 23505",
        )
        assert "25P02" in refusal(lambda: rds.commit_transaction(transactionId=begun, **WHOM))[2]

    with_boto(tmp_path, body)


def test_a_transaction_is_its_owners_and_its_clusters(tmp_path: Path) -> None:
    def body(url: str, running: Running) -> None:
        rds = client(url)
        begun = rds.begin_transaction(**WHOM)["transactionId"]
        elsewhere = {"resourceArn": SECOND.arn, "secretArn": SECRET, "transactionId": begun}
        for call in (
            lambda: rds.commit_transaction(**elsewhere),
            lambda: rds.execute_statement(sql="select 1", **elsewhere),
        ):
            assert refusal(call)[0] == "TransactionNotFoundException"
        rds.rollback_transaction(transactionId=begun, **WHOM)

    with_boto(tmp_path, body)


def test_a_batch_is_one_transaction(tmp_path: Path) -> None:
    def body(url: str, running: Running) -> None:
        rds = client(url)
        sets = [[{"name": "a", "value": {"longValue": n}}] for n in range(3)]
        answer = rds.batch_execute_statement(sql="insert into t values (:a)", parameterSets=sets, **WHOM)
        assert answer["updateResults"] == [{"generatedFields": []}] * 3
        assert len(running.processor.starts) == 1
        begun = rds.begin_transaction(**WHOM)["transactionId"]
        rds.batch_execute_statement(sql="insert into t", parameterSets=sets, transactionId=begun, **WHOM)
        rds.commit_transaction(transactionId=begun, **WHOM)
        assert rds.batch_execute_statement(sql="insert into t", **WHOM)["updateResults"] == []
        assert "40001" in refusal(lambda: rds.batch_execute_statement(sql="fail at commit", **WHOM))[2]

    with_boto(tmp_path, body)


def test_who_may_not_is_told_in_awss_words(tmp_path: Path) -> None:
    def body(url: str, running: Running) -> None:
        def asked(rds: Any, **more: Any) -> tuple[str, int, str]:
            return refusal(lambda: rds.execute_statement(**{"sql": "select 1", **WHOM, **more}))

        assert asked(client(url, secret="wrong"))[:2] == ("InvalidSignatureException", 403)
        assert asked(client(url, key("AKIANOBODY")))[:2] == ("UnrecognizedClientException", 403)
        assert asked(client(url, region="eu-west-1"))[:2] == ("InvalidSignatureException", 403)
        kind, status, message = asked(client(url, READER))
        assert (kind, status) == ("AccessDeniedException", 403)
        assert message == (
            f"User: {READER.principal} is not authorized to perform: dsql:DbConnectAdmin on resource: {FIRST.arn} "
            "because no identity-based policy allows the dsql:DbConnectAdmin action"
        )
        unknown = FIRST.arn.replace("aaa", "zzz")
        assert asked(client(url), resourceArn=unknown)[:2] == ("DatabaseNotFoundException", 404)
        assert asked(client(url), database="other")[:2] == ("DatabaseNotFoundException", 404)
        assert asked(client(url), resourceArn=IDLE.arn)[:2] == ("AccessDeniedException", 403)
        assert asked(client(url), schema="s")[:2] == ("BadRequestException", 400)
        assert asked(client(url), continueAfterTimeout=True)[:2] == ("BadRequestException", 400)
        assert asked(client(url), sql="select 1" + " " * 70_000)[:2] == ("BadRequestException", 400)
        assert asked(client(url, secret="wrong"), resourceArn=unknown)[0] == "InvalidSignatureException"
        assert running.processor.starts == []
        for raw in (b"", b"{", b"[]", b"{}", b"\xff"):
            answer = httpx.post(f"{url}/Execute", content=raw)
            assert answer.status_code == 403
            assert answer.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
            credentials = Credentials(KEY.access_key_id, KEY.secret)
            headers = {"host": url.removeprefix("http://")}
            now = time.time()
            headers |= signed_headers(
                credentials, "POST", "/Execute", "", headers.items(), raw, "rds-data", REGION, now
            )
            answer = httpx.post(f"{url}/Execute", content=raw, headers=headers)
            assert answer.headers["x-amzn-errortype"] in ("BadRequestException", "InvalidSignatureException")
        deprecated = httpx.post(f"{url}/ExecuteSql")
        assert "deprecated" in deprecated.json()["message"]

    with_boto(tmp_path, body)


def test_bodies_of_strangers_are_not_read(tmp_path: Path) -> None:
    """Whoever does not name a key that is known is answered before his body has come."""

    async def main(running: Running) -> None:
        server = HttpServer(create_app(running.service), "127.0.0.1:0")
        await server.start()
        host, _, port = server.address.rpartition(":")
        stranger = "AWS4-HMAC-SHA256 Credential=AKIANOBODY/20261123/local-1/rds-data/aws4_request, "
        stranger += "SignedHeaders=host, Signature=00"
        for path in ("/Execute", "/v1/sql", "/sql"):
            for authorization in ("", stranger):
                reader, writer = await asyncio.open_connection(host, int(port))
                head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\nAuthorization: {authorization}"
                writer.write(f"{head}\r\n\r\n{{".encode())
                async with asyncio.timeout(5):
                    assert (await reader.readline()).split()[1] in (b"400", b"401", b"403")
                writer.close()
        await server.stop()

    with_frontend(tmp_path, main, settings=TOKENS, clusters=known_clusters())


def test_too_slow_too_large_and_too_many_are_the_apis_errors(tmp_path: Path) -> None:
    def body(url: str, running: Running) -> None:
        rds = client(url)
        assert refusal(lambda: rds.execute_statement(sql="sleep", **WHOM))[:2] == ("StatementTimeoutException", 400)
        assert refusal(lambda: rds.execute_statement(sql="rows 10", **WHOM)) == (
            "BadRequestException",
            400,
            "Database returned more than the allowed response size limit",
        )
        begun = [rds.begin_transaction(**WHOM)["transactionId"] for _ in range(3)]
        assert refusal(lambda: rds.begin_transaction(**WHOM))[:2] == ("ServiceUnavailableError", 503)
        for transaction in begun:
            rds.rollback_transaction(transactionId=transaction, **WHOM)
        running.processor.silent_at_commit = True
        # A commit nobody knows the end of must not look like something to send again.
        kind, status, message = refusal(lambda: rds.execute_statement(sql="insert into t", **WHOM))
        assert (kind, status, message.endswith("SQLState: 40003")) == ("DatabaseErrorException", 400, True)

    limits = {"http_rows_max": 100, "http_statement_seconds": 0.5, "http_transactions_max": 4}
    with_boto(tmp_path, body, limits)


def test_sessions_over_http_count_for_their_cluster(tmp_path: Path) -> None:
    def body(url: str, running: Running) -> None:
        rds = client(url)
        begun = rds.begin_transaction(**WHOM)["transactionId"]
        quotas = running.service._house.gate.quotas
        assert quotas.connections(FIRST.identifier) == 1
        rds.commit_transaction(transactionId=begun, **WHOM)
        assert quotas.connections(FIRST.identifier) == 0

    with_boto(tmp_path, body)


@pytest.mark.parametrize(
    ("sql", "expected", "names"),
    [
        ("select :a, :b, :a", "select $1, $2, $1", ["a", "b"]),
        ("select ':a', \":a\", 'it''s :a', :a", "select ':a', \":a\", 'it''s :a', $1", ["a"]),
        (r"select E'\':a', e'\\', :a", r"select E'\':a', e'\\', $1", ["a"]),
        (r"select 'a\', :a, ''", r"select 'a\', $1, ''", ["a"]),
        ("select $$:a$$, $x$ $$ :a $x$, :a", "select $$:a$$, $x$ $$ :a $x$, $1", ["a"]),
        (
            "select 1 -- :a\n, :a /* :a /* :a */ :a */ , :b",
            "select 1 -- :a\n, $1 /* :a /* :a */ :a */ , $2",
            ["a", "b"],
        ),
        ("select :a::text, '1'::int", "select $1::text, '1'::int", ["a"]),
        ("select x[1:2], :a", "select x[1:2], $1", ["a"]),
        ("select a$1$ :a", "select a$1$ $1", ["a"]),
        ("select $1", "select $1", []),
        ("select $x$ :a", "select $x$ :a", []),
        ("select /* :a", "select /* :a", []),
        ("select :a=:b", "select $1=$2", ["a", "b"]),
    ],
)
def test_names_are_replaced_where_they_are_parameters(sql: str, expected: str, names: list[str]) -> None:
    assert numbered(sql, frozenset({"a", "b"})) == (expected, names)


def test_names_and_numbers_do_not_mix() -> None:
    with pytest.raises(ParameterRefused, match="not both"):
        numbered("select :a, $1", frozenset({"a"}))
    with pytest.raises(ParameterRefused, match="Cannot find parameter: c"):
        numbered("select :c", frozenset({"a"}))


@given(st.text("'\"$:aE\\-/*\n x1", max_size=60))
def test_any_statement_is_read(sql: str) -> None:
    try:
        text, names = numbered(sql, frozenset({"a"}))
    except ParameterRefused:
        return
    assert names or text == sql


def test_a_large_statement_of_openings_takes_no_time_to_speak_of() -> None:
    for piece in ("$a%d$ ", "'", "/*", "E'\\", '"', "''", "$$"):
        text = "".join(piece % n if "%" in piece else piece for n in range(20_000))
        numbered(text, frozenset())


def test_hints_and_kinds_of_values_are_types() -> None:
    def oid(hint: Any = None, **value: Any) -> int:
        return statement_of("select :a", [Parameter("a", Field(**value), hint)]).types[0]

    assert [oid(longValue=1), oid(doubleValue=1.0), oid(booleanValue=True), oid(blobValue=b"")] == [20, 701, 16, 17]
    assert (oid(stringValue=""), oid(isNull=True)) == (0, 0)
    hints = ("DATE", "DECIMAL", "JSON", "TIME", "TIMESTAMP", "UUID")
    assert [oid(hint, stringValue="") for hint in hints] == [1082, 1700, 114, 1083, 1114, 2950]
    assert oid("UUID", isNull=True) == 2950
    for bad in ({}, {"isNull": False}, {"longValue": 1, "stringValue": ""}):
        with pytest.raises(ParameterRefused, match="exactly one value"):
            oid(**bad)


@pytest.mark.parametrize(
    ("oid", "raw", "field", "plain"),
    [
        (23, b"7", {"longValue": 7}, 7),
        (20, b"9007199254740993", {"longValue": 9007199254740993}, 9007199254740993),
        (701, b"1.5", {"doubleValue": 1.5}, 1.5),
        (701, b"-Infinity", {"doubleValue": "-Infinity"}, "-Infinity"),
        (1700, b"1.50", {"stringValue": "1.50"}, "1.50"),
        (16, b"t", {"booleanValue": True}, True),
        (17, b"\\x00ff", {"blobValue": "AP8="}, "AP8="),
        (25, "é".encode(), {"stringValue": "é"}, "é"),
        (1184, b"2026-11-23 05:01:00.5+00", {"stringValue": "2026-11-23 05:01:00.5"}, "2026-11-23 05:01:00.5"),
        (1082, b"2026-11-23", {"stringValue": "2026-11-23"}, "2026-11-23"),
        (3802, b'{"a": 1}', {"stringValue": '{"a": 1}'}, '{"a": 1}'),
        (1007, b"{1,2}", {"arrayValue": {"longValues": [1, 2]}}, "{1,2}"),
        (1016, b"{9007199254740993}", {"arrayValue": {"longValues": [9007199254740993]}}, "{9007199254740993}"),
        (1009, b'{a,"b c",NULL}', {"arrayValue": {"stringValues": ["a", "b c", None]}}, '{a,"b c",NULL}'),
        (
            1007,
            b"{{1,2},{3,4}}",
            {"arrayValue": {"arrayValues": [{"longValues": [1, 2]}, {"longValues": [3, 4]}]}},
            "{{1,2},{3,4}}",
        ),
        (3807, b'{"{\\"a\\": 1}"}', {"arrayValue": {"stringValues": ['{"a": 1}']}}, '{"{\\"a\\": 1}"}'),
        (99999, b"x", {"stringValue": "x"}, "x"),
    ],
)
def test_values_of_results(oid: int, raw: bytes, field: dict[str, Any], plain: Any) -> None:
    columns = (Column("a", oid), Column("b", oid))
    assert records_of(columns, [(raw, None)], ResultOptions()) == [[field, {"isNull": True}]]
    assert json.loads(formatted(columns, [(raw, None)], ResultOptions())) == [{"a": plain, "b": None}]


def test_options_change_numbers() -> None:
    columns = (Column("a", 1700), Column("b", 1700), Column("c", 20))
    options = ResultOptions("DOUBLE_OR_LONG", "STRING")
    assert records_of(columns, [(b"7", b"1.5", b"8")], options) == [
        [{"longValue": 7}, {"doubleValue": 1.5}, {"stringValue": "8"}]
    ]
    with pytest.raises(ParameterRefused, match="same name"):
        formatted((Column("a", 23), Column("a", 23)), [], options)


def test_metadata_says_jdbcs_types() -> None:
    modified = Column("n", 1700, -1, (10 << 16 | 2) + 4), Column("v", 1043, -1, 24), Column("x", 1007)
    number, text, array = metadata_of(modified)
    assert (number["typeName"], number["type"], number["precision"], number["scale"]) == ("numeric", 2, 10, 2)
    assert (text["typeName"], text["precision"], text["isCaseSensitive"]) == ("varchar", 20, True)
    assert (array["typeName"], array["type"], array["arrayBaseColumnType"]) == ("_int4", 2003, 4)
