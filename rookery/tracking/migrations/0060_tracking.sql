-- What was observed (events), of which things (event_epcs), what lay in what (containment), and where that leaves a parcel.
create schema if not exists tracking;
grant usage on schema tracking to rookery_app;

create type tracking.status as enum ('pre_transit', 'picked_up', 'in_transit', 'out_for_delivery', 'available_for_pickup',
  'delivery_failed', 'on_hold', 'delivered', 'return_to_sender', 'cancelled');

-- One row for each event of a party, partitioned by the month in which it happened: the same event lies in the same month,
-- so that its mark is unique among all. Never changed and, but for what became of its time's being believed, never judged.
create table tracking.events (
  event_no bigint generated always as identity,
  event_at timestamptz not null,
  record_at timestamptz not null,
  party_id text collate "C" not null, -- who captured it
  test boolean not null,
  mark bytea not null check (length(mark) = 16), -- of party, mode and event hash
  declared_at timestamptz not null, -- the error declaration's time; -infinity = there is none
  hash bytea not null check (length(hash) = 32), -- as CBV 2.0 defines it
  event_id text collate "C", -- as sent; null = ni:///sha-256;<hash>?ver=CBV2.0
  type text collate "C" not null,
  action text collate "C",
  biz_step text collate "C",
  disposition text collate "C",
  read_point text collate "C",
  biz_location text collate "C",
  capture_id text collate "C",
  epcs integer not null, -- rows in event_epcs that stand for single things: who sees fewer sees it without the others
  doubt text check (doubt in ('future', 'ancient')), -- why its time is not believed: it is kept, and moves no parcel
  body jsonb not null, -- as sent, but with empty lists of EPCs: those that a reader may see are put back
  primary key (event_no, event_at)
) partition by range (event_at);
create table tracking.events_other partition of tracking.events default;
create unique index events_once on tracking.events (mark, declared_at, event_at);
create index events_by_time on tracking.events (event_at);
create index events_by_party on tracking.events (party_id, event_at);
create index events_by_step on tracking.events (biz_step, event_at) where biz_step is not null;
create index events_by_location on tracking.events (biz_location, event_at) where biz_location is not null;
create index events_by_read_point on tracking.events (read_point, event_at) where read_point is not null;
create index events_by_id on tracking.events using hash (event_id) where event_id is not null;
create index events_by_hash on tracking.events using hash (hash);
create index events_by_record on tracking.events (record_at, event_no);

-- Each thing that an event names, in the list it stood in. A parcel's rows know it, if whoever captured the event has to do
-- with the parcel; what else is said of a parcel, by strangers, is kept and reaches nobody else.
create table tracking.event_epcs (
  event_no bigint not null,
  role smallint not null, -- 0 epcList 1 parentID 2 childEPCs 3 inputEPCList 4 outputEPCList; classes: 5 quantityList
                          -- 6 childQuantityList 7 inputQuantityList 8 outputQuantityList
  place integer not null, -- in its list, from 0
  event_at timestamptz not null,
  epc text collate "C" not null, -- canonical
  as_sent text collate "C", -- null = the same
  parent text collate "C", -- of children: what they were put into or taken out of
  action text collate "C",
  status tracking.status, -- what the event means for this thing; null = nothing
  detail text collate "C",
  party_id text collate "C" not null,
  standing smallint not null, -- of the party then: 2 runs the network, 1 carries (courier, station), 0 others
  withdrawn boolean not null default false, -- by an error declaration, or is one
  doubt boolean not null default false,
  parcel_id text collate "C",
  owner_id text collate "C", -- the parcel's shipper
  test boolean not null,
  primary key (event_no, role, place, event_at)
) partition by range (event_at);
create table tracking.event_epcs_other partition of tracking.event_epcs default;
create index event_epcs_of on tracking.event_epcs (epc, event_at);
create index event_epcs_owned on tracking.event_epcs (owner_id, event_at) where owner_id is not null;
insert into base.partitioned values ('tracking.events', 1200), ('tracking.event_epcs', 1200); -- archived, not dropped

-- What lay in what, from when until when, by the aggregation events that are believed. A thing lies in one other at a time.
create table tracking.containment (
  child text collate "C" not null,
  parent text collate "C" not null,
  from_at timestamptz not null,
  until_at timestamptz not null, -- infinity = still
  test boolean not null,
  from_event bigint not null,
  until_event bigint,
  primary key (child, test, from_at)
);
create index containment_in on tracking.containment (parent, test, from_at);
-- A row for each thing that was put somewhere or had something put into it, to be held while that changes.
create table tracking.things (
  epc text collate "C" not null,
  test boolean not null,
  primary key (epc, test)
);

-- Where a parcel is by what is known now: derived from the events above, always to be derived again.
create table tracking.parcels (
  epc text collate "C" not null,
  test boolean not null,
  parcel_id text collate "C" not null,
  owner_id text collate "C" not null,
  status tracking.status,
  detail text collate "C",
  status_at timestamptz, -- event time of the event that made it so
  event_no bigint,
  place text collate "C",
  latest_at timestamptz, -- of all that counts; what comes later than this is added, what comes earlier has all replayed
  latest_no bigint,
  updated_at timestamptz not null,
  primary key (epc, test)
) with (fillfactor = 70); -- and no index on what changes, so that a change stays on its page and touches no index
create index parcels_of_owner on tracking.parcels (owner_id, test, epc);

