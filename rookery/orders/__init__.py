"""Orders: what shippers hand over, read, held to the format's rules, and sampled. See README.md."""

from rookery.orders.reader import check_orders, read_orders
from rookery.orders.sample import sample_orders, write_orders

__all__ = ["check_orders", "read_orders", "sample_orders", "write_orders"]
