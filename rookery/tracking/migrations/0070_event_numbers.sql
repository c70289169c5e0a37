-- Events of one batch are numbered in the order in which they were sent, and kept in that of their marks, so that two that
-- keep the same events at once wait for each other in one direction. Their numbers are therefore drawn first, by the system,
-- which alone keeps events from now on: still nobody else chooses an event's number.
drop policy added on tracking.events;
create policy added on tracking.events for insert to rookery_app
  with check (test = (select base.test_mode()) and (select base.scopes()) && array['system']);
grant insert (event_no) on tracking.events to rookery_app;
grant usage on sequence tracking.events_event_no_seq to rookery_app;
