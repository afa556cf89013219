-- What it takes to carry a command of staff out: the tenant's own rules, where it has said so. Of a kind that is not here
-- the built-in rule holds.
create table four_eyes_rules (
    kind        text     not null,
    approvers   smallint not null,
    roles       text[]   not null,
    above_units bigint   not null,
    hours       integer  not null,
    constraint four_eyes_rules_pkey primary key (kind),
    constraint four_eyes_rules_approvers check (approvers between 0 and 5),
    constraint four_eyes_rules_above check (above_units between 0 and 4294967295),
    constraint four_eyes_rules_hours check (hours between 1 and 720)
);
comment on column four_eyes_rules.approvers is 'How many others; 0 when nobody else is asked.';
comment on column four_eyes_rules.above_units is 'Whole units of any currency up to which nobody else is asked.';
