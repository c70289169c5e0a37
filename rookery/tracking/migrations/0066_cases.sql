-- What someone must act on: one case for each cause, with the parcels that are in it. Opened, extended and closed by whoever
-- looks at parcels; taken and closed by people.
create table tracking.cases (
  case_id text collate "C" primary key,
  test boolean not null,
  kind text collate "C" not null check (kind in ('closure', 'chance_low', 'departure_missed', 'scan_missing', 'dwell',
    'wrong_place', 'damage', 'hold', 'unknown_parcel', 'unknown_code')),
  cause text collate "C" not null, -- what made it so: closure:<id>, departure:<id>@<depart_at>, parcel:<epc> ...
  state text not null default 'open' check (state in ('open', 'acknowledged', 'closed')),
  owner text check (length(owner) between 1 and 100), -- who sees to it, a party's id or a name; null = nobody yet
  reason text not null,
  opened_at timestamptz not null,
  updated_at timestamptz not null, -- of what people see but its figures
  closed_at timestamptz,
  closed_by text collate "C", -- the party that closed it; null = it closed itself
  closed_why text, -- mended, delivered, ended, or in words
  clear_at timestamptz, -- of cases without parcels: since then what made it so is gone
  parcels integer not null default 0, -- in it now
  value double precision, -- of these; null = not told, or in several currencies
  currency text,
  worst_chance double precision, -- of these; null = not known of any
  moves integer not null default 0, -- of these have a better way than the booked one; its cost, and the worst chance with it
  move_cost double precision,
  move_chance double precision,
  version integer not null default 1,
  check ((state = 'closed') = (closed_at is not null))
);
create unique index cases_of_cause on tracking.cases (test, kind, cause) where state <> 'closed';
create index cases_by_cause on tracking.cases (test, kind, cause, case_id);
create index cases_newest on tracking.cases (test, case_id);
create index cases_unsettled on tracking.cases (test) where clear_at is null and kind in ('unknown_parcel', 'unknown_code');
create index cases_closed on tracking.cases (test, closed_at) where state = 'closed'; -- which are to be forgotten

create table tracking.case_parcels (
  case_id text collate "C" not null,
  epc text collate "C" not null,
  test boolean not null,
  parcel_id text collate "C" not null,
  owner_id text collate "C" not null, -- the parcel's shipper
  number text collate "C" not null,
  kind text collate "C" not null, -- of the case, and its cause: they never change
  cause text collate "C" not null,
  opened_at timestamptz not null, -- when it came into the case
  since timestamptz, -- from when what was found holds
  event_no bigint, -- the event it went by when it was found
  closed_at timestamptz, -- when it left it
  closed_why text, -- mended, delivered, ended, gathered (under a closure), or as the case was closed
  clear_at timestamptz, -- since then its rule finds it no more; a case closed by hand is not opened again for it before
  reason text not null,
  chance double precision,
  chance_before double precision, -- at the look before it came into the case
  move jsonb, -- the legs that are better than the booked ones; null = those stand
  move_cost double precision,
  move_chance double precision,
  value double precision,
  currency text,
  acted text collate "C", -- the replan that did something about it
  primary key (case_id, epc)
) with (fillfactor = 80);
create index case_parcels_to_judge on tracking.case_parcels (epc, test) where clear_at is null;
create index case_parcels_in on tracking.case_parcels (case_id) where closed_at is null;
create index case_parcels_of_owner on tracking.case_parcels (owner_id, test, case_id);

alter table tracking.cases enable row level security;
alter table tracking.cases force row level security;
alter table tracking.case_parcels enable row level security;
alter table tracking.case_parcels force row level security;
create policy seen on tracking.case_parcels for select to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or owner_id = (select base.party())));
create policy judged on tracking.case_parcels for insert to rookery_app
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
create policy changed on tracking.case_parcels for update to rookery_app
  using (test = (select base.test_mode()) and (select base.sees_all()))
  with check (test = (select base.test_mode()) and (select base.sees_all()));
create policy seen on tracking.cases for select to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or exists (select from tracking.case_parcels p
    where p.owner_id = (select base.party()) and p.test = cases.test and p.case_id = cases.case_id)));
create policy judged on tracking.cases for insert to rookery_app
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
create policy changed on tracking.cases for update to rookery_app
  using (test = (select base.test_mode()) and (select base.sees_all()))
  with check (test = (select base.test_mode()) and (select base.sees_all()));
create policy forgotten on tracking.case_parcels for delete to rookery_app
  using (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
create policy forgotten on tracking.cases for delete to rookery_app
  using (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
grant select, insert, update, delete on tracking.cases, tracking.case_parcels to rookery_app;
