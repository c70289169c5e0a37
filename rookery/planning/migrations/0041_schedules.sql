-- When waves are planned by themselves, and which of those times were kept.
create table planning.schedules (
  test boolean primary key,
  every_minutes integer not null check (every_minutes between 1 and 10080),
  next_at timestamptz not null,
  enabled boolean not null,
  settings jsonb not null default '{}', -- of the plans it asks for
  changed_at timestamptz not null,
  changed_by text collate "C" not null
);
create table planning.slots (
  test boolean not null,
  slot_at timestamptz not null,
  plan_id text collate "C" not null,
  primary key (test, slot_at) -- one wave a slot, however many workers look at the clock
);
alter table planning.schedules enable row level security;
alter table planning.schedules force row level security;
create policy schedules_all on planning.schedules to rookery_app
  using (test = (select base.test_mode()) and (select base.sees_all()))
  with check (test = (select base.test_mode()) and (select base.sees_all()));
alter table planning.slots enable row level security;
alter table planning.slots force row level security;
create policy slots_all on planning.slots to rookery_app
  using (test = (select base.test_mode()) and (select base.sees_all()))
  with check (test = (select base.test_mode()) and (select base.sees_all()));
grant select, insert, update on planning.schedules to rookery_app;
grant select, insert on planning.slots to rookery_app;

-- Who carries: a shipper that books must let the couriers of its legs in, without seeing what else is known of them.
-- As the owner of the parties, and it tells no more than ids for codes, which feeds tell anyway.
create function planning.couriers(codes text[]) returns table (code text, party_id text)
  language sql stable security definer set search_path = ''
  begin atomic
    select p.code, p.party_id from base.parties p where p.code = any(codes);
  end;
revoke all on function planning.couriers from public;
grant execute on function planning.couriers to rookery_app;
