-- Parcels that could not be worked out anew (tracking.reordering), as a file of the archive is missing, say: passed over, and
-- tried again until that goes well. What the live side sets aside is another matter: a look that goes well ends that.
create table tracking.reorder_passed (
  test boolean not null,
  epc text collate "C" not null,
  at timestamptz not null, -- when it was tried last
  fault text not null, -- a code, never a text
  primary key (test, epc)
);
create index reorder_passed_by on tracking.reorder_passed (test, at);
alter table tracking.reorder_passed enable row level security;
alter table tracking.reorder_passed force row level security;
create policy of_system on tracking.reorder_passed to rookery_app
  using (test = (select base.test_mode()) and (select base.scopes()) && array['system'])
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
grant select, insert, update, delete on tracking.reorder_passed to rookery_app;
