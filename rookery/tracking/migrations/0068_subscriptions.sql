-- Named queries that are told as events come: who is told what of them (subscriptions), and in which order events came
-- (arrivals).

-- A row for each batch of events, written in the transaction that keeps them. `place` is given when the row is first seen
-- committed, by one at a time: what lies behind a place is settled for good, whichever transaction began or was numbered
-- first, however long others take, and also in a database put back from a backup.
create table tracking.arrivals (
  seq bigint generated always as identity,
  test boolean not null,
  place bigint, -- in the order of coming; null = not yet seen
  event_nos bigint[] not null check (cardinality(event_nos) > 0),
  event_ats timestamptz[] not null check (cardinality(event_ats) = cardinality(event_nos)),
  primary key (test, seq)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 50000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);
create index arrivals_new on tracking.arrivals (test, seq) where place is null;
create unique index arrivals_in_order on tracking.arrivals (test, place) where place is not null;
create sequence tracking.arrivals_places as bigint;

create table tracking.subscriptions (
  subscription_id text collate "C" primary key,
  party_id text collate "C" not null,
  test boolean not null,
  scopes text[] not null, -- with which it looks
  sees_all boolean not null, -- by these
  query_name text collate "C" not null,
  endpoint_id text collate "C" not null, -- where it tells, base.endpoints
  epc_format text not null,
  schedule jsonb, -- null = as events come
  report_if_empty boolean not null,
  initial_record_time timestamptz,
  created_at timestamptz not null,
  begins bigint not null, -- what has a place behind this one came after the subscription
  place bigint not null, -- all up to this place was looked at
  recalled_at timestamptz, -- what was recorded before: looked at up to here; null = there is nothing left of it
  recalled_no bigint,
  due_at timestamptz, -- when it is to report next; null = whenever there is something
  until_place bigint, -- how far the report at hand goes; null = there is none
  told boolean not null default false, -- in the report at hand
  rests_until timestamptz -- after a fault
);
create index subscriptions_of_query on tracking.subscriptions (party_id, test, query_name, subscription_id);

do $$
declare it text;
begin
  foreach it in array array['arrivals', 'subscriptions'] loop
    execute format('alter table tracking.%I enable row level security', it);
    execute format('alter table tracking.%I force row level security', it);
  end loop;
end $$;
create policy of_system on tracking.arrivals to rookery_app
  using (test = (select base.test_mode()) and (select base.scopes()) && array['system'])
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
create policy own on tracking.subscriptions to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))
  with check (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())));
-- What is told everything is nothing for a lesser key of the same party.
create policy hearing on tracking.subscriptions as restrictive to rookery_app
  using (not sees_all or (select base.sees_all())) with check (not sees_all or (select base.sees_all()));
grant select, delete, update (place) on tracking.arrivals to rookery_app;
grant insert (test, event_nos, event_ats) on tracking.arrivals to rookery_app;
grant usage on sequence tracking.arrivals_places to rookery_app;
grant select, insert, delete,
  update (place, recalled_at, recalled_no, due_at, until_place, told, rests_until) on tracking.subscriptions
  to rookery_app;
