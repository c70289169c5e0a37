-- Documents whose capture failed by a fault of the program, by when: they are forgotten after a while.
create index captures_kept on tracking.captures (test, finished_at) where content is not null and not running;
