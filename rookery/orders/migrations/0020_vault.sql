-- People's names and addresses, encrypted. Their data keys are in another database (rookery/orders/vault/keys.sql),
-- so that nothing here, and no backup of it, can be read alone.
create schema if not exists vault;
grant usage on schema vault to rookery_app;

create table vault.people (
  person_id text collate "C" primary key,
  party_id text collate "C" not null, -- whose customer or sender it is
  test boolean not null,
  schema_version smallint not null,
  body bytea not null,
  created_at timestamptz not null
);

-- That somebody was erased, and when; the row of vault.people goes with it.
create table vault.erased (
  person_id text collate "C" primary key,
  party_id text collate "C" not null,
  test boolean not null,
  erased_at timestamptz not null
);

-- Rows of uploads that had faults, until they come back corrected or expire.
create table vault.kept_row (
  upload_id text collate "C" not null,
  row_no bigint not null,
  party_id text collate "C" not null,
  test boolean not null,
  body bytea not null,
  expires_at timestamptz not null,
  reference text, -- of the order that it became, or probably will: who erases that order's people erases the row
  primary key (upload_id, row_no)
);
create index kept_row_expires on vault.kept_row (expires_at);

do $$
declare it text;
begin
  foreach it in array array['people', 'erased', 'kept_row'] loop
    execute format('alter table vault.%I enable row level security', it);
    execute format('alter table vault.%I force row level security', it);
    execute format('grant select, insert, delete on vault.%I to rookery_app', it);
    execute format($p$create policy own on vault.%I to rookery_app
      using (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))
      with check (test = (select base.test_mode()) and ((select base.sees_all()) or party_id = (select base.party())))$p$, it);
  end loop;
end $$;
grant update (reference) on vault.kept_row to rookery_app;
