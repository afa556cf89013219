//! Fees and periods in events and documents: without what reading fills in, and nothing is lost by that.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use domain::contract::{Contract, ContractEvent, Terms};
use domain::escrow::{Escrow, EscrowEvent};
use domain::fee::{Bearer, Fee, FeeSchedule, PartyTax, Promotion, RefundClientFee, Tax, TaxPoint};
use domain::id::{ContractId, PartyId};
use domain::jurisdiction::Jurisdiction;
use domain::policy::{Dormancy, HoldAction, HoldLimit, Liability, Policy, PspHold};
use domain::rules::Rules;
use ledger::{Currency, Minor, Percent};
use serde_json::{Value, json};
use uuid::Uuid;

fn opened(fee_schedule: FeeSchedule, policy: Policy) -> EscrowEvent {
    EscrowEvent::Opened {
        contract_id: ContractId::derived(Uuid::nil(), "contract"),
        client_id: PartyId::derived(Uuid::nil(), "client"),
        payee_id: PartyId::derived(Uuid::nil(), "payee"),
        currency: Currency::USD,
        fee_schedule,
        policy,
    }
}

/// Policies that each have one thing unusual, and what is written of them beside the five members that always are.
fn policies() -> Vec<(Policy, Value)> {
    let usual = Policy::fixed;
    let hold = PspHold::default;
    let dormancy = Dormancy { warn_days: 1, ..Dormancy::default() };
    let th = HoldLimit { country: Jurisdiction::new("TH").unwrap(), days: 11 };
    let written = json!({
        "warn_days": 1, "warn_again_days": 83, "dormant_days": 90,
        "escalate_days": 7, "request_days": 7, "default_days": 14,
    });
    let with = |psp_hold| Policy { psp_hold, ..usual() };
    vec![
        (usual(), json!({})),
        (Policy { first_funding_days: 0, ..usual() }, json!({ "first_funding_days": 0 })),
        (Policy { funding_intent_hours: 25, ..usual() }, json!({ "funding_intent_hours": 25 })),
        (Policy { end_request_days: 14, ..usual() }, json!({ "end_request_days": 14 })),
        (Policy { refund_request_days: 14, ..usual() }, json!({ "refund_request_days": 14 })),
        (Policy { payee_refund_window_days: 7, ..usual() }, json!({ "payee_refund_window_days": 7 })),
        (Policy { bonus_window_days: 180, ..usual() }, json!({ "bonus_window_days": 180 })),
        (Policy { dormancy, ..usual() }, json!({ "dormancy": written })),
        (
            with(PspHold { platform_country: Some(th.country.clone()), ..hold() }),
            json!({ "psp_hold": { "platform_country": "TH" } }),
        ),
        (with(PspHold { limits: Vec::new(), ..hold() }), json!({ "psp_hold": { "limits": [] } })),
        (
            with(PspHold { limits: vec![th], ..hold() }),
            json!({ "psp_hold": { "limits": [{ "country": "TH", "days": 11 }] } }),
        ),
        (with(PspHold { other_days: 0, ..hold() }), json!({ "psp_hold": { "other_days": 0 } })),
        (with(PspHold { warn_days: Vec::new(), ..hold() }), json!({ "psp_hold": { "warn_days": [] } })),
        (with(PspHold { action: HoldAction::Operator, ..hold() }), json!({ "psp_hold": { "action": "operator" } })),
        (
            Policy { chargeback_liability: Liability::Platform, ..usual() },
            json!({ "chargeback_liability": "platform" }),
        ),
    ]
}

fn schedules() -> Vec<(FeeSchedule, Value)> {
    let usual = || FeeSchedule::empty("own");
    let five: Percent = serde_json::from_value(json!("5")).unwrap();
    let rule = json!({ "kind": "percent", "percent": "5" });
    let payer = PartyTax {
        jurisdiction: Jurisdiction::new("GB").unwrap(),
        percent: five,
        reverse_charge: false,
        withholding: Percent::default(),
    };
    let of_payer = json!({ "jurisdiction": "GB", "percent": "5", "reverse_charge": false, "withholding": "0" });
    let tax = |tax| FeeSchedule { tax: Box::new(tax), ..usual() };
    let promotion = Promotion {
        id: "new".to_owned(),
        percent_off: five,
        until: None,
        first_billed: None,
        first_contracts: Some(1),
    };
    let offer = json!({ "id": "new", "percent_off": "5", "first_contracts": 1 });
    vec![
        (usual(), json!({})),
        (FeeSchedule { currency: Some(Currency::EUR), ..usual() }, json!({ "currency": "EUR" })),
        (FeeSchedule { initiation_fee: Minor::new(495).unwrap(), ..usual() }, json!({ "initiation_fee": 495 })),
        (FeeSchedule { processing_fee: Fee::percent(five), ..usual() }, json!({ "processing_fee": rule })),
        (FeeSchedule { processing_fee_payer: Bearer::Client, ..usual() }, json!({ "processing_fee_payer": "client" })),
        (FeeSchedule { refund_client_fee: RefundClientFee::None, ..usual() }, json!({ "refund_client_fee": "none" })),
        (FeeSchedule { refund_psp_fee_bearer: Bearer::Payee, ..usual() }, json!({ "refund_psp_fee_bearer": "payee" })),
        (FeeSchedule { promotions: vec![promotion], ..usual() }, json!({ "promotions": [offer] })),
        (tax(Tax { point: TaxPoint::Funding, ..Tax::default() }), json!({ "tax": { "point": "funding" } })),
        (
            tax(Tax { client: Some(payer), ..Tax::default() }),
            json!({ "tax": { "point": "release", "client": of_payer } }),
        ),
    ]
}

