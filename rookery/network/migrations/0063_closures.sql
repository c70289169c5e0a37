-- Closures entered while the network runs: laid over whichever version is active, lifted when they are over, never deleted.
create table network.closures (
  closure_id text collate "C" primary key,
  test boolean not null,
  node_id text collate "C",
  lane_id text collate "C",
  departure_id text collate "C",
  from_at timestamptz not null, -- whole minutes, as all that closures compare with
  until_at timestamptz not null,
  capacity_factor double precision not null check (capacity_factor between 0 and 1), -- 0 = does not run
  delay_minutes integer not null check (delay_minutes >= 0),
  reason text not null,
  replan boolean not null, -- whether what it touches was to be re-planned at once
  entered_at timestamptz not null,
  entered_by text collate "C" not null,
  lifted_at timestamptz,
  lifted_by text collate "C",
  check (num_nonnulls(node_id, lane_id, departure_id) = 1),
  check (until_at > from_at),
  check ((lifted_at is null) = (lifted_by is null))
);
create index closures_newest on network.closures (test, closure_id desc);
create index closures_in_force on network.closures (test, until_at) where lifted_at is null;

-- Like the network itself no secret among those who take part; entered and lifted by those who run it.
alter table network.closures enable row level security;
alter table network.closures force row level security;
create policy closures_read on network.closures for select to rookery_app using (test = (select base.test_mode()));
create policy closures_write on network.closures for insert to rookery_app
  with check (test = (select base.test_mode()) and (select base.sees_all()));
create policy closures_lift on network.closures for update to rookery_app
  using (test = (select base.test_mode()) and (select base.sees_all()))
  with check (test = (select base.test_mode()) and (select base.sees_all()));
grant select, insert, update (lifted_at, lifted_by) on network.closures to rookery_app;
