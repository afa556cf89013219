//! The terms that a contract is offered on: they make sense, fit its currency, and stay what they were.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use domain::actor::Actor;
use domain::contract::{Contract, ContractCommand, ContractEvent, MilestonePlan};
use domain::fee::{Bearer, Fee, FeeRule, FeeSchedule};
use domain::id::{ContractId, MilestoneId, PartyId};
use domain::policy::Policy;
use domain::refusal::Refusal;
use domain::rules::{Context, Rules};
use ledger::{Currency, Minor};
use uuid::Uuid;

fn client() -> PartyId {
    PartyId::derived(Uuid::nil(), "client")
}

fn context() -> Context {
    Context { now: "2026-12-01T10:00:00Z".parse().unwrap(), actor: Actor::Client(client()) }
}

/// A draft of one milestone.
fn draft(amount: Minor) -> Contract {
    let command = ContractCommand::Draft {
        contract_id: ContractId::derived(Uuid::nil(), "contract"),
        client_id: client(),
        payee_id: PartyId::derived(Uuid::nil(), "payee"),
        currency: Currency::USD,
        milestones: vec![MilestonePlan {
            milestone_id: MilestoneId::derived(Uuid::nil(), "milestone"),
            amount,
            due_at: None,
            review_days: None,
            reference: None,
        }],
        reference: None,
    };
    let mut contract = Contract::default();
    for event in contract.decide(&command, &context()).unwrap() {
        contract.evolve(&event);
    }
    contract
}

fn offer(amount: i64, fee_schedule: &FeeSchedule, policy: Policy) -> Result<Vec<ContractEvent>, Refusal> {
    let command = ContractCommand::Offer { fee_schedule: fee_schedule.clone(), policy };
    draft(Minor::new(amount).unwrap()).decide(&command, &context())
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    let nameless = FeeSchedule::empty("");
    let pointer = |result| match result {
        Err(Refusal::Invalid { pointer, .. }) => pointer,
        other => panic!("{other:?}"),
    };
    assert_eq!(pointer(offer(100_000, &nameless, Policy::default())), "/fee_schedule/id");
    let hasty = Policy { review_days: 0, ..Policy::default() };
    assert_eq!(pointer(offer(100_000, &FeeSchedule::zero(), hasty)), "/policy/review_days");
}

/// D-69: fees in euros do not fit a contract in dollars.
#[test]
fn fees_in_another_currency_are_refused() {
    let payee_fee = Fee::new(vec![FeeRule::Fixed { amount: Minor::new(30).unwrap() }]);
    let euros = FeeSchedule { currency: Some(Currency::EUR), payee_fee, ..FeeSchedule::empty("euros") };
    let refusal = Refusal::CurrencyMismatch { expected: Currency::EUR, received: Currency::USD };
    assert_eq!(offer(100_000, &euros, Policy::default()), Err(refusal));
}

/// D-68: what the client would pay, initiation fee included, is an amount too.
#[test]
fn a_milestone_whose_charge_is_too_large_is_refused() {
    let initiation_fee = Minor::new(495).unwrap();
    let schedule = FeeSchedule { currency: Some(Currency::USD), initiation_fee, ..FeeSchedule::empty("once") };
    let most = Minor::MAX_INPUT.get();
    assert!(offer(most - 495, &schedule, Policy::default()).is_ok());
    let refusal = Refusal::AmountTooLarge { max: Minor::MAX_INPUT };
    assert_eq!(offer(most - 494, &schedule, Policy::default()), Err(refusal));
}

/// Nobody but the platform can bear the provider's fee of a refund yet; what would not be carried out is not agreed.
#[test]
fn fees_that_could_not_be_taken_are_refused() {
    for bearer in [Bearer::Client, Bearer::Payee] {
        let schedule = FeeSchedule { refund_psp_fee_bearer: bearer, ..FeeSchedule::two_sided() };
        let refused = offer(100_000, &schedule, Policy::default()).unwrap_err();
        assert_eq!(refused.code(), "not_supported");
    }
    assert!(offer(100_000, &FeeSchedule::two_sided(), Policy::default()).is_ok());
}

/// What nobody would count or look up is not agreed: the first contracts of a payee, and where the parties are taxed.
#[test]
fn fees_that_would_be_judged_by_nobody_are_refused() {
    let schedule = |more: serde_json::Value| -> FeeSchedule {
        let mut fees = serde_json::to_value(FeeSchedule::two_sided()).unwrap();
        fees.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(fees).unwrap()
    };
    let first = serde_json::json!({ "promotions": [{ "id": "first", "percent_off": "100", "first_contracts": 1 }] });
    let rules = serde_json::json!({ "tax": { "rules": [{ "jurisdiction": "GB", "percent": "20" }] } });
    for refused in [first, rules] {
        let schedule = schedule(refused);
        schedule.check().unwrap();
        assert_eq!(offer(100_000, &schedule, Policy::default()).unwrap_err().code(), "not_supported");
    }
    let chosen = serde_json::json!({ "tax": {
        "rules": [{ "jurisdiction": "GB", "percent": "20" }],
        "client": { "jurisdiction": "GB", "percent": "20" },
    } });
    assert!(offer(100_000, &schedule(chosen), Policy::default()).is_ok());
}
