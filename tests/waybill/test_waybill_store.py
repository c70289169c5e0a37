"""Ranges and numbers in PostgreSQL: never twice, never back, and nobody else's."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count

import psycopg
import pytest

from rookery.terms.errors import Conflict, InvalidInput, NotFound
from rookery.waybill import store
from rookery.waybill.rules import carrier_scheme, s10_scheme, sscc_scheme

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
MERCHANT = frozenset({"merchant"})
OPERATOR = frozenset({"operator"})
_COMPANIES = (f"{4_000_000 + n}" for n in count())


@pytest.fixture(scope="module")
def db(make_database):
    """A database of this module's own."""
    return make_database(size=8)


@pytest.fixture
def new_range(db):
    """Adds a range under a company prefix of its own: `new_range(last=99, party="pty_a")` gives its id."""

    def add(party="pty_a", last=999, *, test=False, shared=False):
        range_id = f"rng_{next(_COMPANIES)}"
        with db.transaction(party, OPERATOR if shared else MERCHANT, test) as conn:
            store.add_range(conn, range_id, party, sscc_scheme(range_id[4:]), 0, last, test=test, at=AT, shared=shared)
        return range_id

    return add


def numbers_on(conn, parcel_ids):
    """The numbers that parcels carry, as far as the asker sees them."""
    rows = conn.execute("select number from waybill.numbers where parcel_id = any(%s) order by parcel_id", [parcel_ids])
    return [number for (number,) in rows]


def test_numbers_are_issued_one_after_the_other(db, new_range):
    """Each issue goes on where the last one ended, and what was issued is known with its parcel."""
    range_id = new_range()
    with db.transaction("pty_a", MERCHANT) as conn:
        first = store.issue(conn, range_id, "pty_a", 2, at=AT, parcel_ids=["pcl_1", "pcl_2"])
        second = store.issue(conn, range_id, "pty_a", 1, at=AT)
        assert len({*first.numbers, *second.numbers}) == 3 and not first.notices
        assert [row.parcel_id for row in store.get_numbers(conn, first.numbers)] == ["pcl_1", "pcl_2"]
        assert numbers_on(conn, ["pcl_2"]) == first.numbers[1:]
        assert store.get_range(conn, range_id).next_serial == 3


def test_writers_at_once_never_get_one_number_twice(db, new_range):
    """Eight writers who issue again and again from one range get all numbers of it, each once."""
    range_id = new_range(last=799)

    def write(_):
        with db.transaction("pty_a", MERCHANT) as conn:
            return store.issue(conn, range_id, "pty_a", 25, at=AT).numbers

    with ThreadPoolExecutor(8) as pool:
        numbers = [number for batch in pool.map(write, range(32)) for number in batch]
    assert len(set(numbers)) == len(numbers) == 800


def test_an_issue_that_fails_leaves_no_trace(db, new_range):
    """After a transaction that broke the next number is the one it would have got."""
    range_id = new_range()
    with pytest.raises(RuntimeError), db.transaction("pty_a", MERCHANT) as conn:
        lost = store.issue(conn, range_id, "pty_a", 5, at=AT).numbers
        raise RuntimeError
    with db.transaction("pty_a", MERCHANT) as conn:
        assert store.issue(conn, range_id, "pty_a", 1, at=AT).numbers == lost[:1]


def test_a_range_warns_before_it_ends_and_then_says_what_to_do(db, new_range):
    """From nine tenths on there is a warning; what is more than is left is refused, and nothing is taken."""
    range_id = new_range(last=9)
    with db.transaction("pty_a", MERCHANT) as conn:
        assert not store.issue(conn, range_id, "pty_a", 8, at=AT).notices
        (warning,) = store.issue(conn, range_id, "pty_a", 1, at=AT).notices
        assert warning.code == "range_nearly_used" and "1 numbers are left" in warning.message
        with pytest.raises(Conflict, match=r"has 1 left\. Next: add a range") as told:
            store.issue(conn, range_id, "pty_a", 2, at=AT)
        assert told.value.code == "waybill.range_exhausted"
        assert store.issue(conn, range_id, "pty_a", 1, at=AT).numbers


@pytest.mark.parametrize("test", [False, True])
def test_ranges_never_overlap(db, test):
    """Not with another party's, not live with test, and not by a longer prefix that spells the same texts."""
    with db.transaction("pty_a", MERCHANT) as conn:
        store.add_range(
            conn, f"rng_over_{test}", "pty_a", sscc_scheme(f"777000{test:d}", 3), 0, 99_999_999, test=False, at=AT
        )
    with db.transaction("pty_b", MERCHANT, test) as conn:
        for scheme, first, last in (
            (sscc_scheme(f"777000{test:d}", 3), 99_999_999, 100_000_000),
            (sscc_scheme(f"777000{test:d}0", 3), 5, 5),
            (carrier_scheme(f"3777000{test:d}", 9, "mod10"), 7, 7),
        ):
            with pytest.raises(Conflict) as told:
                store.add_range(conn, "rng_again", "pty_b", scheme, first, last, test=test, at=AT)
            assert told.value.code == "waybill.range_overlaps"
        beside = (sscc_scheme(f"777000{test:d}1", 3), sscc_scheme(f"777000{test:d}", 4))
        for place, scheme in enumerate(beside):
            store.add_range(conn, f"rng_beside_{test}_{place}", "pty_b", scheme, 0, 9, test=test, at=AT)


