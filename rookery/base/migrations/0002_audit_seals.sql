-- Seals on the audit trail: each holds the ids of some lines and a digest of every one, and is chained to the one before by
-- an HMAC whose key lies in a file beside the database: whoever can only write here cannot make one.
create table base.audit_seals (
  seal_no bigint primary key check (seal_no > 0),
  sealed_at timestamptz not null,
  first_at timestamptz not null,
  last_at timestamptz not null, -- of one month with first_at, so that lines go when a whole month is no longer kept
  ids bigint[] not null check (cardinality(ids) > 0),
  digests bytea not null check (length(digests) = 32 * cardinality(ids)), -- SHA-256 of each line, in the order of ids
  -- for finding lines whose transactions ended late: the highest id of any line seen, and the next transaction then
  seen_id bigint not null,
  seen_xid bigint not null,
  settled_id bigint not null, -- up to there every line has a seal
  previous bytea not null check (length(previous) = 32),
  hmac bytea not null unique check (length(hmac) = 32)
);

-- Only admins make keys and change them; whoever is in test mode meets keys and lines of test mode only.
drop policy api_keys_all on base.api_keys;
create policy api_keys_read on base.api_keys for select to rookery_app
  using (((select base.scopes()) && array['admin', 'system'] or party_id = (select base.party()))
    and (test or not (select base.test_mode())));
create policy api_keys_write on base.api_keys for all to rookery_app
  using ((select base.scopes()) && array['admin', 'system'] and (test or not (select base.test_mode())))
  with check ((select base.scopes()) && array['admin', 'system'] and (test or not (select base.test_mode())));

drop policy audit_read on base.audit;
create policy audit_read on base.audit for select to rookery_app
  using (((select base.scopes()) && array['admin', 'system'] or party_id = (select base.party()))
    and (test or not (select base.test_mode())));
