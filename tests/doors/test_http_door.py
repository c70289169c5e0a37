"""The HTTP door: what it refuses and how, whoever asks and whatever is sent."""

from __future__ import annotations

import json
import socket
import struct
from datetime import UTC, datetime, timedelta

import pytest

from rookery.base.access import keys
from rookery.base.clock import WALL
from rookery.base.operations import OPERATIONS, PUBLIC
from rookery.doors.http.openapi import problems_of

SECRET = "Ada Example 4711"


def test_every_answer_has_the_headers_that_protect(served, admin):
    """Security headers and an id stand on answers of every kind, and no other origin is let in."""
    for method, path, key in (
        ("GET", "/health", None), ("GET", "/keys", admin), ("GET", "/keys", None), ("GET", "/none", None),
        ("PUT", "/keys", None), ("OPTIONS", "/keys", None), ("HEAD", "/keys", admin),
    ):  # fmt: skip
        told = served.ask(method, path, key=key, headers={"Origin": "https://elsewhere.example"})
        assert told.headers["x-content-type-options"] == "nosniff"
        assert told.headers["cache-control"] == "no-store"
        assert told.headers["request-id"].startswith("req_")
        assert not [name for name in told.headers if name.startswith("access-control")]


def test_methods_of_a_place_are_told(served, admin):
    """OPTIONS and 405 name what a path takes; HEAD is GET without the body."""
    told = served.ask("OPTIONS", "/keys")
    assert (told.status, told.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    told = served.ask("DELETE", "/keys/key_x/revoke", key=admin)
    assert (told.status, told.code, told.headers["allow"]) == (405, "http.method", "OPTIONS, POST")
    head, get = served.ask("HEAD", "/keys?limit=1", key=admin), served.ask("GET", "/keys?limit=1", key=admin)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", get.headers["content-length"])
    assert served.ask("OPTIONS", "/none").status == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "body.not_json"),
        (b'{"name": "Ada"} x', 400, "body.not_json"),
        (b'{"name": "\xff\xfe"}', 400, "body.not_json"),
        (b'{"name": "\xed\xa0\x80"}', 400, "body.not_json"),
        (b'{"name": "\\ud800"}', 400, "body.not_json"),
        (b"\xef\xbb\xbf{}", 400, "body.not_json"),
        (b"[" * 200_000, 400, "body.not_json"),
        (b'{"metadata": ' + b'{"a": ' * 100_000, 400, "body.not_json"),
        (b'{"name": NaN}', 400, "body.not_json"),
        (b"[]", 422, "body.invalid"),
        (b"", 422, "body.invalid"),
        (b"null", 422, "body.invalid"),
        (b'{"name": "Ada", "name": "Bob"}', 422, "body.invalid"),
        (b'{"name": 1e999}', 422, "body.invalid"),
        (b'{"name": ' + b"9" * 5000 + b"}", 422, "body.invalid"),
        (b'{"name": "a\\u0000b"}', 422, "body.invalid"),
        (b'{"name": "9999-12-31T23:59:59-14:00"}', 422, "body.invalid"),
        (b'{"name": ""}', 422, "body.invalid"),
        (b'{"name": "' + b"x" * 201 + b'"}', 422, "body.invalid"),
    ],
)
def test_bodies_that_cannot_be_used_are_told_so(served, admin, body, status, code):
    """Malformed and absurd documents get a problem, never a fault of ours."""
    told = served.ask("POST", "/parties", body, key=admin)
    assert (told.status, told.code) == (status, code)
    assert told.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "name",
    [
        "'; drop table base.parties; --", "<script>alert(1)</script>", "%s%n%x{0}{name}", "${jndi:x}", "\\u0000",
        "\U0001f426\u200d\U0001f525", "\u202e\u05d0\u05d1 \u0627\u0644", "\u4e2d\u6587", "a\r\nSet-Cookie: x=1",
    ],
)  # fmt: skip
def test_any_text_is_only_text(served, admin, name):
    """What is written in a text field comes back as it was written."""
    made = served.ask("POST", "/parties", {"name": name}, key=admin)
    assert (made.status, made.json["name"]) == (201, name)
    assert "set-cookie" not in made.headers


def test_all_faults_are_told_and_no_value(served, admin):
    """Every fault is told with its place, also within what may be left out; nothing that was sent is repeated."""
    wrong = dict.fromkeys(("scopes", "test", "expires_at", SECRET, "extra"), SECRET) | {"party_id": [SECRET]}
    told = served.ask("POST", "/keys", wrong, key=admin)
    places = {fault["at"] for fault in told.json["errors"]}
    assert places >= {"$.party_id", "$.scopes", "$.test", "$.expires_at", "$.?", "$.extra"}
    party = {"name": "x", "code": [SECRET], "metadata": {SECRET: [SECRET], SECRET * 40: SECRET * 600}}
    others = [
        served.ask("POST", "/parties", party, key=admin),
        served.ask("POST", "/keys", {"party_id": SECRET, "scopes": [SECRET]}, key=admin),
        served.ask("GET", f"/keys?limit={SECRET}&after=%00&{SECRET}={SECRET}".replace(" ", "+"), key=admin),
        served.ask("POST", "/parties", {"name": "x"}, key=admin, headers={"Idempotency-Key": SECRET + "\xe9"}),
        served.ask("POST", "/parties", {"name": "x"}, key=admin, headers={"If-Match": SECRET}),
        served.ask("POST", "/parties", {"name": "x"}, key=admin, headers={"Content-Type": SECRET}),
        served.ask("GET", f"/keys/{SECRET.replace(' ', '%20')}", key=admin),
        served.ask("GET", "/keys", key=SECRET),
    ]
    for answer in (told, *others):
        assert answer.status >= 400
        assert b"Ada" not in answer.body and "4711" not in str(answer.headers)
    assert SECRET not in served.log.read_text()


