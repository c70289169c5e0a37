-- Shipments booked on from where they are: what was done at once, for which shipment, and what could not be.
create table planning.replans (
  replan_id text collate "C" primary key,
  test boolean not null,
  case_id text collate "C", -- the trouble it was done about; null = by itself
  at timestamptz not null,
  by_party text collate "C" not null,
  done integer not null default 0, -- shipments that go by it now
  refused integer not null default 0,
  undone integer not null default 0,
  reasons jsonb not null default '{}', -- how many were refused, by reason
  undone_at timestamptz, -- when undoing was asked for last
  undone_by text collate "C"
);
create index replans_newest on planning.replans (test, replan_id desc);
create table planning.replan_shipments (
  replan_id text collate "C" not null references planning.replans,
  shipment_id text collate "C" not null, -- as asked for: it may be nobody's
  test boolean not null,
  state text not null check (state in ('done', 'refused', 'undone')),
  reason text, -- why it was refused, or could not be undone when that was asked for
  route_before integer, -- its routes in planning.legs
  route_after integer, -- null = refused
  route_undone integer, -- the former route once more
  feed_before text collate "C",
  expected_before timestamptz,
  expected_after timestamptz,
  chance_before double precision,
  chance_after double precision,
  primary key (replan_id, shipment_id)
);
create index replan_shipments_of on planning.replan_shipments (shipment_id, replan_id); -- when each was tried last
alter table planning.replans enable row level security;
alter table planning.replans force row level security;
create policy replans_all on planning.replans to rookery_app
  using (test = (select base.test_mode()) and (select base.sees_all()))
  with check (test = (select base.test_mode()) and (select base.sees_all()));
alter table planning.replan_shipments enable row level security;
alter table planning.replan_shipments force row level security;
create policy replan_shipments_all on planning.replan_shipments to rookery_app
  using (test = (select base.test_mode()) and (select base.sees_all()))
  with check (test = (select base.test_mode()) and (select base.sees_all()));
grant select, insert, update, delete on planning.replans, planning.replan_shipments to rookery_app;
