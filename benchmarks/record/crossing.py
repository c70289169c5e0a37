"""Attempts to get at what is another party's: by ids real and guessed, filters, cursors, uploads, Idempotency-Keys."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote as escaped

from benchmarks.form import Result, Say, Show, Table
from benchmarks.record.people import person
from benchmarks.record.served import Served, ready_at, serving
from benchmarks.record.sizes import Size
from benchmarks.record.victim import MARK, Victim, moved_in, picture, settled
from benchmarks.record.wire import Wire, asked
from rookery.base.db import Cluster, Database
from rookery.base.operations import OPERATIONS, Operation

THREADS, ROWS = 8, 100
SIGNS = "0123456789abcdefghjkmnpqrstvwxyz"
COPYCAT = "a merchant who sends what another sent"
"""Who then has orders with its references, and is asked nothing else."""
ODD = ("", "0", "' or 1=1 --", "%", "\\", "ord_", "shp_", "~" * 60)
_IDS = re.compile(r"[a-z]{3}_[0-9a-z]{26}|[0-9]{18}")
_BODIES = {
    "orders.update": {"metadata": {"a": "b"}},
    "shipments.readdress": {"to": person(9)},
    "keys.rotate": {"keep_hours": 1},
}


@dataclass(frozen=True)
class Attempt:
    """A request under another's key. must_fail: that it succeeds is a crossing, whatever it answers."""

    kind: str
    key: str
    method: str
    path: str
    body: bytes = b""
    media: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    must_fail: bool = False

    def request(self) -> bytes:
        return asked(self.method, self.path, self.key, self.body, self.media, **self.headers)

    def sent(self) -> str:
        """All that the asker knew."""
        return f"{self.path} {self.body.decode(errors='replace')} {self.headers}"


def run(size: Size, say: Say) -> Result:
    """Let strangers try, then see whether anything of the shipper was told or changed."""
    import rookery.app  # noqa: F401 (enters all operations into the table)

    with serving(size.sample, roomy=True) as served:
        victim = moved_in(served)
        strangers = _strangers(served, victim)
        with Cluster(served.data) as cluster, Database.open(cluster, size=2) as database:
            with database.owner() as conn:
                before = picture(conn, victim.party)
            draw = random.Random(3)
            source = _attempts(victim, strangers, served, draw)
            made = [next(source) for _ in range(size.attempts - ROWS)]
            say(f"{size.attempts:,} attempts in {len({one.kind for one in made})} ways")
            began = time.perf_counter()
            passed, statuses = tried(served, made, victim.secrets())
            seconds = time.perf_counter() - began
            rows = _by_upload(served, victim, strangers["merchant"], draw)
            with database.owner() as conn:
                after = picture(conn, victim.party)
        owner = [replace(one, key=victim.key) for one in made if one.method == "GET" and one.must_fail]
        real = [one for one in owner if _IDS.search(one.path) and set(_IDS.findall(one.path)) <= victim.secrets()]
        _, let_in = tried(served, real[:500], set())
    changed = [table for table in before if before[table] != after.get(table)]
    crossed = sum(passed.values()) + rows["crossed"]
    kinds = Counter(one.kind for one in made)
    return Result(
        shows=[
            Show("attempts to cross parties", len(made) + rows["tried"], "attempts", f">= {size.attempts}"),
            Show("attempts to cross parties: passed", crossed, "attempts", "<= 0"),
            Show("attempts to cross parties: tables changed of what was attacked", len(changed), "tables", "<= 0"),
            Show("attempts to cross parties: faults of the server's own", statuses["5xx"], "answers", "<= 0"),
            Show("the owner asking the same: share let in", 100 * let_in["2xx"] / max(1, sum(let_in.values())), "%",
                 ">= 100"),
        ],
        tables=[
            Table(
                f"attempts by {', '.join(strangers)}: {len(made) / seconds:,.0f} a second",
                ("way", "attempts", "passed"),
                [(kind, many, passed[kind]) for kind, many in sorted(kinds.items())]
                + [("rows of uploads that name what is kept for another's", rows["tried"], rows["crossed"])]
                + [(f"answered {status}", many, "") for status, many in sorted(statuses.items())],
                f"changed: {', '.join(changed) or 'nothing'}. Passed: it succeeded with another's id, or its answer "
                "told an id, number, reference or name that was not in the question.",
            )
        ],
    )  # fmt: skip


