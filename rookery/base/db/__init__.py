"""PostgreSQL everywhere: the embedded cluster or one's own server, migrations, connections, backups, partitions."""

from rookery.base.db.cluster import Cluster
from rookery.base.db.external import External, server
from rookery.base.db.migrate import Status, status, upgrade
from rookery.base.db.pool import Database
from rookery.base.db.urls import KEYS, MAIN, Server, Urls

__all__ = ["KEYS", "MAIN", "Cluster", "Database", "External", "Server", "Status", "Urls", "server", "status", "upgrade"]