-- Captures: what was handed in at once, and what came of it.
create table tracking.captures (
  capture_id text collate "C" primary key,
  party_id text collate "C" not null,
  test boolean not null,
  created_at timestamptz not null,
  finished_at timestamptz,
  running boolean not null,
  success boolean not null,
  behaviour text not null check (behaviour in ('rollback', 'proceed')),
  standing smallint not null,
  events integer not null default 0,
  added integer not null default 0,
  errors jsonb not null default '[]',
  media text,
  content bytea -- until it was read
);
alter table tracking.captures alter column content set storage external;
create index captures_of_party on tracking.captures (party_id, test, capture_id);

-- Named queries, by party.
create table tracking.queries (
  party_id text collate "C" not null,
  test boolean not null,
  name text collate "C" not null check (length(name) between 1 and 200),
  query jsonb not null,
  created_at timestamptz not null,
  primary key (party_id, test, name)
);

-- Couriers' codes: their tables by version (the highest counts), and the events whose code no table knew.
create table tracking.code_tables (
  party_id text collate "C" not null,
  test boolean not null,
  version integer not null,
  content text not null,
  created_at timestamptz not null,
  created_by text collate "C" not null,
  primary key (party_id, test, version)
);
create table tracking.unmapped (
  event_no bigint not null,
  event_at timestamptz not null,
  party_id text collate "C" not null,
  test boolean not null,
  code text collate "C" not null,
  primary key (event_no)
);
create index unmapped_codes on tracking.unmapped (party_id, test, code, event_at);

-- Scans of numbers that no parcel of the party's has: kept, and looked for again when parcels are let to it.
create table tracking.strays (
  epc text collate "C" not null,
  party_id text collate "C" not null,
  test boolean not null,
  event_no bigint not null,
  event_at timestamptz not null,
  number text collate "C" not null,
  primary key (epc, party_id, test, event_no)
);
create index strays_of_party on tracking.strays (party_id, test, event_no);

do $$
declare it text;
begin
  foreach it in array array['events', 'event_epcs', 'containment', 'things', 'parcels', 'captures', 'queries', 'code_tables', 'unmapped',
      'strays'] loop
    execute format('alter table tracking.%I enable row level security', it);
    execute format('alter table tracking.%I force row level security', it);
  end loop;
  -- a party's own, and all for those who run the network
  foreach it in array array['captures', 'queries', 'code_tables', 'unmapped', 'strays'] loop
    execute format($p$create policy own on tracking.%I to rookery_app
      using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))
      with check (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))$p$, it);
  end loop;
end $$;

-- Who sees what an event names: who captured it, the parcel's shipper, whoever was granted the parcel.
create policy seen on tracking.event_epcs for select to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())
    or owner_id = (select base.party()) or (parcel_id is not null and exists (
      select from orders.parcel_party g
       where g.parcel_id = event_epcs.parcel_id and g.party_id = (select base.party())))));
-- Written by the system alone: whoever wrote a row about another's event, or with another's parcel in it, would see the one
-- and be heard in the other.
create policy added on tracking.event_epcs for insert to rookery_app
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
create policy told on tracking.event_epcs for update to rookery_app
  using (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
-- An event is seen by whoever sees one thing it names, or captured it.
create policy seen on tracking.events for select to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())
    or exists (select from tracking.event_epcs e where e.event_no = events.event_no and e.event_at = events.event_at)));
create policy added on tracking.events for insert to rookery_app
  with check (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())));
-- A capture's word goes no further than its party's.
create policy standing on tracking.captures as restrictive for insert to rookery_app
  with check ((select base.sees_all()) or standing = 0
    or standing = 1 and (select base.scopes()) && array['courier', 'station']);
-- Derived: written by the system alone.
create policy seen on tracking.containment for select to rookery_app
  using (test = (select base.test_mode()) and (select base.sees_all()));
create policy derived on tracking.containment to rookery_app
  using (test = (select base.test_mode()) and (select base.scopes()) && array['system'])
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
create policy held on tracking.things to rookery_app
  using (test = (select base.test_mode()) and (select base.scopes()) && array['system'])
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
create policy seen on tracking.parcels for select to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or owner_id = (select base.party())
    or exists (select from orders.parcel_party g
       where g.parcel_id = parcels.parcel_id and g.party_id = (select base.party()))));
create policy derived on tracking.parcels to rookery_app
  using (test = (select base.test_mode()) and (select base.scopes()) && array['system'])
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
-- Nobody chooses an event's number.
grant select, insert (event_at, record_at, party_id, test, mark, declared_at, hash, event_id, type, action, biz_step,
  disposition, read_point, biz_location, capture_id, epcs, doubt, body) on tracking.events to rookery_app;
grant select, insert, update (status, detail, withdrawn, parcel_id, owner_id) on tracking.event_epcs to rookery_app;
grant select, insert, update, delete on tracking.containment, tracking.parcels, tracking.things to rookery_app;
grant select, insert, update (finished_at, running, success, events, added, errors, content) on tracking.captures to rookery_app;
grant select, insert, delete on tracking.queries, tracking.unmapped, tracking.strays to rookery_app;
grant select, insert on tracking.code_tables to rookery_app;
