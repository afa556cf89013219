//! An event as the API shows it: the envelope of `domain.md` B.18.

use chrono::{DateTime, Utc};
use domain::actor::Actor;
use domain::authentication::AuthContext;
use domain::log::RecordedEvent;
use ledger::JournalEntry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// An event of the log, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its id.
    #[schema(example = "evt_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub event_id: String,
    /// The tenant.
    #[schema(example = "main")]
    pub tenant: String,
    /// Whether money is real.
    pub livemode: bool,
    /// The test clock it was told by; `null` for the system's.
    pub clock_id: Option<String>,
    /// Its stream.
    #[schema(example = "escrow-ctr_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub stream: String,
    /// Number in the stream, from 1, without a gap.
    pub stream_version: u64,
    /// Place in the whole log, from 1, without a gap, in the order of commits.
    pub position: u64,
    /// Dotted type.
    #[schema(example = "escrow.released")]
    pub r#type: String,
    /// Version of the type's shape.
    pub schema_version: u16,
    /// Business time.
    pub occurred_at: DateTime<Utc>,
    /// Time of the commit.
    pub recorded_at: DateTime<Utc>,
    /// Who acted.
    pub actor: ActorView,
    /// How the one who acted showed who it is; `null` where the engine acted, and in events from before this was kept.
    pub auth: Option<AuthView>,
    /// The command that caused it.
    pub command_id: String,
    /// The caller's key.
    pub idempotency_key: Option<String>,
    /// What belongs together.
    pub correlation_id: String,
    /// The event that it reacts to.
    pub causation_id: Option<String>,
    /// The policy used.
    pub policy_ref: Option<String>,
    /// What happened.
    #[schema(value_type = Object)]
    pub data: Value,
    /// What was booked.
    #[schema(value_type = Option<JournalView>)]
    pub journal: Option<JournalEntry>,
    /// Personal data kept apart; none so far.
    #[schema(value_type = Vec<Object>)]
    pub pii: Vec<Value>,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActorView {
    /// `client`, `payee`, `staff` or `system`.
    #[schema(example = "client")]
    pub r#type: String,
    /// The party, or the part of the system.
    pub id: String,
}

/// How the one who acted showed who it is. Never who that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuthView {
    /// With what: `session:` and its id, `api_key:` and its id, `operator_token`, or `external_token` of another issuer.
    #[schema(example = "session:0193a7c2-5b1e-7f3a-9c44-2f6f0e8b1a10")]
    pub credential: Option<String>,
    /// How strongly; `null` for machines.
    #[schema(example = "urn:earnest:acr:second-factor")]
    pub acr: Option<String>,
    /// By which methods (RFC 8176), as far as the token said.
    pub amr: Vec<String>,
    /// When the person last showed it; `null` for machines.
    #[schema(example = "2026-12-16T14:58:00Z")]
    pub auth_time: Option<String>,
}

impl AuthView {
    /// The view of what an event says; `None` where it says nothing.
    pub fn of(auth: AuthContext) -> Option<Self> {
        if auth.is_unknown() {
            return None;
        }
        let amr = auth.amr.as_deref().unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        Some(Self { credential: auth.credential, acr: auth.acr, amr, auth_time: auth.time })
    }
}

impl ActorView {
    /// The view of an actor.
    pub fn of(actor: Actor) -> Self {
        let id = match actor {
            Actor::Client(party) | Actor::Payee(party) | Actor::Staff(_, party) => party.to_string(),
            Actor::System(part) => part.word().to_owned(),
        };
        Self { r#type: actor.kind().to_owned(), id }
    }
}

/// A journal entry.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct JournalView {
    /// The posting rule.
    #[schema(example = "release")]
    pub rule: String,
    /// Its version.
    pub rule_version: u16,
    /// The day on which it counts.
    #[schema(example = "2026-12-16")]
    pub value_date: String,
    /// Debits and credits.
    pub lines: Vec<LineView>,
}

/// One line of a journal entry.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LineView {
    /// `D` or `C`.
    #[schema(example = "D")]
    pub side: String,
    /// Code of the account.
    #[schema(example = "2100")]
    pub account: String,
    /// Minor units, positive.
    #[schema(example = 100_000)]
    pub minor: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// What it is about, by key.
    #[schema(value_type = Object)]
    pub dims: Value,
}

/// The tenant that events are shown for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantLabel {
    /// Its name.
    pub name: String,
    /// Whether money is real.
    pub livemode: bool,
    /// Whether it has a test clock.
    pub test_clock: bool,
}

impl EventView {
    /// The view of an event.
    pub fn of(event: RecordedEvent, tenant: &TenantLabel) -> Self {
        // The tag inside the payload says what `type` says already.
        let mut data: Value = serde_json::from_str(&event.payload).unwrap_or(Value::Null);
        if let Value::Object(members) = &mut data {
            members.remove("type");
        }
        Self {
            event_id: event.metadata.event_id.to_string(),
            tenant: tenant.name.clone(),
            livemode: tenant.livemode,
            clock_id: tenant.test_clock.then(|| format!("clk_{}", tenant.name)),
            stream: event.stream.to_string(),
            stream_version: event.sequence,
            position: event.position,
            r#type: event.event_type,
            schema_version: event.event_version,
            occurred_at: event.metadata.occurred_at,
            recorded_at: event.recorded_at,
            actor: ActorView::of(event.metadata.actor),
            auth: AuthView::of(event.metadata.auth),
            command_id: event.metadata.command_id.to_string(),
            idempotency_key: event.metadata.idempotency_key,
            correlation_id: event.metadata.correlation_id,
            causation_id: event.metadata.causation_id.map(|id| id.to_string()),
            policy_ref: event.metadata.policy_ref,
            data,
            journal: event.journal,
            pii: Vec::new(),
        }
    }
}
