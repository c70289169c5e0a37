-- Who may do what, what was done, and what was answered. Knows no parcels.
create schema if not exists base;
grant usage on schema base to rookery_app;

-- Settings of the transaction that say for whom it works; set by the server, read by every row-level policy.
create function base.party() returns text language sql stable parallel safe
  return coalesce(current_setting('rookery.party', true), '');
create function base.scopes() returns text[] language sql stable parallel safe
  return string_to_array(coalesce(current_setting('rookery.scopes', true), ''), ',');
create function base.sees_all() returns boolean language sql stable parallel safe
  return base.scopes() && array['operator', 'admin', 'system'];
create function base.test_mode() returns boolean language sql stable parallel safe
  return coalesce(current_setting('rookery.test', true), '') = 'on';
-- Row-level security is forced: it binds the tables' owner too, whose connections do maintenance, so that one that forgot
-- to say for whom it works sees nothing. The owner is a member of rookery_app, and what follows for rookery_app follows
-- for it. Functions that run as the owner, because whoever calls them may not see what they look up, have policies of
-- their own (`definer`), by this and not by a role's name: a backup is put back under whatever name the owner has there.
create function base.is_owner() returns boolean language sql stable parallel safe
  return current_user = (select pg_catalog.pg_get_userbyid(n.nspowner) from pg_catalog.pg_namespace n where n.nspname = 'base');

create table base.parties (
  party_id text collate "C" primary key,
  name text not null check (length(name) between 1 and 200),
  code text collate "C" unique check (length(code) between 1 and 100), -- what feeds call it (carrier_id)
  metadata jsonb not null default '{}',
  created_at timestamptz not null
);
alter table base.parties enable row level security;
alter table base.parties force row level security;
-- Parties have no test mode of their own: whoever asks in test mode sees its own alone, for all others are live.
create policy parties_read on base.parties for select to rookery_app
  using (party_id = (select base.party()) or (select base.scopes()) && array['system']
    or (select base.sees_all()) and not (select base.test_mode()));
create policy parties_add on base.parties for insert to rookery_app
  with check ((select base.scopes()) && array['admin', 'system']);
create policy definer on base.parties for select using ((select base.is_owner())); -- planning.couriers
grant select, insert on base.parties to rookery_app;

create table base.api_keys (
  key_id text collate "C" primary key,
  party_id text collate "C" not null references base.parties,
  secret_sha256 bytea not null unique check (length(secret_sha256) = 32),
  shown text not null, -- the first characters, so that people can tell keys apart
  scopes text[] not null check (
    cardinality(scopes) > 0 and scopes <@ array['merchant', 'courier', 'station', 'operator', 'customs', 'admin']),
  test boolean not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  rotated_from text collate "C"
);
create index api_keys_party on base.api_keys (party_id, key_id);
alter table base.api_keys enable row level security;
alter table base.api_keys force row level security;
create policy definer on base.api_keys for select using ((select base.is_owner())); -- base.find_key
create policy api_keys_all on base.api_keys to rookery_app
  using ((select base.scopes()) && array['admin', 'system'] or party_id = (select base.party()))
  with check ((select base.scopes()) && array['admin', 'system'] or party_id = (select base.party()));
grant select (key_id, party_id, shown, scopes, test, created_at, expires_at, revoked_at, rotated_from),
  insert, update (expires_at, revoked_at) on base.api_keys to rookery_app;

-- The one thing asked before it is known who asks. It runs as the tables' owner, and gives nothing but the key's own row.
create function base.find_key(secret bytea)
  returns table (key_id text, party_id text, scopes text[], test boolean, expires_at timestamptz, revoked_at timestamptz)
  language sql stable security definer set search_path = ''
  begin atomic
    select k.key_id, k.party_id, k.scopes, k.test, k.expires_at, k.revoked_at
      from base.api_keys k where k.secret_sha256 = secret;
  end;
revoke all on function base.find_key from public;
grant execute on function base.find_key to rookery_app;

-- What was answered to a command that carried an Idempotency-Key. Replies hold ids, never people's data.
create table base.replies (
  party_id text collate "C" not null,
  test boolean not null,
  idempotency_key text collate "C" not null check (length(idempotency_key) between 1 and 255),
  act text not null,
  asked_sha256 bytea not null,
  status smallint,
  reply bytea,
  created_at timestamptz not null,
  primary key (party_id, test, idempotency_key)
);
create index replies_created on base.replies (created_at);
alter table base.replies enable row level security;
alter table base.replies force row level security;
create policy replies_own on base.replies to rookery_app
  using ((party_id = (select base.party()) and test = (select base.test_mode()))
    or (select base.scopes()) && array['system'])
  with check (party_id = (select base.party()) and test = (select base.test_mode()));
grant select, insert, update (status, reply), delete on base.replies to rookery_app;

-- Who did what, when. Written with the act itself; chained and sealed afterwards (base.audit_seals).
create table base.audit (
  audit_id bigint generated always as identity,
  at timestamptz not null,
  party_id text collate "C" not null,
  key_id text collate "C" not null,
  test boolean not null,
  act text not null,
  subject text not null default '', -- an id, or how many things
  detail jsonb not null default '{}', -- never people's data
  primary key (audit_id, at)
) partition by range (at);
create table base.audit_other partition of base.audit default;
alter table base.audit enable row level security;
alter table base.audit force row level security;
create policy audit_read on base.audit for select to rookery_app
  using ((select base.scopes()) && array['admin', 'system'] or party_id = (select base.party()));
create policy audit_add on base.audit for insert to rookery_app
  with check (party_id = (select base.party()) or (select base.scopes()) && array['system']);
grant select, insert on base.audit to rookery_app; -- nobody changes or removes a line

-- History tables that are partitioned by month of a column, and for how long they are kept.
create table base.partitioned (
  table_name text primary key,
  keep_months integer not null check (keep_months > 0)
);
insert into base.partitioned values ('base.audit', 84);
grant select on base.partitioned to rookery_app;
