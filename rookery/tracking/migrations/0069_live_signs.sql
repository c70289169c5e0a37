-- How the live side is: signs of life of its parts, and the parcels that it leaves alone. Written by the system alone; read
-- through acts of those who run the network.

-- A row for each part of the live side and each mode, written every few seconds by the worker that it lives in. Instants are
-- real time, as processes live in it, also where the network's clock is a simulated one; but for outlook_at.
create table tracking.live_signs (
  part text collate "C" not null check (part in ('live', 'outlook', 'subscriptions', 'webhooks')),
  test boolean not null,
  at timestamptz not null,
  busy_since timestamptz, -- what it is at; null = it waits for something to do
  fault text, -- the last: a code, never a text
  fault_at timestamptz,
  failing_since timestamptz, -- null = it does not fail now
  waiting bigint, -- so much waits for it; null = it does not count
  first_place bigint, -- of what waits for longest, in its queue
  waiting_since timestamptz,
  outlook text, -- version of the present one
  outlook_at timestamptz, -- as the network's clock has it
  primary key (part, test)
) with (fillfactor = 50);

-- Parcels whose looks fail again and again: left alone until then, or until they move. A look that does not fail ends it.
create table tracking.set_aside (
  epc text collate "C" not null,
  test boolean not null,
  at timestamptz not null, -- of the last time
  until_at timestamptz not null,
  fault text not null, -- a code, never a text
  times integer not null default 1,
  primary key (test, epc)
);

-- What waits is counted every few seconds, up to a bound, and the first of it looked for: in the order of these.
create index outbox_of_mode on base.outbox (test, seq);
create index deliveries_waiting on base.deliveries (endpoint_id, seq) where state in ('next', 'behind');

do $$
declare it text;
begin
  foreach it in array array['live_signs', 'set_aside'] loop
    execute format('alter table tracking.%I enable row level security', it);
    execute format('alter table tracking.%I force row level security', it);
    execute format($p$create policy of_system on tracking.%I to rookery_app
      using (test = (select base.test_mode()) and (select base.scopes()) && array['system'])
      with check (test = (select base.test_mode()) and (select base.scopes()) && array['system'])$p$, it);
  end loop;
end $$;
grant select, insert, update on tracking.live_signs to rookery_app;
grant select, insert, update, delete on tracking.set_aside to rookery_app;
