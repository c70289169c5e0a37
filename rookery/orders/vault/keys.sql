-- The database of data keys. It stands apart from the main one and is in none of its backups: a key that is deleted
-- here makes every copy of what it sealed unreadable. Run again at every start; it changes nothing that is there.
create schema if not exists vault_keys;

create table if not exists vault_keys.person_key (
  person_id text collate "C" primary key, -- a person's, an uploaded file's, a kept row's, or the name of a secret of the vault's own
  master_version integer not null check (master_version > 0),
  wrapped bytea not null check (octet_length(wrapped) between 60 and 128)
);

-- Who was erased: known where the key was, too, so that no older copy of the main database, nor of the keys, undoes it.
create table if not exists vault_keys.erased (
  person_id text collate "C" primary key,
  erased_at timestamptz not null
);

-- what is deleted shall soon be gone from the files, too
alter table vault_keys.person_key set (
  autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0
);
