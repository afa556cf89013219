//! What a fee schedule may say, where a refusal points, and what is read of one that was stored.

use domain::fee::{Fee, FeeRule, FeeSchedule};
use domain::refusal::Refusal;
use ledger::{Currency, Minor};
use serde_json::{Value, json};

use crate::support::{funded, minor, standing};

/// A schedule with everything in it, as an operator would write it.
fn complete() -> Value {
    json!({
        "id": "complete", "version": 2, "currency": "EUR",
        "client_fee": [{ "kind": "percent", "percent": "3", "cap": 5000 }, { "kind": "fixed", "amount": 25 }],
        "payee_fee": {
            "kind": "tiered", "minimum": 100,
            "tiers": [{ "up_to": 50_000, "percent": "20" }, { "up_to": 1_000_000, "percent": "10" }, { "percent": "5" }],
        },
        "initiation_fee": 495,
        "processing_fee": { "kind": "percent", "percent": "2.9" }, "processing_fee_payer": "client",
        "refund_client_fee": "none", "refund_psp_fee_bearer": "payee",
        "promotions": [
            { "id": "opening", "percent_off": "50", "until": "2027-01-01T00:00:00Z" },
            { "id": "first", "percent_off": "100", "first_billed": 10_000, "first_contracts": 3 },
        ],
        "tax": {
            "point": "funding",
            "rules": [
                { "jurisdiction": "DE", "percent": "19" },
                { "jurisdiction": "US-CA", "percent": "7.25", "reverse_charge": true, "withholding": "1" },
            ],
        },
    })
}

#[test]
fn a_complete_schedule_is_accepted_and_written_as_it_was_read() {
    let schedule: FeeSchedule = serde_json::from_value(complete()).unwrap();
    assert_eq!(schedule.check(), Ok(()));
    assert_eq!(serde_json::from_value::<FeeSchedule>(serde_json::to_value(&schedule).unwrap()).unwrap(), schedule);
}