fn and(mut always: Value, more: &Value) -> Value {
    always.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    always
}

/// What is unusual is written, each thing by itself; the rest is left out, and filled in when it is read.
#[test]
fn events_have_what_is_unusual_and_nothing_is_lost() {
    let periods =
        json!({ "id": "fixed", "version": 1, "offer_expiry_days": 7, "review_days": 14, "clearance_days": 5 });
    for (policy, unusual) in policies() {
        let event = opened(FeeSchedule::empty("own"), policy);
        let written = serde_json::to_value(&event).unwrap();
        assert_eq!(written["policy"], and(periods.clone(), &unusual));
        assert_eq!(serde_json::from_value::<EscrowEvent>(written).unwrap(), event);
    }
    let fees = json!({ "id": "own", "version": 1, "client_fee": [], "payee_fee": [] });
    for (schedule, unusual) in schedules() {
        let event = opened(schedule, Policy::default());
        let written = serde_json::to_value(&event).unwrap();
        assert_eq!(written["fee_schedule"], and(fees.clone(), &unusual));
        assert_eq!(serde_json::from_value::<EscrowEvent>(written).unwrap(), event);
    }
}

/// The five members that have no value of their own are there whatever they are.
#[test]
fn other_presets_are_written_whole() {
    for policy in [Policy::gig(), Policy::trusted_gig(), Policy::booking(), Policy { version: 2, ..Policy::fixed() }] {
        let written =
            serde_json::to_value(Terms { fee_schedule: FeeSchedule::two_sided(), policy: policy.clone() }).unwrap();
        assert_eq!(written["policy"].as_object().unwrap().len(), 5, "{written}");
        assert_eq!(serde_json::from_value::<Terms>(written).unwrap().policy, policy);
    }
}

/// A new escrow's document says no more than its event: nothing is requested, held, frozen or done.
#[test]
fn a_new_escrow_has_a_short_document() {
    let event = opened(FeeSchedule::two_sided(), Policy::default());
    let mut escrow = Escrow::default();
    escrow.evolve(&event);
    let mut written = serde_json::to_value(&escrow).unwrap();
    assert_eq!(serde_json::from_value::<Escrow>(written.clone()).unwrap(), escrow);
    assert_eq!(written.as_object_mut().unwrap().remove("state"), Some(json!("open")));
    let mut told = serde_json::to_value(&event).unwrap();
    told.as_object_mut().unwrap().remove("type");
    assert_eq!(written, told);
}

/// An escrow's document that was written before anything was left out is read as it was meant.
#[test]
fn a_document_that_was_written_whole_is_read() {
    let mut escrow = Escrow::default();
    escrow.evolve(&opened(FeeSchedule::two_sided(), Policy::default()));
    let mut whole = serde_json::to_value(&escrow).unwrap();
    whole["fee_schedule"] = json!(FeeSchedule::two_sided());
    whole["policy"] = json!(Policy::default());
    let empty = json!({
        "requested": {}, "fundings": {}, "milestones": {}, "unallocated_fees": {}, "contract_fees": {},
        "frozen": false, "frozen_at": null, "closed_at": null, "done": {},
    });
    assert_eq!(serde_json::from_value::<Escrow>(and(whole, &empty)).unwrap(), escrow);
}

/// Terms of a contract's document are written as its events have them.
#[test]
fn a_contract_has_the_terms_of_its_events() {
    let policy = Policy { bonus_window_days: 1, ..Policy::default() };
    let drafted = json!({
        "type": "drafted", "contract_id": ContractId::derived(Uuid::nil(), "contract"), "kind": "fixed",
        "client_id": PartyId::derived(Uuid::nil(), "client"), "payee_id": PartyId::derived(Uuid::nil(), "payee"),
        "currency": "USD", "milestones": [],
    });
    let offered = ContractEvent::Offered {
        contract_id: ContractId::derived(Uuid::nil(), "contract"),
        offer_expires_at: "2026-12-01T10:00:00Z".parse().unwrap(),
        fee_schedule: FeeSchedule::zero(),
        policy,
        milestones: Vec::new(),
        terms_version: 1,
    };
    let mut contract = Contract::default();
    contract.evolve(&serde_json::from_value(drafted).unwrap());
    contract.evolve(&offered);
    let (written, told) = (serde_json::to_value(&contract).unwrap(), serde_json::to_value(&offered).unwrap());
    assert_eq!(written["terms"], json!({ "fee_schedule": told["fee_schedule"], "policy": told["policy"] }));
    assert_eq!(serde_json::from_value::<Contract>(written).unwrap(), contract);
}
