-- Which account of the provider's the key belongs to. A key of another one has access to nobody's account.
alter table outbox_control add column platform text;
comment on column outbox_control.platform is 'The provider''s id of the platform''s account. Null before the first use.';
