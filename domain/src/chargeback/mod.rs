//! Chargeback: a client's bank disagrees with a payment, one stream per dispute at the provider and cycle.
//!
//! ```text
//! not_opened ─▶ inquiry ─▶ inquiry_closed                         no money moves
//!        │         │ escalated
//!        └─────────┴─▶ needs_response ─▶ under_review ─▶ won      only once the money is back
//!                             │               │      └─▶ lost     what is still out is lost by whoever has it
//!                             └───────────────┴─▶ …
//! needs_response ─Accept─▶ accepted ─▶ lost                       the platform concedes, and the provider says so
//! won, inquiry_closed ─ the bank takes the money (again) ─▶ the next cycle begins
//! not_opened ─▶ warned                                            an early warning of fraud: earnings are held
//! ```
//!
//! # Invariants
//! - What the provider moved is booked once, whatever the state and the order in which it is told; only ranks of
//!   statuses can make a report old.
//! - What was withdrawn and neither came back nor was lost stands on 1200. Never below zero: money that comes back
//!   beyond that is booked as an unallocated receipt (2900).
//! - It is won when the money is back, and not before.
//! - What a loss costs whom is decided by the escrow, or the wallet, which knows where the money went; the rest is the
//!   platform's (J55).
//! - Where the provider settles in another currency, what is contested is of the contract's currency, as the dispute is; what
//!   moved in the balance goes through the payment's FX position, as with a refund (J71). The fee is of the balance's.
//! - What was conceded, or answered, is neither conceded nor answered again.
//!
//! # What is deliberately absent
//! Conceding an inquiry: a payment that a bank only asks about is refunded. A dispute whose money moves in a currency that
//! is neither the contract's nor told with an amount of it is booked as it was moved and keeps the escrow locked; its loss is
//! an operator's to settle. A bonus or a tip that is charged back is the platform's loss. A top-up is answered at the
//! provider, by hand: no contract proves anything. An early warning about one holds nothing.

mod decide;
mod event;
pub mod evidence;
pub mod posting_rules;
pub mod statement;

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use event::{ChargebackEvent, Opening};
pub use evidence::EvidenceBundle;
pub use statement::Statement;

use crate::command::Command;
use crate::escrow::PspPlace;
use crate::id::{ChargebackId, ContractId, FundingId, PartyId};
use crate::log::StreamId;
use crate::ports::provider::DisputeReport;
use crate::refusal::Refusal;
use crate::rules::{Context, Rules};
use crate::time::Timestamp;
use crate::timer::{Rank, Timer};
use crate::wallet::WalletId;

/// Name of the aggregate.
pub const TYPE: &str = "chargeback";

/// Namespace of the ids of first cycles.
const NAMESPACE: Uuid = Uuid::from_u128(0x52c1_7a4e_0b9d_5f36_8e21_c40d_96aa_1b73);

/// How long before the provider's deadline evidence is to be submitted (`domain.md` B.12): time for a person to act.
const EVIDENCE_LEAD_HOURS: i64 = 48;

/// Key of the timer of the evidence.
const EVIDENCE: &str = "evidence";

/// The stream of a chargeback.
pub fn stream(id: ChargebackId) -> StreamId {
    StreamId::new(TYPE, id.to_string())
}

/// The chargeback that a dispute, or a warning, of the provider is first known as.
pub fn first_cycle(dispute_ref: &str) -> ChargebackId {
    ChargebackId::derived(NAMESPACE, dispute_ref)
}

/// Where the money of a payment went, and so who answers for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PaidInto {
    /// Into a contract: its escrow, or its payee as a gift.
    Contract {
        /// The contract.
        contract_id: ContractId,
    },
    /// Into a client's wallet.
    Wallet {
        /// The wallet.
        wallet: WalletId,
    },
}

impl PaidInto {
    /// The contract, if it is one.
    pub fn contract_id(self) -> Option<ContractId> {
        match self {
            Self::Contract { contract_id } => Some(contract_id),
            Self::Wallet { .. } => None,
        }
    }
}

/// The payment that it is about, as our books have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// Its contract, or the wallet that was topped up.
    #[serde(flatten)]
    pub paid_into: PaidInto,
    /// The funding.
    pub funding_id: FundingId,
    /// Who paid.
    pub client_id: PartyId,
    /// Who is paid by the contract, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payee_id: Option<PartyId>,
    /// Currency of contract or wallet.
    pub currency: Currency,
    /// What was collected, minor units.
    pub captured: Minor,
    /// Where it was collected.
    #[serde(flatten)]
    pub place: PspPlace,
}

/// How far a disagreement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The bank asks.
    Inquiry,
    /// The bank asks no more.
    InquiryClosed,
    /// The bank waits for our evidence.
    NeedsResponse,
    /// The bank has our evidence.
    UnderReview,
    /// The platform has conceded; the provider has not said yet that it is lost.
    Accepted,
    /// Decided for us, and the money is back.
    Won,
    /// Decided for the client.
    Lost,
}

