-- Merchants' own look of labels: data, never code.
create table waybill.templates (
  party_id text collate "C" not null,
  test boolean not null,
  name text collate "C" not null check (name ~ '^[a-z0-9-]{1,40}$'),
  template jsonb not null,
  primary key (party_id, test, name)
);
alter table waybill.templates enable row level security;
alter table waybill.templates force row level security;
create policy own on waybill.templates to rookery_app
  using (test = (select base.test_mode()) and party_id = (select base.party()))
  with check (test = (select base.test_mode()) and party_id = (select base.party()));
grant select, insert, update (template) on waybill.templates to rookery_app;

-- Whoever a parcel was granted to notes its hand-over.
create policy granted_write on waybill.numbers for update to rookery_app
  using (test = (select base.test_mode()) and parcel_id in (
    select g.parcel_id from orders.parcel_party g
     where g.party_id = (select base.party()) and g.role in ('courier', 'station')));