def test_query_strings_are_read_strictly(served, admin):
    """Unknown, doubled, malformed and absurd parameters are all told."""
    told = served.ask("GET", "/keys?limit=0&limit=5&colour=red&after=%01", key=admin)
    assert told.status == 422
    codes = [fault["code"] for fault in told.json["errors"]]
    assert codes == ["invalid", "given_twice", "unknown_field", "invalid"]
    for query, status in (("after=%ff", 400), ("limit=" + "9" * 4000, 422), ("limit=nan", 422)):
        assert served.ask("GET", f"/keys?{query}", key=admin).status == status
    assert served.ask("POST", "/parties?name=x", {"name": "x"}, key=admin).code == "query.not_here"


def test_a_parameter_s_fault_tells_what_would_do(served):
    """A word that is none of a list's is answered with the list, a time whose + became a blank with %2B; nothing of
    what was sent is repeated.
    """
    key = served.new_key("merchant")
    told = served.ask("GET", "/trackers?status=lost4711&since=2026-12-01T00:00:00+01:00", key=key)
    status, since = told.json["errors"]
    assert (status["at"], status["message"]) == ("query.status", "it is none of the values taken here")
    assert "in_transit, " in status["remedy"] and "on_hold" in status["remedy"]
    assert since["at"] == "query.since" and "a + is written %2B" in since["remedy"]
    assert b"4711" not in told.body
    for since in ("2026-12-01T00:00:00%2B01:00", "2026-12-01T00:00:00Z"):
        assert served.ask("GET", f"/trackers?status=on_hold&since={since}", key=key).status == 200


@pytest.mark.parametrize(
    "place", ["%00", "%ff", "%ed%a0%80", "x" * 3000, "'%20or%201=1", "..%2f..", "key_0", "%0d%0ax"]
)
def test_malformed_ids_are_as_unknown_ones(served, admin, place):
    """Whatever stands for an id in a path that is none, there is nothing there."""
    assert served.ask("POST", f"/keys/{place}/revoke", key=admin).status == 404


def test_kinds_and_sizes_of_bodies(served, admin):
    """Compressed bodies, other media types and too large ones are refused, also when their size is not told."""
    ask = {"name": "x"}
    for name, value in (("Content-Encoding", "gzip"), ("Content-Type", "text/xml"), ("Content-Type", "a")):
        headers = {name: value}
        assert served.ask("POST", "/parties", ask, key=admin, headers=headers).status == 415
    big = b'"' + b"x" * (50 << 20) + b'"'
    assert served.ask("POST", "/parties", big, key=admin).code == "body.too_large"
    assert served.ask("POST", "/parties", big).status == 401
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    chunked = [("Transfer-Encoding", "chunked")]
    assert served.ask("POST", "/parties", chunk * 40 + b"0\r\n\r\n", key=admin, headers=chunked).status == 413
    small = b"10\r\n" + b'{"name": "Ada"} ' + b"\r\n0\r\n\r\n"
    told = served.ask("POST", "/parties", small, key=admin, headers=chunked)
    assert told.status == 201


def test_headers_that_are_doubled_or_huge(served, admin):
    """A header that decides something stands once; headers without end are cut off."""
    bearer = ("Authorization", f"Bearer {admin}")
    assert served.ask("GET", "/keys", headers=[bearer, bearer]).status == 400
    assert served.ask("GET", "/keys", headers=[bearer, ("X-API-Key", admin)]).code == "keys.missing"
    assert served.ask("GET", "/keys", headers=[("X-API-Key", admin)]).status == 200
    assert served.ask("GET", "/keys", key=admin, headers={"X-Large": "x" * 200_000}).status == 431
    told = served.ask("POST", "/parties", {"name": "x"}, key=admin, headers={"If-Match": '"1"'})
    assert (told.status, told.code) == (422, "if_match.not_taken")


def test_a_sender_who_goes_away_leaves_no_trace(served, admin):
    """Half a body is no question: nothing is done, nothing breaks."""
    head = f"POST /parties HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin}\r\nContent-Length: 100\r\n\r\n"
    for _ in range(5):
        with socket.create_connection((served.host, served.port)) as conn:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by a reset
            conn.sendall(head.encode() + b'{"name": "half')
    assert served.ask("GET", "/ready").status == 200
    assert '"kind"' not in served.log.read_text()


