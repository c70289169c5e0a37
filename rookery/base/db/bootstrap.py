"""What a fresh cluster needs before the first migration: two roles and two databases.

Done again at each start: it costs milliseconds, and a start that was killed half-way is mended by the next one.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from rookery.base.db import secrets
from rookery.base.db.urls import APP, KEYS, MAIN, OWNER


def bootstrap(url: str, passwords: Path) -> None:
    """Makes the roles `rookery` (no superuser, owner of both databases) and `rookery_app`, and the databases."""
    with psycopg.connect(url, autocommit=True) as conn:
        roles = {name for (name,) in conn.execute("select rolname from pg_roles")}
        if OWNER not in roles:
            conn.execute(
                sql.SQL("create role {} login nosuperuser createrole createdb nobypassrls password {}").format(
                    sql.Identifier(OWNER), sql.Literal(secrets.password(passwords, OWNER))
                )
            )
        if APP not in roles:
            conn.execute(sql.SQL("create role {} nologin nosuperuser nobypassrls").format(sql.Identifier(APP)))
        conn.execute(sql.SQL("grant {} to {}").format(sql.Identifier(APP), sql.Identifier(OWNER)))
        # what a client did wrong is told to the client; in the log it could name people
        conn.execute(sql.SQL("alter role {} set log_min_messages = 'log'").format(sql.Identifier(OWNER)))
        there = {name for (name,) in conn.execute("select datname from pg_database")}
        for name in (MAIN, KEYS):
            database = sql.Identifier(name)
            if name not in there:
                conn.execute(sql.SQL("create database {} owner {}").format(database, sql.Identifier(OWNER)))
            conn.execute(sql.SQL("revoke all on database {} from public").format(database))