impl Phase {
    /// Whether nothing more is expected of this cycle.
    pub fn is_over(self) -> bool {
        matches!(self, Self::InquiryClosed | Self::Won | Self::Lost)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Inquiry => "inquiry",
            Self::InquiryClosed => "inquiry_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Accepted => "accepted",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// What moved in one currency, minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Taken by the bank.
    pub withdrawn: Minor,
    /// Given back, as far as it had been taken.
    pub reinstated: Minor,
    /// Lost for good.
    pub lost: Minor,
}

impl Moved {
    /// What is still in contest: the balance of 1200.
    pub fn out(&self) -> Minor {
        self.withdrawn.saturating_sub(self.reinstated).saturating_sub(self.lost)
    }
}

/// What is known of one cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How it began.
    #[serde(flatten)]
    pub opening: Opening,
    /// What moved, by currency.
    pub moved: BTreeMap<Currency, Moved>,
    /// The provider's bookings that are known, those of earlier cycles included. Not called `known` in JSON: the opening,
    /// which is beside it there, has a list of that name.
    #[serde(rename = "bookings")]
    pub known: BTreeSet<String>,
    /// When evidence is to be submitted; `None` when that is done, or no longer possible.
    pub evidence_at: Option<Timestamp>,
    /// SHA-256 (hex) of the evidence that was submitted.
    pub evidence_digest: Option<String>,
    /// SHA-256 (hex) of what staff says, or said, beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The cycle that came after this one.
    pub next: Option<ChargebackId>,
}

impl Case {
    /// What is in contest in the contract's currency.
    pub fn out(&self) -> Minor {
        self.moved.get(&self.opening.charged.currency).map(Moved::out).unwrap_or_default()
    }

    /// Whether money of another currency is in contest.
    pub fn is_foreign(&self) -> bool {
        let own = self.opening.charged.currency;
        self.moved.iter().any(|(currency, moved)| *currency != own && !moved.out().is_zero())
    }

    /// What the escrow is to hold for it, in the contract's currency: as much as is out. All of the payment, when that
    /// cannot be said.
    pub fn hold_for(&self) -> Minor {
        if self.is_foreign() { self.opening.charged.captured } else { self.out() }
    }
}

/// State of a chargeback.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Chargeback {
    /// No chargeback by this id.
    #[default]
    NotOpened,
    /// A network warned of fraud; no bank has disagreed.
    Warned {
        /// The payment.
        charged: Charged,
        /// The provider's warning.
        warning_ref: String,
    },
    /// A bank disagrees, or did.
    Opened {
        /// How far it is.
        phase: Phase,
        /// What is known.
        case: Box<Case>,
    },
}

/// A request about a chargeback. What the provider tells is never refused once the payment is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChargebackCommand {
    /// What the provider says of the dispute. Told to the first cycle; whichever is the present one takes it.
    Record {
        /// What it says.
        report: Box<DisputeReport>,
        /// The payment; looked up by the unit of work.
        charged: Option<Box<Charged>>,
    },
    /// A network warns of fraud.
    RecordFraudWarning {
        /// The provider's warning.
        warning_ref: String,
        /// The payment.
        funding_id: FundingId,
        /// The payment; looked up by the unit of work.
        charged: Option<Box<Charged>>,
    },
    /// The bank takes the money again, of a dispute that was over: a further cycle.
    Reopen {
        /// How it begins.
        opening: Box<Opening>,
        /// What the provider said.
        report: Box<DisputeReport>,
    },
    /// What of a loss neither escrow nor payee bear.
    AbsorbLoss {
        /// How much, in the contract's currency.
        amount: Minor,
    },
    /// Answer the bank. Staff, or the engine itself.
    SubmitEvidence {
        /// What is proved.
        evidence: Box<EvidenceBundle>,
    },
    /// Say something beside what the log proves, instead of what was written before. Staff only; until it is submitted.
    DraftEvidence {
        /// SHA-256 (hex) of what is stored apart.
        statement: String,
    },
    /// Concede: the bank gets no answer. Staff only. Again it is refused.
    Accept,
    /// It is time to answer the bank with what there is.
    RemindOfEvidence,
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
}

impl ChargebackCommand {
    /// Whether a person asks for it, who means the cycle that it names, and no later one.
    pub(crate) fn is_of_one_cycle(&self) -> bool {
        matches!(self, Self::SubmitEvidence { .. } | Self::DraftEvidence { .. } | Self::Accept)
    }

    /// The payment that the provider names in it.
    pub fn funding_id(&self) -> Option<FundingId> {
        match self {
            Self::Record { report, .. } => report.funding_id,
            Self::RecordFraudWarning { funding_id, .. } => Some(*funding_id),
            Self::Reopen { .. }
            | Self::AbsorbLoss { .. }
            | Self::SubmitEvidence { .. }
            | Self::DraftEvidence { .. }
            | Self::Accept
            | Self::RemindOfEvidence
            | Self::BlockTimer { .. } => None,
        }
    }
}

impl Chargeback {
    /// The payment that it is about, once it is known.
    pub fn charged(&self) -> Option<&Charged> {
        match self {
            Self::NotOpened => None,
            Self::Warned { charged, .. } => Some(charged),
            Self::Opened { case, .. } => Some(&case.opening.charged),
        }
    }