/// D-69: amounts in a schedule are of one currency.
#[test]
fn a_schedule_with_amounts_fits_contracts_in_its_currency_only() {
    let schedule: FeeSchedule = serde_json::from_value(complete()).unwrap();
    assert_eq!(schedule.check_currency(Currency::EUR), Ok(()));
    let refusal = Refusal::CurrencyMismatch { expected: Currency::EUR, received: Currency::USD };
    assert_eq!(schedule.check_currency(Currency::USD), Err(refusal));
    assert_eq!(FeeSchedule::two_sided().check_currency(Currency::USD), Ok(()));
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused_where_it_does_not() {
    let tier = |up_to: Value| json!({ "up_to": up_to, "percent": "10" });
    let tiers = |tiers: Value| json!([{ "kind": "tiered", "tiers": tiers }]);
    let most = 1_000_000_000_000_000_i64;
    // Where a value is put; where the refusal points; a word of what it says.
    let cases = [
        ("/id", json!(""), "/id", "1 to 64"),
        ("/id", json!("Two Sided"), "/id", "a-z"),
        ("/version", json!(0), "/version", "at least 1"),
        ("/currency", json!(null), "/currency", "amounts"),
        ("/initiation_fee", json!(most), "/initiation_fee", "at most"),
        ("/client_fee/0/percent", json!("1.1234567"), "/client_fee/0/percent", "6 decimals"),
        ("/client_fee/0/cap", json!(most), "/client_fee/0/cap", "at most"),
        ("/client_fee/1/amount", json!(0), "/client_fee/1/amount", "greater than zero"),
        ("/client_fee/1/amount", json!(most), "/client_fee/1/amount", "at most"),
        ("/payee_fee/minimum", json!(most), "/payee_fee/minimum", "at most"),
        ("/payee_fee/cap", json!(99), "/payee_fee/cap", "minimum"),
        ("/payee_fee/tiers", json!([]), "/payee_fee/tiers", "1 to 300"),
        ("/payee_fee/tiers/0/percent", json!("0.0000001"), "/payee_fee/tiers/0/percent", "6 decimals"),
        ("/payee_fee/tiers/0/up_to", json!(0), "/payee_fee/tiers/0/up_to", "more than"),
        ("/payee_fee/tiers/1/up_to", json!(50_000), "/payee_fee/tiers/1/up_to", "more than"),
        ("/payee_fee/tiers/1/up_to", json!(most), "/payee_fee/tiers/1/up_to", "at most"),
        (
            "/payee_fee",
            tiers(json!([tier(json!(null)), tier(json!(null))])),
            "/payee_fee/tiers/0/up_to",
            "must be given",
        ),
        ("/payee_fee", tiers(json!([tier(json!(5)), tier(json!(9))])), "/payee_fee/tiers/1/up_to", "must not be given"),
        ("/payee_fee/tiers/0/percent", json!("90"), "/payee_fee", "100%"),
        ("/payee_fee/tiers/0/percent", json!("100"), "/payee_fee", "tax and withholding"),
        ("/tax/rules/1/withholding", json!("79"), "/payee_fee", "tax and withholding"),
        ("/processing_fee_payer", json!("platform"), "/processing_fee_payer", "client or payee"),
        ("/processing_fee/percent", json!("2.12345678"), "/processing_fee/percent", "6 decimals"),
        ("/promotions/0/id", json!("!"), "/promotions/0/id", "a-z"),
        ("/promotions/1/id", json!("opening"), "/promotions/1/id", "twice"),
        ("/promotions/0/percent_off", json!("0"), "/promotions/0/percent_off", "greater than zero"),
        ("/promotions/0/percent_off", json!("0.1234567"), "/promotions/0/percent_off", "6 decimals"),
        ("/promotions/0/until", json!(null), "/promotions/0", "must end"),
        ("/promotions/1/first_contracts", json!(0), "/promotions/1/first_contracts", "greater than zero"),
        ("/promotions/1/first_billed", json!(0), "/promotions/1/first_billed", "greater than zero"),
        ("/promotions/1/first_billed", json!(most), "/promotions/1/first_billed", "at most"),
        ("/tax/rules/1/jurisdiction", json!("DE"), "/tax/rules/1/jurisdiction", "twice"),
        ("/tax/rules/0/percent", json!("1.0000001"), "/tax/rules/0/percent", "6 decimals"),
        ("/tax/rules/0/withholding", json!("1.0000001"), "/tax/rules/0/withholding", "6 decimals"),
    ];
    for (place, value, pointer, word) in cases {
        let mut schedule = complete();
        if schedule.pointer(place).is_none() {
            let (parent, field) = place.rsplit_once('/').unwrap();
            schedule.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        *schedule.pointer_mut(place).unwrap() = value.clone();
        let read: FeeSchedule = serde_json::from_value(schedule).unwrap();
        match read.check() {
            Err(Refusal::Invalid { pointer: received, message }) => {
                assert_eq!(received, pointer, "{place} = {value}: {message}");
                assert!(message.contains(word), "{place} = {value}: {message}");
            }
            other => panic!("{place} = {value}: {other:?}"),
        }
    }
}

/// Each percentage alone is at most 100; the fee with the tax on it and what is withheld, too.
#[test]
fn a_payee_never_pays_more_than_is_released() {
    let schedule = |fee: &str, payer: &str, tax: &str, withholding: &str| {
        let mut schedule = complete();
        schedule["payee_fee"] = json!({ "kind": "percent", "percent": fee });
        schedule["processing_fee_payer"] = json!(payer);
        schedule["tax"] = json!({ "rules": [{ "jurisdiction": "DE", "percent": tax, "withholding": withholding }] });
        serde_json::from_value::<FeeSchedule>(schedule).unwrap().check().is_ok()
    };
    assert!(schedule("100", "client", "0", "0"));
    assert!(!schedule("100", "payee", "0", "0"));
    assert!(schedule("97.1", "payee", "0", "0"));
    assert!(schedule("80", "client", "25", "0"));
    assert!(!schedule("80", "client", "25.000001", "0"));
    assert!(schedule("79", "client", "25", "1.25"));
    assert!(!schedule("79", "client", "25", "1.26"));
}

#[test]
fn what_is_no_schedule_is_not_read() {
    let cases = [
        ("/payee_fee", json!({ "kind": "progressive" })),
        ("/payee_fee/tiers/0/percent", json!("101")),
        ("/payee_fee/tiers/0/percent", json!(10)),
        ("/client_fee/1/amount", json!(-1)),
        ("/currency", json!("EURO")),
        ("/processing_fee_payer", json!("nobody")),
        ("/refund_client_fee", json!("half")),
        ("/tax/point", json!("later")),
        ("/tax/rules/0/jurisdiction", json!("de")),
        ("/tax/rules/0/jurisdiction", json!("DEU")),
        ("/tax/rules/0/jurisdiction", json!("US-")),
        ("/tax/rules/0/jurisdiction", json!("US-CALI")),
        ("/promotions/0/until", json!("tomorrow")),
    ];
    for (place, value) in cases {
        let mut schedule = complete();
        *schedule.pointer_mut(place).unwrap() = value.clone();
        assert!(serde_json::from_value::<FeeSchedule>(schedule).is_err(), "{place} = {value}");
    }
}

/// Contracts stored before schedules had more than two percentages read as they were meant.
#[test]
fn a_schedule_stored_before_reads_as_it_was_meant() {
    let stored = json!({
        "id": "two_sided", "version": 1,
        "client_fee": { "kind": "percent", "percent": "5" }, "payee_fee": { "kind": "percent", "percent": "10" },
    });
    assert_eq!(serde_json::from_value::<FeeSchedule>(stored).unwrap(), FeeSchedule::two_sided());
    let specified =
        json!({ "id": "x", "version": 1, "payer_fee": [], "payee_fee": [{ "kind": "fixed", "amount": 5 }] });
    let schedule: FeeSchedule = serde_json::from_value(specified).unwrap();
    assert_eq!(schedule.payee_fee.rules(), [FeeRule::Fixed { amount: minor(5) }]);
    for wrong in
        [json!({ "kind": "percent" }), json!("10%"), json!([{ "kind": "percent", "percent": 10 }]), json!(null)]
    {
        assert!(serde_json::from_value::<Fee>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn the_presets_are_the_data_file() {
    let data: Vec<FeeSchedule> = serde_json::from_str(include_str!("../../data/fee_presets.json")).unwrap();
    assert_eq!(data, FeeSchedule::presets());
    let written: Value = serde_json::from_str(include_str!("../../data/fee_presets.json")).unwrap();
    assert_eq!(serde_json::to_value(FeeSchedule::presets()).unwrap(), written);
    for preset in FeeSchedule::presets() {
        preset.check().unwrap();
        assert_eq!(FeeSchedule::preset(&preset.id), Some(preset));
    }
    assert_eq!(FeeSchedule::preset("flat6"), None);
    let split = funded(&FeeSchedule::flat5(), 100_000).release(&FeeSchedule::flat5(), standing(0), 100_000);
    assert_eq!((split.payee_fee, split.client_fee_earned, split.net), (minor(5000), Minor::ZERO, minor(95_000)));
}

#[test]
fn a_fee_is_shown_as_people_write_it() {
    let shown = |fee: Value, currency| serde_json::from_value::<Fee>(fee).unwrap().describe(currency);
    assert_eq!(FeeSchedule::two_sided().payee_fee.describe(None), "10%");
    assert_eq!(FeeSchedule::zero().payee_fee.describe(None), "0%");
    let bounded = json!([
        { "kind": "percent", "percent": "2.50", "minimum": 100, "cap": 900 }, { "kind": "fixed", "amount": 30 },
    ]);
    let words = "2.5% at least 1.00 USD at most 9.00 USD + 0.30 USD per milestone";
    assert_eq!(shown(bounded, Some(Currency::USD)), words);
    let tiers = json!([{ "up_to": 50_000, "percent": "20" }, { "percent": "5" }]);
    assert_eq!(shown(json!({ "kind": "tiered", "tiers": tiers }), None), "20% to 50000, then 5%");
}
