"""The vault: people's names and addresses, encrypted, each with a data key of its own that can be destroyed."""

from rookery.orders.vault.copies import KeysRestored, backup_keys, people_without_key, restore_keys
from rookery.orders.vault.kept import drop_expired, keep_rows, kept_rows, row_ref, tie_rows
from rookery.orders.vault.keyring import Keyring, add_master_key
from rookery.orders.vault.keys import prepare, rotate
from rookery.orders.vault.model import Broken, Erased, Expired
from rookery.orders.vault.store import erase, erase_reference, open_people, people_of, seal_as, seal_people

__all__ = [
    "Broken",
    "Erased",
    "Expired",
    "Keyring",
    "KeysRestored",
    "add_master_key",
    "backup_keys",
    "drop_expired",
    "erase",
    "erase_reference",
    "keep_rows",
    "kept_rows",
    "open_people",
    "people_of",
    "people_without_key",
    "prepare",
    "restore_keys",
    "rotate",
    "row_ref",
    "seal_as",
    "seal_people",
    "tie_rows",
]
