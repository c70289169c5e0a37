"""The databases tests are given."""


def test_a_fresh_database_is_empty(fresh_database):
    """A fresh database has all tables and no party."""
    with fresh_database.transaction("", frozenset({"system"})) as conn:
        assert conn.execute("select count(*) from base.parties").fetchone() == (0,)
        conn.execute("insert into base.parties values ('pty_1', 'Ada Example', null, '{}', '2026-03-02T00:00Z')")


def test_another_fresh_database_is_empty_too(fresh_database):
    """What one test wrote is not in the next one's database."""
    with fresh_database.transaction("", frozenset({"system"})) as conn:
        assert conn.execute("select count(*) from base.parties").fetchone() == (0,)
