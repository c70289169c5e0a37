-- Which parcels are to be looked at (moved), how likely each is to be on time by what is known of it now (chances), and how
-- that came to be (chance_history). Written by the system alone; read as the parcels are, the history by their shippers alone.

-- What moved, or may look otherwise now: put in by whoever changes it, in the transaction that does, and taken out by whoever
-- looks. A parcel may stand there more than once: it is looked at as it is then.
create table tracking.moved (
  seq bigint generated always as identity,
  test boolean not null,
  parcels integer not null check (parcels between 1 and 500),
  epcs text[] collate "C" not null,
  not_before timestamptz, -- of a parcel that could not be looked at, nor ever was; null = at once
  primary key (test, seq)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 50000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);

create table tracking.chances (
  epc text collate "C" not null,
  test boolean not null,
  parcel_id text collate "C" not null,
  shipment_id text collate "C" not null,
  owner_id text collate "C" not null, -- the parcel's shipper
  policy text, -- version of the outlook it was looked up in; null = in none
  at timestamptz, -- event time it goes by; null = nothing was seen yet
  event_no bigint,
  status text not null, -- as trackers tell it
  detail text,
  node_id text, -- where it stands, or was last known to; null = riding, or not known
  riding_departure_id text,
  riding_depart_at timestamptz, -- as the timetable has that run
  chance double precision check (chance between 0 and 1), -- of being on time; null = not known
  expected_at timestamptz,
  by_at timestamptz, -- first instant by which it is delivered with the promise's confidence
  promised_at timestamptz not null,
  confidence double precision not null,
  next_departure_id text,
  next_cutoff_at timestamptz,
  legs jsonb not null default '[]', -- from here, along median times; the one it rides first
  nodes text, -- of these legs, between tabs
  off_plan boolean not null, -- they leave the booked ones
  below boolean not null default false, -- its promise is in doubt, as was last told: it begins below a margin, and ends at the promise
  cost double precision, -- of these legs, in the network's currency
  why text, -- why it is not known, or as it is: no_way no_policy unknown_place not_planned ended given_up
  look_again_at timestamptz, -- when what is awaited should have been seen by
  due_scan text check (due_scan in ('accepted', 'departed', 'arrived', 'out_for_delivery', 'delivered')),
  looked_at timestamptz not null,
  primary key (epc, test)
) with (fillfactor = 70);
create index chances_to_look_at on tracking.chances (test, look_again_at) where look_again_at is not null;
create index chances_under_way on tracking.chances (test, chance, parcel_id)
  where status not in ('delivered', 'cancelled', 'return_to_sender') and why is distinct from 'given_up';
create index chances_over on tracking.chances (test, promised_at) -- which are to be forgotten
  where status in ('delivered', 'cancelled', 'return_to_sender') or why = 'given_up';
create index chances_without_policy on tracking.chances (test) where why = 'no_policy';

-- A row for each look whose answer was another than the one before.
create table tracking.chance_history (
  seq bigint generated always as identity,
  epc text collate "C" not null,
  test boolean not null,
  at timestamptz not null, -- of the event that made it so; without a new one, of the look
  looked_at timestamptz not null,
  event_no bigint,
  chance double precision,
  expected_at timestamptz,
  policy text,
  why text
) partition by range (looked_at);
create table tracking.chance_history_other partition of tracking.chance_history default;
create index chance_history_of on tracking.chance_history (epc, test, seq);
insert into base.partitioned values ('tracking.chance_history', 13);

do $$
declare it text;
begin
  foreach it in array array['moved', 'chances', 'chance_history'] loop
    execute format('alter table tracking.%I enable row level security', it);
    execute format('alter table tracking.%I force row level security', it);
    execute format($p$create policy derived on tracking.%I to rookery_app
      using (test = (select base.test_mode()) and (select base.scopes()) && array['system'])
      with check (test = (select base.test_mode()) and (select base.scopes()) && array['system'])$p$, it);
  end loop;
end $$;
create policy seen on tracking.chances for select to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or owner_id = (select base.party())
    or exists (select from orders.parcel_party g
       where g.parcel_id = chances.parcel_id and g.party_id = (select base.party()))));
create policy seen on tracking.chance_history for select to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all())
    or exists (select from tracking.chances c where c.epc = chance_history.epc and c.test = chance_history.test
       and c.owner_id = (select base.party()))
    or exists (select from tracking.parcels p where p.epc = chance_history.epc and p.test = chance_history.test
       and p.owner_id = (select base.party())))); -- also once its chance itself was forgotten
grant select, delete on tracking.moved to rookery_app;
grant insert (test, parcels, epcs, not_before) on tracking.moved to rookery_app;
grant select, insert, update, delete on tracking.chances to rookery_app;
grant select on tracking.chance_history to rookery_app;
grant insert (epc, test, at, looked_at, event_no, chance, expected_at, policy, why) on tracking.chance_history to rookery_app;
