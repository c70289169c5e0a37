-- How far a subscription has come, as its party may know it: when the last event that it was told was recorded, or its last
-- report was due. When it last looked is not kept: it looks whenever anybody's events come. null = as far as it began.
alter table tracking.subscriptions add column come_to timestamptz;
grant update (come_to) on tracking.subscriptions to rookery_app;
