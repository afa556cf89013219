-- From which amount on people show again who they are (RFC 9470): the tenant's own, where it has said so.

create table step_up_policy (
    singleton       boolean not null default true,
    threshold_units bigint  not null,
    max_age_seconds bigint  not null,
    second_factor   boolean not null,
    constraint step_up_policy_pkey primary key (singleton),
    constraint step_up_policy_singleton check (singleton),
    constraint step_up_policy_threshold check (threshold_units between 0 and 4294967295),
    constraint step_up_policy_max_age check (max_age_seconds between 30 and 86400)
);
comment on column step_up_policy.threshold_units is 'Whole units of any currency; nothing is asked below.';
comment on column step_up_policy.max_age_seconds is 'How long ago the person may have shown who it is.';
