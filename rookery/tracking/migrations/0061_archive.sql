-- What of the events lies no longer here but in files of the data folder (archive/tracking/<yyyy-mm>/<name>). A file without
-- a row here is none: the row comes in the transaction in which its events go.
create table tracking.archived (
  month date not null,
  name text collate "C" not null,
  kind text not null check (kind in ('events', 'epcs')),
  rows bigint not null,
  bytes bigint not null,
  sha256 bytea not null check (length(sha256) = 32), -- of the file
  content text not null, -- of its rows, in whatever order: as PostgreSQL held them
  first_key text collate "C" not null, -- of epcs the thing, of events the mark in hex: files are in their order
  last_key text collate "C" not null,
  archived_at timestamptz not null,
  primary key (month, name)
);

-- One row: how often what is archived has changed, so that whoever read it knows whether it still holds.
create table tracking.archive (
  only_one boolean primary key default true check (only_one),
  changes bigint not null
);
insert into tracking.archive (changes) values (0);

-- Error declarations that were archived: what they withdraw may come, or be archived, later than they.
create table tracking.archived_declarations (
  mark bytea not null,
  event_at timestamptz not null,
  primary key (mark, event_at)
);

do $$
declare it text;
begin
  foreach it in array array['archived', 'archive', 'archived_declarations'] loop
    execute format('alter table tracking.%I enable row level security', it);
    execute format('alter table tracking.%I force row level security', it);
    execute format($p$create policy kept on tracking.%I using ((select base.scopes()) && array['system'])
      with check ((select base.scopes()) && array['system'])$p$, it);
    execute format('grant select on tracking.%I to rookery_app', it);
  end loop;
end $$;
