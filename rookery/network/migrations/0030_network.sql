-- Feed versions are records: published, active for new parcels, or retired; parcels in flight keep theirs.
create schema if not exists network;
grant usage on schema network to rookery_app;

create table network.feeds (
  feed_id text collate "C" primary key,
  name text not null,
  version text not null,
  currency text not null,
  sha256 text not null unique,
  archive bytea not null, -- the feed as a zip, as it was read
  nodes integer not null,
  departures integer not null,
  notices jsonb not null default '[]',
  metadata jsonb not null default '{}',
  published_at timestamptz not null,
  published_by text collate "C" not null
);
alter table network.feeds alter column archive set storage external; -- it is compressed already

-- Which feed counted from when, for live and test apart; the last line counts.
create table network.activations (
  activation_id bigint generated always as identity primary key,
  feed_id text collate "C" not null references network.feeds,
  test boolean not null,
  at timestamptz not null,
  by_party text collate "C" not null,
  why text not null check (why in ('activate', 'rollback'))
);
create index activations_last on network.activations (test, activation_id desc);

-- A network is no secret among those who take part; only those who run it change it.
alter table network.feeds enable row level security;
alter table network.activations enable row level security;
create policy feeds_read on network.feeds for select to rookery_app using (true);
create policy feeds_write on network.feeds for insert to rookery_app with check ((select base.sees_all()));
create policy activations_read on network.activations for select to rookery_app using (true);
create policy activations_write on network.activations for insert to rookery_app
  with check ((select base.sees_all()) and test = (select base.test_mode()));
grant select, insert on network.feeds, network.activations to rookery_app;
