-- Plans as made by waves, the route of every shipment, and what departures carry.
create schema if not exists planning;
grant usage on schema planning to rookery_app;

create table planning.plans (
  plan_id text collate "C" primary key,
  feed_id text collate "C" not null,
  test boolean not null,
  state text not null check (state in ('waiting', 'planning', 'done', 'failed')),
  settings jsonb not null default '{}', -- as asked for: horizon_days, outcomes, seconds
  asked_by text collate "C" not null,
  asked_at timestamptz not null,
  begun_at timestamptz,
  finished_at timestamptz,
  orders integer, -- looked at
  booked integer, -- newly
  rerouted integer, -- booked before, now on another route
  unassigned integer,
  skipped integer, -- changed, or their room taken, while it was planned: left as they are
  reasons jsonb not null default '{}', -- unassigned by reason, and parcels without a number as no_number
  summary jsonb not null default '{}', -- the figures of the plan
  fault text,
  metadata jsonb not null default '{}',
  version integer not null default 1
);
create index plans_newest on planning.plans (test, plan_id desc);

-- The itinerary of a shipment along median times. A new route is added beside the old ones; orders.shipments.route tells
-- which counts.
create table planning.legs (
  shipment_id text collate "C" not null,
  route integer not null,
  seq integer not null, -- from 1
  party_id text collate "C" not null, -- the shipper
  courier_id text collate "C", -- the party whose code is the carrier's, if there is one
  test boolean not null,
  plan_id text collate "C", -- null = as quoted
  departure_id text not null,
  lane_id text not null,
  carrier_id text,
  mode text not null,
  from_node text not null,
  to_node text not null,
  cutoff_at timestamptz not null,
  depart_at timestamptz not null,
  arrive_at timestamptz not null,
  cost double precision not null,
  primary key (shipment_id, route, seq)
);
create index legs_of_departure on planning.legs (departure_id, depart_at);
create index legs_to_come on planning.legs (test, depart_at);

-- What dated departures carry by now: the last wave's expected loads and what was booked since. Only those with a limit
-- need a row. A departure that several versions of the network have is one and the same.
create table planning.loads (
  test boolean not null,
  departure_id text collate "C" not null,
  depart_at timestamptz not null,
  parcels double precision not null default 0,
  grams double precision not null default 0,
  capacity_parcels double precision, -- null = unlimited; as whoever wrote last knew it
  capacity_g double precision,
  shadow_price double precision not null default 0, -- of the last wave: a parcel's seat
  shadow_price_per_kg double precision not null default 0,
  primary key (test, departure_id, depart_at)
);

-- Orders a wave found no way for, and why: until a later wave or the shipper changes it.
create table planning.unassigned (
  order_id text collate "C" primary key,
  party_id text collate "C" not null,
  test boolean not null,
  plan_id text collate "C" not null,
  reasons text[] not null
);

alter table planning.plans enable row level security;
alter table planning.plans force row level security;
create policy plans_all on planning.plans to rookery_app
  using (test = (select base.test_mode()) and (select base.sees_all()))
  with check (test = (select base.test_mode()) and (select base.sees_all()));
alter table planning.legs enable row level security;
alter table planning.legs force row level security;
create policy legs_read on planning.legs for select to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all())
    or party_id = (select base.party()) or courier_id = (select base.party())));
create policy legs_write on planning.legs for insert to rookery_app
  with check (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())));
alter table planning.loads enable row level security;
alter table planning.loads force row level security;
create policy loads_all on planning.loads to rookery_app
  using (test = (select base.test_mode())) with check (test = (select base.test_mode()));
alter table planning.unassigned enable row level security;
alter table planning.unassigned force row level security;
create policy unassigned_all on planning.unassigned to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))
  with check (test = (select base.test_mode()) and (select base.sees_all()));
grant select, insert, update on planning.plans to rookery_app;
grant select, insert on planning.legs to rookery_app;
grant select, insert, update, delete on planning.loads, planning.unassigned to rookery_app;
