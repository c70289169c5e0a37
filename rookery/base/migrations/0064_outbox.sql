-- News for those who asked to be told: what happened (outbox), who wants to hear of it (endpoints), what was said to whom
-- (messages, deliveries). An act writes its news in its own transaction; a worker spreads and sends them.
create table base.outbox (
  seq bigint generated always as identity primary key, -- of one key, the order of happening: written under the key's lock
  event_id text collate "C" not null,
  test boolean not null,
  kind text collate "C" not null check (kind ~ '^[a-z_.]{1,60}$'),
  key text collate "C" not null, -- order is kept among equal keys
  parties text[] not null, -- whom it concerns
  at timestamptz not null,
  data json not null, -- kept as written: never anything about people
  to_all boolean not null default true -- false: not to those who hear of everything, whom other news tell the same
);

create table base.endpoints (
  endpoint_id text collate "C" primary key,
  party_id text collate "C" not null,
  test boolean not null,
  url text not null check (length(url) between 1 and 2000),
  kinds text[] not null, -- empty = all
  description text not null default '',
  hears_all boolean not null, -- of its mode: the endpoint of somebody who runs the network
  enabled boolean not null default true,
  disabled_at timestamptz,
  disabled_why text check (disabled_why in ('by_owner', 'gone', 'failing')),
  created_at timestamptz not null,
  changed_at timestamptz not null,
  rotation integer not null default 1, -- which secret counts; none is kept, each is derived from this
  old_until timestamptz, -- until then the one before counts, too
  token bytea, -- sealed: what its owner wants messages signed with as well; null = nothing
  failures integer not null default 0, -- in a row
  failing_since timestamptz,
  last_success_at timestamptz,
  last_failure_at timestamptz,
  last_error text
);
create index endpoints_of_party on base.endpoints (party_id, test, endpoint_id);

-- What is said, the same bytes each time; kept as long as its deliveries.
create table base.messages (
  seq bigint primary key, -- the outbox's
  at timestamptz not null,
  body text not null,
  created_at timestamptz not null
);
create index messages_age on base.messages using brin (created_at);

-- One message to one endpoint. Of one key at one endpoint one is `next`, and those that came later are `behind` it until
-- it is delivered or dead.
create table base.deliveries (
  endpoint_id text collate "C" not null,
  seq bigint not null,
  party_id text collate "C" not null, -- the endpoint's
  test boolean not null,
  event_id text collate "C" not null,
  kind text collate "C" not null,
  key text collate "C" not null,
  state text collate "C" not null check (state in ('behind', 'next', 'delivered', 'dead')),
  attempts integer not null default 0,
  first_at timestamptz, -- of the first attempt
  next_at timestamptz not null, -- of the next, while it is `next`
  ended_at timestamptz,
  status smallint, -- of the last answer
  error text,
  created_at timestamptz not null,
  primary key (endpoint_id, seq)
) with (fillfactor = 80);
create index deliveries_next on base.deliveries (endpoint_id, next_at, seq) where state = 'next';
create index deliveries_open on base.deliveries (endpoint_id, key, seq) where state in ('next', 'behind');
create index deliveries_age on base.deliveries using brin (created_at);

do $$
declare it text;
begin
  foreach it in array array['outbox', 'endpoints', 'messages', 'deliveries'] loop
    execute format('alter table base.%I enable row level security', it);
    execute format('alter table base.%I force row level security', it);
    execute format($p$create policy of_system on base.%I to rookery_app
      using ((select base.scopes()) && array['system']) with check ((select base.scopes()) && array['system'])$p$, it);
  end loop;
  -- a party's own, and all for those who run the network
  foreach it in array array['endpoints', 'deliveries'] loop
    execute format($p$create policy own on base.%I to rookery_app
      using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))
      with check (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))$p$, it);
  end loop;
end $$;
-- What hears of everything is nothing for a lesser key of the same party.
create policy hearing on base.endpoints as restrictive to rookery_app
  using (not hears_all or (select base.sees_all())) with check (not hears_all or (select base.sees_all()));
grant select, insert (event_id, test, kind, key, parties, at, data, to_all), delete on base.outbox to rookery_app;
grant usage on sequence base.outbox_seq_seq to rookery_app; -- messages for one endpoint alone take their place among the others
grant select, insert, update, delete on base.endpoints, base.messages, base.deliveries to rookery_app;
