//! What a command would do, as the API shows it.

use chrono::{DateTime, Utc};
use domain::escrow::EscrowEvent;
use domain::event::DomainEvent;
use domain::log::NewEvent;
use domain::unit_of_work::Decision;
use ledger::JournalEntry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::decimal;
use super::event::{ActorView, JournalView};
use crate::caller::{Caller, Role};
use crate::engine::Preview;

/// What a command would do. Nothing of it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewView {
    /// Always `preview`.
    #[schema(example = "preview")]
    pub object: String,
    /// The instant on the tenant's clock that it was judged at.
    pub now: DateTime<Utc>,
    /// SHA-256 (hex) of what the command itself does, without ids of what it makes and without instants: the same as
    /// long as it would do the same.
    pub preview_hash: String,
    /// The events of deadlines that have passed and come first, in the order of their commits.
    pub due_first: Vec<PreviewEventView>,
    /// The events of the command, in the order of their positions; none when it changes nothing.
    pub events: Vec<PreviewEventView>,
}

/// An event that would be written. Its members are those of an event of the log, without what the commit gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewEventView {
    /// The id that it gets if the command is sent with the same `Idempotency-Key` and the clock shows the same.
    #[schema(example = "evt_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub event_id: String,
    /// Its stream.
    #[schema(example = "escrow-ctr_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub stream: String,
    /// Dotted type.
    #[schema(example = "escrow.released")]
    pub r#type: String,
    /// Version of the type's shape.
    pub schema_version: u16,
    /// Business time.
    pub occurred_at: DateTime<Utc>,
    /// Who acts.
    pub actor: ActorView,
    /// The command that it is caused by.
    pub command_id: String,
    /// What belongs together.
    pub correlation_id: String,
    /// The event that it reacts to.
    pub causation_id: Option<String>,
    /// What happens.
    #[schema(value_type = Object)]
    pub data: Value,
    /// What is booked.
    #[schema(value_type = Option<JournalView>)]
    pub journal: Option<JournalEntry>,
}

impl PreviewView {
    /// The view of a preview, as far as the caller may see it.
    pub fn of(preview: &Preview, caller: &Caller) -> Self {
        Self {
            object: "preview".to_owned(),
            now: preview.now,
            preview_hash: preview.hash(),
            due_first: preview.timers.iter().flat_map(|decision| shown(decision, caller)).collect(),
            events: preview.decision.iter().flat_map(|decision| shown(decision, caller)).collect(),
        }
    }
}

fn shown(decision: &Decision, caller: &Caller) -> Vec<PreviewEventView> {
    let append = &decision.append;
    let events = append.events.iter().zip(&decision.events);
    let visible = events.filter(|(_, (_, event))| may_see(caller, event));
    visible
        .filter_map(|(written, _)| {
            let stream = &append.streams.get(written.stream)?.stream;
            Some(PreviewEventView::of(written, stream.to_string(), caller))
        })
        .collect()
}

/// How a client pays, and is paid back, is none of the payee's business; what else a payee earns, or owes, none of the
/// client's.
fn may_see(caller: &Caller, event: &DomainEvent) -> bool {
    match caller.role {
        Role::Staff(_) => true,
        Role::Client => {
            event.contract_id().is_some() || !matches!(event, DomainEvent::Payee(_) | DomainEvent::Payout(_))
        }
        Role::Payee => !matches!(event, DomainEvent::Funding(_) | DomainEvent::Refund(_) | DomainEvent::Wallet(_)),
    }
}

impl PreviewEventView {
    fn of(event: &NewEvent, stream: String, caller: &Caller) -> Self {
        let mut data: Value = serde_json::from_str(&event.payload).unwrap_or(Value::Null);
        if let Value::Object(members) = &mut data {
            members.remove("type");
            if caller.role == Role::Payee {
                members.remove("payment_method");
            }
        }
        Self {
            event_id: event.metadata.event_id.to_string(),
            stream,
            r#type: event.event_type.to_string(),
            schema_version: event.event_version,
            occurred_at: event.metadata.occurred_at,
            actor: ActorView::of(event.metadata.actor),
            command_id: event.metadata.command_id.to_string(),
            correlation_id: event.metadata.correlation_id.clone(),
            causation_id: event.metadata.causation_id.map(|id| id.to_string()),
            data,
            journal: event.journal.clone(),
        }
    }
}

/// What a payment would come to, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QuoteView {
    /// Always `quote`.
    #[schema(example = "quote")]
    pub object: String,
    /// The contract.
    pub contract_id: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// What would be held, fees not included.
    #[schema(example = 100_000)]
    pub amount: i64,
    /// The client's fee on that.
    #[schema(example = 5000)]
    pub client_fee: i64,
    /// The contract's initiation fee, when it comes with this payment.
    #[schema(example = 0)]
    pub initiation_fee: i64,
    /// Tax on the fees.
    #[schema(example = 0)]
    pub tax: i64,
    /// What is due: amount, fees and tax.
    #[schema(example = 105_000)]
    pub total: i64,
    /// What is charged: the total, rounded up to what the provider can charge.
    #[schema(example = 105_000)]
    pub charge: i64,
    /// What of the charge goes to the client's wallet, because the provider cannot charge every amount.
    #[schema(example = 0)]
    pub surplus_to_wallet: i64,
    /// The charge in the units that the provider counts in.
    #[schema(example = 105_000)]
    pub psp_units: i64,
    /// The charge as people write it.
    #[schema(example = "1,050.00 USD")]
    pub decimal: String,
    /// When the payment would have to be made by.
    pub expires_at: Option<DateTime<Utc>>,
    /// What asking for the payment would do.
    pub preview: PreviewView,
}

impl QuoteView {
    /// The view of a request to pay in; `None` when it asks for nothing.
    pub fn of(preview: &Preview, caller: &Caller) -> Option<Self> {
        let events = &preview.decision.as_ref()?.events;
        events.iter().find_map(|(_, event)| {
            let DomainEvent::Escrow(EscrowEvent::FundingRequested {
                contract_id,
                currency,
                allocations,
                client_fee,
                amount_due,
                surplus_to_wallet,
                charge,
                deposit,
                initiation_fee,
                tax,
                expires_at,
                ..
            }) = event
            else {
                return None;
            };
            let held = allocations.iter().map(|allocation| allocation.amount).chain([deposit.amount]);
            Some(Self {
                object: "quote".to_owned(),
                contract_id: contract_id.to_string(),
                currency: currency.code().to_owned(),
                amount: ledger::Minor::sum(held).ok()?.get(),
                client_fee: client_fee.get(),
                initiation_fee: initiation_fee.get(),
                tax: tax.as_ref().map_or(0, |tax| tax.line.amount.get()),
                total: amount_due.get(),
                charge: charge.get(),
                surplus_to_wallet: surplus_to_wallet.get(),
                psp_units: currency.psp_units(*charge).ok()?,
                decimal: decimal(*charge, *currency),
                expires_at: *expires_at,
                preview: PreviewView::of(preview, caller),
            })
        })
    }
}
