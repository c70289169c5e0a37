-- Numbers that parcels carry: the ranges they come from, and each one that was ever issued.
create schema if not exists waybill;
grant usage on schema waybill to rookery_app;

create table waybill.ranges (
  range_id text collate "C" primary key,
  party_id text collate "C" not null, -- whose range it is
  test boolean not null,
  shared boolean not null default false, -- every party may be issued numbers of it
  kind text not null check (kind in ('sscc', 's10', 'carrier')),
  prefix text collate "C" not null check (prefix ~ '^[A-Z0-9]{0,11}$'),
  digits smallint not null check (digits between 1 and 18),
  check_rule text not null check (check_rule in ('gs1', 's10', 'mod10', 'none')),
  suffix text collate "C" not null default '' check (suffix ~ '^[A-Z0-9]{0,10}$'),
  first_serial bigint not null check (first_serial >= 0),
  next_serial bigint not null,
  last_serial bigint not null,
  created_at timestamptz not null,
  check (first_serial <= next_serial and next_serial <= last_serial + 1),
  check (last_serial < 10::numeric ^ digits),
  check (digits + length(substring(prefix from '[0-9]*$')) <= 18),
  -- Two ranges overlap when they could spell one text: digits that end a prefix count as digits of the serial.
  spelling bigint not null generated always as (hashtextextended(
    regexp_replace(prefix, '[0-9]+$', '') || '|' || suffix || '|' || (check_rule <> 'none')::text || '|'
      || (digits + length(substring(prefix from '[0-9]*$')))::text, 0)) stored,
  numbers int8range not null generated always as (int8range(
    (substring(prefix from '[0-9]*$') || repeat('0', digits))::bigint + first_serial,
    (substring(prefix from '[0-9]*$') || repeat('0', digits))::bigint + last_serial, '[]')) stored,
  constraint ranges_never_overlap -- whoever they belong to, test or live
    exclude using gist (int8range(spelling, spelling, '[]') with &&, numbers with &&)
);
create index ranges_of_party on waybill.ranges (party_id, test, range_id);

create table waybill.numbers (
  number text collate "C" primary key, -- never twice, whichever range it comes from
  range_id text collate "C" not null references waybill.ranges,
  kind text not null check (kind in ('sscc', 's10', 'carrier')),
  party_id text collate "C" not null, -- whose parcel it is on
  test boolean not null,
  parcel_id text collate "C", -- null = a bag's, or not on a parcel yet
  state text not null check (state in ('issued', 'printed', 'handed_over', 'cancelled')),
  reprints integer not null default 0,
  version integer not null default 1, -- of what its label says
  issued_at timestamptz not null,
  changed_at timestamptz not null
);
create index numbers_of_parcel on waybill.numbers (parcel_id);
create index numbers_of_party on waybill.numbers (party_id, test, number);

alter table waybill.ranges enable row level security;
alter table waybill.ranges force row level security;
alter table waybill.numbers enable row level security;
alter table waybill.numbers force row level security;

create policy ranges_seen on waybill.ranges for select to rookery_app
  using (test = (select base.test_mode())
    and (shared or (select base.sees_all()) or party_id = (select base.party())));
create policy ranges_added on waybill.ranges for insert to rookery_app
  with check (test = (select base.test_mode()) and ((select base.sees_all())
    or (party_id = (select base.party()) and not shared)));
create policy ranges_used on waybill.ranges for update to rookery_app
  using (test = (select base.test_mode())
    and (shared or (select base.sees_all()) or party_id = (select base.party())));
create policy own on waybill.numbers to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))
  with check (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())));

-- Numbers are never deleted and never change hands; a range only moves on.
grant select, insert, update (next_serial) on waybill.ranges to rookery_app;
grant select, insert, update (parcel_id, state, reprints, version, changed_at) on waybill.numbers to rookery_app;

create function waybill.only_onwards() returns trigger language plpgsql as $$
begin
  if new.next_serial < old.next_serial then
    raise exception 'serials of a range are never issued again';
  end if;
  return new;
end $$;
create trigger ranges_only_onwards before update on waybill.ranges
  for each row execute function waybill.only_onwards();

create function waybill.retired_for_ever() returns trigger language plpgsql as $$
begin
  if old.state = 'cancelled' then
    raise exception 'a cancelled number is retired for ever';
  end if;
  -- Whoever else may write a number, because its parcel was granted to them, notes its hand-over and nothing else.
  if not base.sees_all() and old.party_id <> base.party() and (new.state <> 'handed_over'
      or new.parcel_id is distinct from old.parcel_id or new.version <> old.version) then
    raise insufficient_privilege using message = 'only its owner changes a number otherwise than by hand-over';
  end if;
  return new;
end $$;
create trigger numbers_retired before update on waybill.numbers
  for each row execute function waybill.retired_for_ever();