def tried(served: Served, made: list[Attempt], secrets: set[str]) -> tuple[Counter[str], Counter[str]]:
    """(attempts that passed, by kind; answers by class of status)."""
    passed: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    lock, source = threading.Lock(), iter(made)

    def one() -> None:
        with Wire(served.url, 60.0) as wire:
            while True:
                with lock:
                    attempt = next(source, None)
                if attempt is None:
                    return
                answer = wire.ask(attempt.request())
                crossed = passes(attempt, answer.status, answer.body.decode(errors="replace"), secrets)
                with lock:
                    statuses[f"{answer.status // 100}xx"] += 1
                    passed[attempt.kind] += crossed

    threads = [threading.Thread(target=one) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return passed, statuses


def passes(attempt: Attempt, status: int, body: str, secrets: set[str]) -> bool:
    """Whether an answer tells or does what it should not."""
    if attempt.must_fail and status < 400:
        return True
    sent = attempt.sent()
    told = {one for one in _IDS.findall(body) if one in secrets and one not in sent}
    return bool(told) or (MARK in body and MARK not in sent)


def _strangers(served: Served, victim: Victim) -> dict[str, str]:
    """Keys of those who try, by who they are."""
    _, merchant = served.party("Stranger Example")
    _, courier = served.party(victim.courier, "courier")
    _, station = served.party("Station Example", "station", "customs")
    _, tester = served.party("Tester Example", test=True)
    _, copycat = served.party("Copycat Example")
    return {"merchant": merchant, "courier": courier, "station": station, "merchant in test mode": tester,
            COPYCAT: copycat}  # fmt: skip


def _attempts(victim: Victim, strangers: dict[str, str], served: Served, draw: random.Random) -> Iterator[Attempt]:
    """Attempts without end: each way in turn, its ids and its asker drawn."""
    zone, start = served.zones()[0], served.origins()[0]
    ask = {"from": {"node": start}, "to": {"country": zone[0], "postal_code": zone[1]}, "ready_at": ready_at(24),
           "weight_g": 500}  # fmt: skip
    offer = served.ask(strangers["merchant"], "POST", "/quotes", ask)["offers"][0]["quote_id"]
    by_path = [op for op in OPERATIONS.values() if set(op.in_path) & victim.ids.keys()]
    to = person(9) | {"country": zone[0], "postal_code": zone[1]}
    copycat = strangers[COPYCAT]
    keys = [key for name, key in strangers.items() if name != COPYCAT]
    while True:
        for op in by_path:
            for guessed in (False, True):
                yield _by_id(op, victim, draw.choice(keys), draw, guessed)
        key = draw.choice(keys)
        for path in ("/orders", "/shipments", "/parcels", "/order-uploads", "/keys", "/parties"):
            ids = draw.choice(list(victim.ids.values()))
            after = draw.choice((*ODD, _before(draw.choice(ids)), victim.party[:-4]))
            yield Attempt("cursors", key, "GET", f"{path}?after={escaped(after, safe='')}&limit=1000")
        yield Attempt("filters", key, "GET", f"/orders?reference={draw.choice(victim.references)}")
        yield Attempt("filters", key, "GET", f"/parcels?number={draw.choice(victim.numbers)}")
        yield Attempt("filters", key, "GET", f"/orders?state={draw.choice(('received', 'booked', 'cancelled'))}")
        path, body, idempotency = draw.choice(victim.asked_before)
        headers = {"Idempotency_Key": idempotency}
        yield Attempt("Idempotency-Keys", copycat, "POST", path, body, headers=headers, must_fail=path == "/shipments")
        order_id, parcel_id = draw.choice(victim.ids["order_id"]), draw.choice(victim.ids["parcel_id"])
        form = draw.choice(("pdf", "zpl", "png"))
        for guessed in (False, True):
            which = _guess(parcel_id, draw) if guessed else parcel_id
            asks = {"parcel_ids": [which], "form": form, "full": True}
            yield _posting("labels", key, "/labels", asks)
        booked = {"quote_id": draw.choice(victim.quotes), "reference": f"x{draw.random()}", "to": to}
        yield _posting("another's quotes", key, "/shipments", booked)
        yield _posting("another's orders booked", key, "/shipments", {"quote_id": offer, "order_id": order_id})
        made = {"reference": draw.choice(victim.references), "from": {"node": start}, "to": to,
                "ready_at": ready_at(24), "weight_g": 500}  # fmt: skip
        yield replace(_posting("another's references", copycat, "/orders/batch", {"orders": [made]}), must_fail=False)
        yield _posting("keys for another", key, "/keys", {"party_id": victim.party, "scopes": ["merchant"]})


def _by_id(op: Operation, victim: Victim, key: str, draw: random.Random, guessed: bool) -> Attempt:
    path = op.path
    for name in op.in_path:
        real = draw.choice(victim.ids[name])
        path = path.replace(f"{{{name}}}", _guess(real, draw) if guessed else real)
    kind = "ids guessed" if guessed else "ids of another"
    if op.method == "GET":
        return Attempt(kind, key, "GET", path, must_fail=True)
    body = json.dumps(_BODIES.get(op.name, {})).encode()
    return Attempt(kind, key, op.method, path, body, must_fail=True)


def _posting(kind: str, key: str, path: str, body: dict) -> Attempt:
    return Attempt(kind, key, "POST", path, json.dumps(body).encode(), must_fail=True)


def _guess(real: str, draw: random.Random) -> str:
    """An id near a real one: made at the same time, by the same hand."""
    many = draw.choice((1, 2, 16))
    return real[:-many] + "".join(draw.choice(SIGNS) for _ in range(many))


def _before(real: str) -> str:
    """A cursor just before an id."""
    return real[:-6] + "000000"


def _by_upload(served: Served, victim: Victim, key: str, draw: random.Random) -> dict[str, int]:
    """A file that claims the rows kept for another's: none may be taken, and none of what is kept told."""
    header = "row_ref,order_id,from_node,to_name,to_phone,to_line1,to_city,to_postal_code,to_country,ready_at,weight_g"
    start, crossed = served.origins()[0], 0
    refs = victim.row_refs + [_guess(draw.choice(victim.row_refs), draw) for _ in range(ROWS - len(victim.row_refs))]
    lines = [f"{ref},x{at},{start},kept,,kept,Berlin,10115,DE,{ready_at(24)},500" for at, ref in enumerate(refs)]
    with Wire(served.url) as wire:
        content = "\n".join([header, *lines]).encode()
        upload_id = json.loads(wire.ask(asked("POST", "/order-uploads", key, content, "text/csv")).body)["upload_id"]
        crossed += settled(served, key, upload_id)["taken"]
        told = wire.ask(asked("GET", f"/order-uploads/{upload_id}/faults", key)).body.decode()
        crossed += told.count(MARK)
    return {"tried": len(lines), "crossed": crossed}
