-- Where this outbox was at home when it was last used. A copy of the tables is elsewhere.
alter table outbox_control add column home text;
comment on column outbox_control.home is 'Cluster, database, table and timeline. Null before the first use.';
alter table outbox_control add column paused_because text;
alter table outbox_control add column suspect_until bigint not null default 0;
comment on column outbox_control.suspect_until is 'Orders of aggregates that were begun up to here may have been sent from elsewhere: each is looked for before it is sent. 0: none.';
alter table outbox_control add column calls_per_second int;
alter table outbox_control add constraint outbox_control_rate check (calls_per_second > 0);
comment on column outbox_control.calls_per_second is 'Most calls to the provider per second and server. Null: what the adapter knows.';