def test_a_range_that_is_none_is_refused(db):
    """Serials beyond the places, or last before first, are no range; an id is taken once."""
    with db.transaction("pty_a", MERCHANT) as conn:
        for first, last in ((0, 100_000_000), (5, 4), (-1, 4)):
            with pytest.raises(InvalidInput, match="are no range"):
                store.add_range(conn, "rng_none", "pty_a", s10_scheme("ZZ", "DE"), first, last, test=False, at=AT)
        store.add_range(conn, "rng_taken", "pty_a", s10_scheme("ZZ", "DE"), 0, 9, test=False, at=AT)
        with pytest.raises(Conflict, match="take another id"):
            store.add_range(conn, "rng_taken", "pty_a", s10_scheme("ZY", "DE"), 0, 9, test=False, at=AT)


def test_a_number_goes_its_way(db, new_range):
    """Issued, printed, changed, printed again, handed over, reprinted: versions and reprints are counted."""
    with db.transaction("pty_a", MERCHANT) as conn:
        numbers = store.issue(conn, new_range(), "pty_a", 1, at=AT).numbers

        def now():
            (row,) = store.get_numbers(conn, numbers)
            return row.state, row.version, row.reprints

        store.mark_printed(conn, numbers, at=AT)
        assert now() == ("printed", 1, 0)
        store.revise(conn, numbers, at=AT)
        assert now() == ("issued", 2, 0)
        store.mark_printed(conn, numbers, at=AT)
        store.mark_printed(conn, numbers, at=AT)
        store.hand_over(conn, numbers, at=AT)
        assert now() == ("handed_over", 2, 1)
        store.mark_printed(conn, numbers, at=AT)
        assert now() == ("handed_over", 2, 2)
        for act in (store.revise, store.cancel):
            with pytest.raises(Conflict, match="cannot become"):
                act(conn, numbers, at=AT)


def test_a_cancelled_number_is_retired_for_ever(db, new_range):
    """It is not printed, changed or handed over any more, not even by hand in SQL; cancelling twice is no fault."""
    with db.transaction("pty_a", MERCHANT) as conn:
        numbers = store.issue(conn, new_range(), "pty_a", 2, at=AT).numbers
        store.cancel(conn, numbers[:1], at=AT)
        store.cancel(conn, numbers[:1], at=AT)
        for act in (store.mark_printed, store.revise, store.hand_over):
            with pytest.raises(Conflict) as told:
                act(conn, numbers, at=AT)
            assert [fault.at for fault in told.value.faults] == ["$.numbers[0]"]
        assert [row.state for row in store.get_numbers(conn, numbers)] == ["cancelled", "issued"]
        with pytest.raises(psycopg.errors.RaiseException, match="retired"), conn.transaction():
            conn.execute("update waybill.numbers set state = 'issued' where number = %s", numbers[:1])


def test_serials_never_go_back(db, new_range):
    """A range's next serial only rises, and numbers are never deleted."""
    range_id = new_range()
    with db.transaction("pty_a", MERCHANT) as conn:
        store.issue(conn, range_id, "pty_a", 5, at=AT)
        with pytest.raises(psycopg.errors.RaiseException, match="never issued again"), conn.transaction():
            conn.execute("update waybill.ranges set next_serial = 1 where range_id = %s", [range_id])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
            conn.execute("delete from waybill.numbers")


def test_parties_see_their_own_and_what_is_shared(db, new_range):
    """Another party finds neither range nor number, test keys find no live ones; a shared range serves all."""
    mine, shared = new_range(), new_range("pty_op", shared=True)
    with db.transaction("pty_a", MERCHANT) as conn:
        numbers = store.issue(conn, mine, "pty_a", 1, at=AT).numbers
        numbers += store.issue(conn, shared, "pty_a", 1, at=AT).numbers
    for party, test in (("pty_b", False), ("pty_a", True)):
        with db.transaction(party, MERCHANT, test) as conn:
            with pytest.raises(NotFound) as told:
                store.get_numbers(conn, numbers)
            assert len(told.value.faults) == 2
            with pytest.raises(NotFound):
                store.issue(conn, mine, party, 1, at=AT)
            with pytest.raises(NotFound):
                store.cancel(conn, numbers, at=AT)
    with db.transaction("pty_b", MERCHANT) as conn:
        assert shared in [row.range_id for row in store.list_ranges(conn)]
        assert store.issue(conn, shared, "pty_b", 1, at=AT).numbers
        with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
            store.issue(conn, shared, "pty_a", 1, at=AT)  # numbers for somebody else
    with db.transaction("pty_op", OPERATOR) as conn:
        assert len(store.get_numbers(conn, numbers)) == 2


def test_who_was_granted_a_parcel_sees_its_number(db, new_range):
    """A courier of one of the parcel's legs finds its number and hands it over, and changes nothing else of it."""
    with db.transaction("pty_a", MERCHANT) as conn:
        numbers = store.issue(conn, new_range(), "pty_a", 2, at=AT, parcel_ids=["pcl_g1", "pcl_g2"]).numbers
    with db.transaction("pty_op", OPERATOR) as conn:
        conn.execute(
            "insert into orders.parcel_party values ('pcl_g1', 'pty_courier', 'courier', 'pty_a', false, %s)", [AT]
        )
    with db.transaction("pty_courier", frozenset({"courier"})) as conn:
        assert numbers_on(conn, ["pcl_g1", "pcl_g2"]) == numbers[:1]
        for change in ("state = 'cancelled'", "parcel_id = null", "version = 9"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(f"update waybill.numbers set {change} where number = %s", numbers[:1])
        store.hand_over(conn, numbers[:1], at=AT)
        with pytest.raises(NotFound):
            store.hand_over(conn, numbers[1:], at=AT)
