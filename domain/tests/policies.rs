//! The periods of a contract, and the deadlines that they make.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use domain::jurisdiction::Jurisdiction;
use domain::policy::{HoldAction, Policy, PspHold, days_after, hours_after};
use domain::refusal::Refusal;
use domain::time::Timestamp;
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// B.12, one line per period.
#[test]
fn the_defaults_are_those_of_the_specification() {
    let periods = json!({
        "id": "fixed", "version": 1,
        "offer_expiry_days": 7, "first_funding_days": 14, "funding_intent_hours": 24,
        "review_days": 14, "clearance_days": 5,
        "end_request_days": 7, "refund_request_days": 7, "payee_refund_window_days": 180, "bonus_window_days": 365,
        "dormancy": {
            "warn_days": 76, "warn_again_days": 83, "dormant_days": 90,
            "escalate_days": 7, "request_days": 7, "default_days": 14,
        },
        "psp_hold": {
            "limits": [{ "country": "TH", "days": 10 }, { "country": "US", "days": 730 }], "other_days": 90,
            "warn_days": [30, 14, 5, 1], "action": "refund",
        },
    });
    assert_eq!(serde_json::to_value(Policy::default()).unwrap(), periods);
    let kinds = [Policy::fixed(), Policy::gig(), Policy::trusted_gig(), Policy::booking()];
    assert_eq!(
        kinds.each_ref().map(|policy| (policy.review_days, policy.clearance_days)),
        [(14, 5), (3, 14), (3, 7), (1, 2)]
    );
    assert!(kinds.iter().all(|policy| policy.check().is_ok()));
}

/// Contracts stored before policies had more than three periods read as they were meant.
#[test]
fn a_policy_stored_before_reads_with_the_defaults() {
    let stored = json!({ "id": "fixed", "version": 1, "offer_expiry_days": 7, "review_days": 14, "clearance_days": 5 });
    assert_eq!(serde_json::from_value::<Policy>(stored).unwrap(), Policy::default());
}

/// D-28: ten days in Thailand; the warnings of 30 and 14 days are past when the money arrives.
#[test]
fn money_in_thailand_may_lie_ten_days() {
    let hold = PspHold { platform_country: Some(Jurisdiction::new("TH").unwrap()), ..PspHold::default() };
    let arrived = at("2026-12-01T10:00:00Z");
    assert_eq!(hold.warnings(arrived), [(5, at("2026-12-06T10:00:00Z")), (1, at("2026-12-10T10:00:00Z"))]);
    assert_eq!((hold.limit(arrived), hold.action), (at("2026-12-11T10:00:00Z"), HoldAction::Refund));
}

#[test]
fn warnings_come_in_order_and_after_the_money() {
    let hold = PspHold { other_days: 30, warn_days: vec![1, 30, 31, 7], ..PspHold::default() };
    let warnings = hold.warnings(at("2026-12-01T10:00:00Z"));
    assert_eq!(warnings, [(7, at("2026-12-24T10:00:00Z")), (1, at("2026-12-30T10:00:00Z"))]);
}

/// D-30: 730 days in the United States, and 90 where nothing else is known.
#[test]
fn money_elsewhere_may_lie_longer() {
    let arrived = at("2026-12-01T10:00:00Z");
    let us = PspHold { platform_country: Some(Jurisdiction::new("US").unwrap()), ..PspHold::default() };
    assert_eq!(us.limit(arrived), at("2028-11-30T10:00:00Z"));
    assert_eq!(us.days_in(Some(&Jurisdiction::new("US-CA").unwrap())), 730);
    assert_eq!(us.days_in(Some(&Jurisdiction::new("DE").unwrap())), 90);
    let unknown = PspHold::default();
    assert_eq!(unknown.limit(arrived), at("2027-03-01T10:00:00Z"));
    assert_eq!(unknown.warnings(arrived).iter().map(|(left, _)| *left).collect::<Vec<_>>(), [30, 14, 5, 1]);
}

/// D-80: 76, 83 and 90 days of silence after the last date of delivery, then 7 and 7 more; a payee who asked waits 14.
#[test]
fn silence_has_its_dates() {
    let days = Policy::default().dormancy;
    let steps = days.schedule(at("2026-12-31T00:00:00Z"));
    let dates = ["2027-03-17", "2027-03-24", "2027-03-31", "2027-04-07", "2027-04-14"];
    assert_eq!(steps, dates.map(|date| at(&format!("{date}T00:00:00Z"))));
    assert_eq!(days.release_default(at("2027-04-10T00:00:00Z")), at("2027-04-24T00:00:00Z"));
}

#[test]
fn a_period_beyond_the_end_of_time_ends_there() {
    assert_eq!(days_after(Timestamp::MAX_UTC, 1), Timestamp::MAX_UTC);
    assert_eq!(hours_after(Timestamp::MAX_UTC, 1), Timestamp::MAX_UTC);
    assert_eq!(hours_after(at("2026-12-01T10:00:00Z"), 24), at("2026-12-02T10:00:00Z"));
}

#[test]
fn a_policy_that_makes_no_sense_is_refused_where_it_does_not() {
    let cases = [
        ("/id", json!("")),
        ("/version", json!(0)),
        ("/offer_expiry_days", json!(0)),
        ("/first_funding_days", json!(0)),
        ("/review_days", json!(3651)),
        ("/clearance_days", json!(3651)),
        ("/end_request_days", json!(0)),
        ("/refund_request_days", json!(0)),
        ("/payee_refund_window_days", json!(3651)),
        ("/bonus_window_days", json!(3651)),
        ("/funding_intent_hours", json!(0)),
        ("/funding_intent_hours", json!(169)),
        ("/dormancy/warn_days", json!(0)),
        ("/dormancy/warn_again_days", json!(76)),
        ("/dormancy/dormant_days", json!(83)),
        ("/dormancy/escalate_days", json!(0)),
        ("/dormancy/request_days", json!(0)),
        ("/dormancy/default_days", json!(0)),
        ("/psp_hold/other_days", json!(0)),
        ("/psp_hold/limits/0/days", json!(0)),
        ("/psp_hold/limits/1/country", json!("TH")),
        ("/psp_hold/limits/0/country", json!("US-CA")),
        ("/psp_hold/warn_days/1", json!(30)),
        ("/psp_hold/warn_days/3", json!(0)),
    ];
    for (pointer, value) in cases {
        let mut policy = serde_json::to_value(Policy::default()).unwrap();
        *policy.pointer_mut(pointer).unwrap() = value.clone();
        let policy: Policy = serde_json::from_value(policy).unwrap();
        match policy.check() {
            Err(Refusal::Invalid { pointer: received, .. }) => assert_eq!(received, pointer, "{value}"),
            other => panic!("{pointer} = {value}: {other:?}"),
        }
    }
    let mut immediate = serde_json::to_value(Policy::default()).unwrap();
    *immediate.pointer_mut("/clearance_days").unwrap() = Value::from(0);
    assert_eq!(serde_json::from_value::<Policy>(immediate).unwrap().check(), Ok(()));
}
