"""How the embedded PostgreSQL is set: sized for two cores and some GiB, durable, and silent about people."""

from __future__ import annotations

from pathlib import Path

FILE = "rookery.conf"
OWN = "postgres.conf"
"""An operator's own settings, in the data folder; they win. Made empty, and never written again."""

_SETTINGS = {
    # reached through a socket in a closed folder, and by password; nothing listens on the network
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "password_encryption": "'scram-sha-256'",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",  # costs more than it gives on short statements
    "max_parallel_workers_per_gather": "1",
    # acknowledged is durable
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # a week of logs, one file a day; no text of statements, no parameters, no row values (terse) in them
    "logging_collector": "on",
    "log_directory": "'log'",
    "log_filename": "'postgresql-%a.log'",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_file_mode": "0600",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "timezone": "'UTC'",
    "cluster_name": "'rookery'",
}


def write(cluster: Path, sockets: Path, **changed: str) -> Path:
    """Writes the settings into the cluster's folder, anew at each start, so that a new release's are used."""
    settings = {**_SETTINGS, "unix_socket_directories": quoted(str(sockets)), **changed}
    lines = [f"{name} = {value}" for name, value in settings.items()]
    target = cluster / FILE
    aside = target.with_suffix(".new")
    aside.write_text(
        "# Written by Rookery at each start. Your own settings: ../" + OWN + "\n" + "\n".join(lines) + "\n"
    )
    aside.chmod(0o600)
    aside.replace(target)
    return target


def include(cluster: Path, data: Path) -> Path:
    """Has a fresh cluster read Rookery's settings, then the operator's own; returns the file for these."""
    own = data / OWN
    if not own.exists():
        own.write_text("# Your own settings of PostgreSQL; they win over Rookery's (postgres/rookery.conf).\n")
    with (cluster / "postgresql.conf").open("a") as conf:
        conf.write(f"\ninclude = '{FILE}'\ninclude_if_exists = '../{OWN}'\n")
    return own


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
