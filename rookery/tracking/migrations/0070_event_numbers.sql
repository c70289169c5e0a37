-- Events of one batch are numbered in the order in which they were sent, and kept in that of their marks, so that two that
-- keep the same events at once wait for each other in one direction. Their numbers are therefore drawn first, by the system,
-- which says of each event in which batch it came. Programs of before, which may run on for a while, keep events as their
-- parties, in the order of their marks: those and all that are there already have no batch.
alter table tracking.events add batch_no bigint; -- the first number of what was sent at once; null = nobody knows
grant insert (event_no, batch_no) on tracking.events to rookery_app;
grant usage on sequence tracking.events_event_no_seq to rookery_app;

-- Still nobody but the system chooses an event's number, or says with what it was sent.
create function tracking.number_drawn() returns trigger language plpgsql as $$
begin
  begin
    if new.event_no is distinct from currval('tracking.events_event_no_seq') or new.batch_no is not null then
      raise insufficient_privilege using message = 'nobody chooses the number or the batch of an event';
    end if;
  exception when object_not_in_prerequisite_state then -- this connection drew none
    raise insufficient_privilege using message = 'nobody chooses the number of an event';
  end;
  new.event_no := nextval('tracking.events_event_no_seq'); -- for the last one drawn may be another's
  return new;
end $$;
create trigger number_drawn before insert on tracking.events for each row
  when (not (base.scopes() && array['system']) and row_security_active('tracking.events')) -- copies keep their numbers
  execute function tracking.number_drawn();

-- Where parcels are is worked out anew once, a few at a time, for of one instant another event may count last now: parcels
-- of a mode up to this one are done. No row = all are.
create table tracking.reordering (
  test boolean primary key,
  after text collate "C" not null
);
insert into tracking.reordering values (false, ''), (true, '');
alter table tracking.reordering enable row level security;
alter table tracking.reordering force row level security;
create policy of_system on tracking.reordering to rookery_app
  using (test = (select base.test_mode()) and (select base.scopes()) && array['system'])
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
grant select, update, delete on tracking.reordering to rookery_app;
