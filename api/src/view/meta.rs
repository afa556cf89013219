//! What the program says of itself, taken from the code that does it.

use domain::event::{EVENT_TYPES, EventType};
use domain::fee::FeeSchedule;
use domain::policy::Policy;
use domain::state_machine::{Machine, Transition};
use ledger::Currency;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::code::ErrorCode;

/// A currency of ISO 4217 that people pay with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrencyView {
    /// Three capital letters.
    #[schema(example = "KWD")]
    pub code: String,
    /// Digits after the decimal point in ISO 4217, and in every amount of this API.
    #[schema(example = 3)]
    pub exponent: u32,
    /// What each payment provider makes of it.
    pub providers: Vec<ProviderCurrencyView>,
}

/// A currency at a payment provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderCurrencyView {
    /// The provider.
    #[schema(example = "stripe")]
    pub psp: String,
    /// Digits after the decimal point in the provider's amounts.
    #[schema(example = 3)]
    pub exponent: u32,
    /// A charge is rounded up to a multiple of this many minor units; the rest goes to the client's wallet.
    #[schema(example = 10)]
    pub charge_quantum: i64,
    /// A payout has to be a multiple of this many minor units; the rest stays payable.
    #[schema(example = 10)]
    pub payout_quantum: i64,
}

/// A type of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventTypeView {
    /// Dotted name.
    #[schema(example = "escrow.released")]
    pub r#type: String,
    /// Version of the shape that is written now.
    #[schema(example = 1)]
    pub schema_version: u16,
    /// Whether it carries a journal entry, unless its amount is zero.
    pub financial: bool,
}

/// An error code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorCodeView {
    /// The code.
    #[schema(example = "exceeds_held")]
    pub code: String,
    /// The type of its problem documents.
    #[schema(example = "/problems/exceeds-held")]
    pub r#type: String,
    /// HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What it means.
    #[schema(example = "More was asked than is held.")]
    pub title: String,
}

/// The states of one kind of aggregate, and what leads from one to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateMachineView {
    /// The kind.
    #[schema(example = "payout")]
    pub aggregate: String,
    /// The state before the first event.
    #[schema(example = "not_requested")]
    pub initial: String,
    /// Every state, the initial one first.
    pub states: Vec<String>,
    /// The states that nothing leads out of.
    pub r#final: Vec<String>,
    /// What is accepted; everything else is refused, or changes nothing.
    pub transitions: Vec<TransitionView>,
    /// A diagram, in the language of Mermaid; empty where there is one state only.
    pub diagram: String,
}

/// What a command makes of some states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransitionView {
    /// The command; `noted` where another aggregate's event is mirrored.
    #[schema(example = "record_paid")]
    pub command: String,
    /// Who may give it: `client`, `payee`, `staff`, `system`; nobody when it follows from something else.
    pub by: Vec<String>,
    /// The states in which it is accepted.
    pub from: Vec<String>,
    /// The events that it leads to.
    pub events: Vec<String>,
    /// The state afterwards; `null` when it stays what it was.
    #[schema(example = "paid")]
    pub to: Option<String>,
}

/// A policy that comes with the program: the periods of a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct PolicyPresetView(pub Value);

/// A fee schedule that comes with the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct FeePresetView(pub Value);

/// Every currency, by code.
pub fn currencies() -> Vec<CurrencyView> {
    Currency::all().map(CurrencyView::of).collect()
}

/// Every type of event that is written.
pub fn event_types() -> Vec<EventTypeView> {
    EVENT_TYPES.iter().map(EventTypeView::of).collect()
}

/// Every error code.
pub fn error_codes() -> Vec<ErrorCodeView> {
    ErrorCode::ALL.iter().copied().map(ErrorCodeView::of).collect()
}

/// Every state machine.
pub fn state_machines() -> Vec<StateMachineView> {
    domain::state_machine::MACHINES.iter().map(StateMachineView::of).collect()
}

/// Every policy that comes with the program; the first is what a contract gets when nobody chooses.
pub fn policies() -> Vec<PolicyPresetView> {
    let presets = [Policy::fixed(), Policy::gig(), Policy::trusted_gig(), Policy::booking()];
    presets.iter().filter_map(|policy| serde_json::to_value(policy).ok()).map(PolicyPresetView).collect()
}

/// Every fee schedule that comes with the program; the first is what a contract gets when nobody chooses.
pub fn fee_presets() -> Vec<FeePresetView> {
    let presets = FeeSchedule::presets();
    presets.iter().filter_map(|schedule| serde_json::to_value(schedule).ok()).map(FeePresetView).collect()
}

impl CurrencyView {
    /// The view of a currency.
    pub fn of(currency: Currency) -> Self {
        let stripe = ProviderCurrencyView {
            psp: "stripe".to_owned(),
            exponent: currency.psp_exponent(),
            charge_quantum: currency.charge_quantum(),
            payout_quantum: currency.payout_quantum(),
        };
        Self { code: currency.code().to_owned(), exponent: currency.exponent(), providers: vec![stripe] }
    }
}

impl EventTypeView {
    fn of(kind: &EventType) -> Self {
        Self { r#type: kind.name.to_owned(), schema_version: kind.version, financial: kind.financial }
    }
}

impl ErrorCodeView {
    fn of(code: ErrorCode) -> Self {
        Self {
            code: code.code().to_owned(),
            r#type: format!("/problems/{}", code.code().replace('_', "-")),
            status: code.status().as_u16(),
            title: code.title().to_owned(),
        }
    }
}

impl StateMachineView {
    fn of(machine: &Machine) -> Self {
        Self {
            aggregate: machine.aggregate.to_owned(),
            initial: machine.initial.to_owned(),
            states: owned(&machine.states()),
            r#final: owned(&machine.final_states()),
            transitions: machine.transitions.iter().map(TransitionView::of).collect(),
            diagram: machine.diagram(),
        }
    }
}

impl TransitionView {
    fn of(step: &Transition) -> Self {
        Self {
            command: step.command.to_owned(),
            by: owned(step.by),
            from: owned(step.from),
            events: owned(step.events),
            to: step.to.map(str::to_owned),
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
