-- Of every new event it is asked whether it was declared wrong before it came: hardly any was, so that this index is small
-- where the one of all events is not.
create index events_declared on tracking.events (mark, event_at) where declared_at <> '-infinity';
