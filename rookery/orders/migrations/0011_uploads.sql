-- Files of orders that were handed in: what came of each. The file itself is kept encrypted until it was read.
create table orders.uploads (
  upload_id text collate "C" primary key,
  party_id text collate "C" not null,
  test boolean not null,
  state text not null check (state in ('waiting', 'reading', 'done', 'failed')),
  form text not null check (form in ('csv', 'jsonl', 'parquet')),
  bytes bigint not null,
  content bytea, -- sealed; null once it was read
  rows integer not null default 0,
  taken integer not null default 0,
  repeated integer not null default 0,
  refused integer not null default 0,
  notices jsonb not null default '[]', -- what is wrong with lines that are no rows
  fault_sheet bytea, -- the rows refused, to be corrected and sent again; holds nobody's name or address
  fault text,
  metadata jsonb not null default '{}',
  version integer not null default 1,
  created_at timestamptz not null,
  finished_at timestamptz
);
alter table orders.uploads alter column content set storage external;
create index uploads_of_party on orders.uploads (party_id, test, upload_id);
alter table orders.uploads enable row level security;
alter table orders.uploads force row level security;
create policy own on orders.uploads to rookery_app
  using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))
  with check (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())));
grant select, insert, update (state, content, rows, taken, repeated, refused, notices, fault_sheet, fault, metadata, version,
  finished_at) on orders.uploads to rookery_app;
