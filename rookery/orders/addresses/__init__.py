"""Addresses: written one way, held to the rules of their country, every fault told. Pure."""

from rookery.orders.addresses.model import Address, Checked
from rookery.orders.addresses.rules import check_address, check_addresses, check_contact, forget

__all__ = ["Address", "Checked", "check_address", "check_addresses", "check_contact", "forget"]