def test_keys_that_open_nothing(served):
    """Malformed, unknown, expired and revoked keys are refused; a rotated one goes on as long as was said."""
    party = served.new_party()
    assert served.ask("GET", "/keys", key="rk_live_" + "A" * 43).code == "keys.unknown"
    assert served.ask("GET", "/keys", key="nonsense").code == "keys.unknown"
    told = served.ask("GET", "/keys")
    assert (told.status, told.code, told.headers["www-authenticate"]) == (401, "keys.missing", "Bearer")
    with served.house.context() as ctx:
        past = WALL.now() - timedelta(days=2)
        old, _ = keys.create_key(ctx.conn, party, ["merchant"], past, expires_at=past + timedelta(days=1))
        gone, made = keys.create_key(ctx.conn, party, ["merchant"], WALL.now())
        keys.revoke_key(ctx.conn, made.key_id, WALL.now())
        first, made = keys.create_key(ctx.conn, party, ["merchant"], WALL.now())
        second, _ = keys.rotate_key(ctx.conn, made.key_id, WALL.now(), WALL.now() + timedelta(hours=1))
    assert served.ask("GET", "/keys", key=old).code == "keys.expired"
    assert served.ask("GET", "/keys", key=gone).code == "keys.revoked"
    assert [served.ask("GET", "/keys", key=key).status for key in (first, second)] == [200, 200]


def test_a_revocation_is_felt(served, admin):
    """A key that was just used is refused soon after it was revoked."""
    key = served.new_key("merchant")
    assert served.ask("GET", "/keys", key=key).status == 200
    key_id = served.ask("GET", "/keys", key=key).json["data"][0]["key_id"]
    assert served.ask("POST", f"/keys/{key_id}/revoke", key=admin).status == 200
    until = datetime.now(UTC) + timedelta(seconds=10)
    while served.ask("GET", "/keys", key=key).status == 200:
        assert datetime.now(UTC) < until
    assert served.ask("GET", "/keys", key=key).code == "keys.revoked"


def test_a_key_of_test_mode_stays_there(served):
    """An admin in test mode makes keys of test mode only, enters no party, and meets no live key."""
    party = served.new_party()
    live, test = served.new_key("admin", party=party), served.new_key("admin", party=party, test=True)
    assert served.ask("POST", "/keys", {"party_id": party, "scopes": ["merchant"]}, key=test).code == "keys.test_mode"
    made = served.ask("POST", "/keys", {"party_id": party, "scopes": ["merchant"], "test": True}, key=test)
    assert (made.status, made.json["key"][:8]) == (201, "rk_test_")
    assert served.ask("POST", "/parties", {"name": "x"}, key=test).code == "parties.test_mode"
    seen = served.ask("GET", "/keys?limit=1000", key=test).json["data"]
    assert seen and all(key["test"] for key in seen)
    lives = [key["key_id"] for key in served.ask("GET", "/keys?limit=1000", key=live).json["data"] if not key["test"]]
    assert served.ask("POST", f"/keys/{lives[0]}/revoke", key=test).code == "keys.none"


def test_metrics_are_for_operators(served, admin):
    """Metrics are told in Prometheus' form, to operators only, and hold names of operations, not of people."""
    assert served.ask("GET", "/metrics").status == 401
    assert served.ask("GET", "/metrics", key=served.new_key("merchant")).status == 403
    told = served.ask("GET", "/metrics", key=served.new_key("operator"))
    assert told.status == 200 and b'rookery_requests_total{operation="keys.list",status="200"}' in told.body


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_refusals_that_every_operation_makes_are_documented_ones(served, admin, name):
    """No key, a key without the scope, doubled headers, an unknown parameter or field, wrong and large bodies: each
    operation answers them alike, and its documented statuses hold them.
    """
    op = OPERATIONS[name]
    path = op.path
    for parameter in op.in_path:
        path = path.replace(f"{{{parameter}}}", "x_0")
    body = None if op.asks_by_query else b"{}"
    asked = {400: served.ask(op.method, path, body, key=admin, headers=[("If-Match", "x"), ("If-Match", "y")])}
    if PUBLIC not in op.scopes:
        asked[401] = served.ask(op.method, path, body)
        asked[403] = served.ask(op.method, path, body, key=served.new_key("customs", test=True))
        if "customs" in op.scopes:
            del asked[403]
    if op.asks_by_query:
        if not op.in_path and op.open_query is None:
            asked[422] = served.ask(op.method, f"{path}?no_such=1", key=admin)
    else:
        asked[415] = served.ask(op.method, path, b"x", key=admin, headers={"Content-Type": "image/gif"})
        size = [("Content-Length", str(op.most_bytes + 1)), ("Expect", "100-continue"), ("Content-Type", "")]
        asked[413] = served.ask(op.method, path, b"", key=admin, headers=size)
    for status, told in asked.items():
        assert told.status == status, (status, told)
        assert status in problems_of(op)
        assert set(json.loads(told.body)) >= {"type", "title", "status", "detail", "code", "action", "request_id"}