    /// What is known of it, once a bank disagrees.
    pub fn case(&self) -> Option<&Case> {
        match self {
            Self::NotOpened | Self::Warned { .. } => None,
            Self::Opened { case, .. } => Some(case),
        }
    }

    /// The cycle that came after this one.
    pub fn next(&self) -> Option<ChargebackId> {
        self.case().and_then(|case| case.next)
    }

    fn begin(&mut self, opening: &Opening, phase: Phase) {
        let evidence_at = opening
            .evidence_due_by
            .map(|due| due.checked_sub_signed(TimeDelta::hours(EVIDENCE_LEAD_HOURS)).unwrap_or(Timestamp::MIN_UTC));
        // An inquiry that becomes a chargeback has a deadline of its own; what was booked stays booked.
        let (moved, known, statement) = match self {
            Self::Opened { case, .. } => {
                (std::mem::take(&mut case.moved), std::mem::take(&mut case.known), case.statement.take())
            }
            Self::NotOpened | Self::Warned { .. } => (BTreeMap::new(), opening.known.iter().cloned().collect(), None),
        };
        let opening = opening.clone();
        let case = Case { opening, moved, known, evidence_at, evidence_digest: None, statement, next: None };
        *self = Self::Opened { phase, case: Box::new(case) };
    }
}

impl Rules for Chargeback {
    const TYPE: &'static str = TYPE;
    type Command = ChargebackCommand;
    type Event = ChargebackEvent;

    fn decide(&self, command: &ChargebackCommand, context: &Context) -> Result<Vec<ChargebackEvent>, Refusal> {
        decide::decide(self, command, context)
    }

    fn evolve(&mut self, event: &ChargebackEvent) {
        use ChargebackEvent as E;
        match event {
            E::EarlyFraudWarningReceived { charged, warning_ref, .. } => {
                *self = Self::Warned { charged: charged.clone(), warning_ref: warning_ref.clone() };
                return;
            }
            E::InquiryReceived { opening } => return self.begin(opening, Phase::Inquiry),
            E::Opened { opening } => return self.begin(opening, Phase::NeedsResponse),
            _ => {}
        }
        let Self::Opened { phase, case } = self else { return };
        let own = case.opening.charged.currency;
        match event {
            E::FundsWithdrawn { balance_transaction_ref, amount, currency, absorb, .. } => {
                case.known.insert(balance_transaction_ref.clone());
                let moved = case.moved.entry(*currency).or_default();
                moved.withdrawn = moved.withdrawn.saturating_add(*amount);
                moved.lost = moved.lost.saturating_add(*absorb);
            }
            E::FundsReinstated { balance_transaction_ref, amount, unexpected, currency, .. } => {
                case.known.insert(balance_transaction_ref.clone());
                let moved = case.moved.entry(*currency).or_default();
                moved.reinstated = moved.reinstated.saturating_add(amount.saturating_sub(*unexpected));
            }
            E::DisputeFeeReturned { balance_transaction_ref, .. } => {
                case.known.insert(balance_transaction_ref.clone());
            }
            E::ReviewStarted { .. } => {
                *phase = Phase::UnderReview;
                case.evidence_at = None;
            }
            E::EvidenceDue { .. } | E::TimerBlocked { .. } => case.evidence_at = None,
            E::EvidenceDrafted { statement, .. } => case.statement = Some(statement.clone()),
            E::EvidenceSubmitted { digest, .. } => {
                case.evidence_at = None;
                case.evidence_digest = Some(digest.clone());
            }
            E::Accepted { .. } => {
                *phase = Phase::Accepted;
                case.evidence_at = None;
            }
            E::Won { .. } => {
                *phase = Phase::Won;
                case.evidence_at = None;
            }
            E::InquiryClosed { .. } => {
                *phase = Phase::InquiryClosed;
                case.evidence_at = None;
            }
            E::Lost { amount, .. } => {
                *phase = Phase::Lost;
                case.evidence_at = None;
                let moved = case.moved.entry(own).or_default();
                moved.lost = moved.lost.saturating_add(*amount);
            }
            E::SecondPresentment { opening, .. } => case.next = Some(opening.chargeback_id),
            // Booked only: `Lost` is remembered. The others are above.
            E::LossAbsorbed { .. }
            | E::EarlyFraudWarningReceived { .. }
            | E::InquiryReceived { .. }
            | E::Opened { .. } => {}
        }
    }

    /// The time to answer the bank.
    fn timers(&self, stream: &StreamId) -> Vec<Timer> {
        let Some(case) = self.case() else { return Vec::new() };
        let Some(due_at) = case.evidence_at else { return Vec::new() };
        vec![Timer {
            due_at,
            rank: Rank::ChargebackEvidence,
            stream: stream.clone(),
            key: EVIDENCE.to_owned(),
            command: Command::Chargeback(case.opening.chargeback_id, ChargebackCommand::RemindOfEvidence),
        }]
    }

    fn state_name(&self) -> &'static str {
        match self {
            Self::NotOpened => "not_opened",
            Self::Warned { .. } => "warned",
            Self::Opened { phase, .. } => phase.word(),
        }
    }
}
