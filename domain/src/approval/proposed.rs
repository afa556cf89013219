//! The commands that may need approval, as data.
//!
//! A new one is a variant here, its kind, and the intent that it becomes; and a line in the route that proposes it.

use std::fmt::Write as _;
use std::str::FromStr;

use ledger::{Currency, Minor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::actor::StaffRole;
use crate::chargeback::ChargebackCommand;
use crate::command::Command;
use crate::id::{ChargebackId, ContractId, PartyId};
use crate::intent::{Intent, MoneyIntent};
use crate::refusal::Refusal;

/// A kind of command that may need approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Let nothing leave an escrow.
    FreezeEscrow,
    /// Let money leave it again.
    UnfreezeEscrow,
    /// Give up what a payee owes.
    WriteOffDebt,
    /// Concede what a client's bank says.
    AcceptChargeback,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::FreezeEscrow, Self::UnfreezeEscrow, Self::WriteOffDebt, Self::AcceptChargeback];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::FreezeEscrow => "freeze_escrow",
            Self::UnfreezeEscrow => "unfreeze_escrow",
            Self::WriteOffDebt => "write_off_debt",
            Self::AcceptChargeback => "accept_chargeback",
        }
    }

    /// Roles whose approval can be asked for: those whose own word the command would be.
    pub fn approvers(self) -> &'static [StaffRole] {
        match self {
            Self::FreezeEscrow | Self::UnfreezeEscrow | Self::WriteOffDebt | Self::AcceptChargeback => {
                &[StaffRole::Moderator, StaffRole::Finance, StaffRole::Admin]
            }
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.into_iter().map(Self::word).collect();
            format!("no such kind; choose one of {}", words.join(", "))
        })
    }
}

/// A command that waits to be approved: all that it needs to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Proposed {
    /// Let nothing leave an escrow.
    FreezeEscrow {
        /// The contract.
        contract_id: ContractId,
        /// Why: a code.
        reason: String,
        /// The reference of the order that demands it, opaque.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        legal_ref: Option<String>,
    },
    /// Let money leave it again.
    UnfreezeEscrow {
        /// The contract.
        contract_id: ContractId,
    },
    /// Give up what a payee owes.
    WriteOffDebt {
        /// Whose debt.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// What it arose from.
        cause: String,
        /// How much, minor units.
        amount: Minor,
    },
    /// Concede what a client's bank says.
    AcceptChargeback {
        /// The chargeback.
        chargeback_id: ChargebackId,
    },
}

impl Proposed {
    /// What kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::FreezeEscrow { .. } => Kind::FreezeEscrow,
            Self::UnfreezeEscrow { .. } => Kind::UnfreezeEscrow,
            Self::WriteOffDebt { .. } => Kind::WriteOffDebt,
            Self::AcceptChargeback { .. } => Kind::AcceptChargeback,
        }
    }

    /// How much it is about, where it says so.
    pub fn amount(&self) -> Option<(Minor, Currency)> {
        match self {
            Self::WriteOffDebt { amount, currency, .. } => Some((*amount, *currency)),
            Self::FreezeEscrow { .. } | Self::UnfreezeEscrow { .. } | Self::AcceptChargeback { .. } => None,
        }
    }

    /// What is carried out.
    pub fn intent(&self) -> Intent {
        match self {
            Self::FreezeEscrow { contract_id, reason, legal_ref } => Intent::Money(MoneyIntent::Freeze {
                contract_id: *contract_id,
                reason: reason.clone(),
                legal_ref: legal_ref.clone(),
            }),
            Self::UnfreezeEscrow { contract_id } => Intent::Money(MoneyIntent::Unfreeze { contract_id: *contract_id }),
            Self::WriteOffDebt { payee_id, currency, cause, amount } => Intent::Money(MoneyIntent::WriteOffDebt {
                payee_id: *payee_id,
                currency: *currency,
                cause: cause.clone(),
                amount: *amount,
            }),
            Self::AcceptChargeback { chargeback_id } => {
                Intent::Fact(Command::Chargeback(*chargeback_id, ChargebackCommand::Accept))
            }
        }
    }

    /// SHA-256 of the command as JSON, in hexadecimal.
    ///
    /// # Errors
    /// [`Refusal::Defect`] if it cannot be written, which no command of ours does.
    pub fn digest(&self) -> Result<String, Refusal> {
        let text = serde_json::to_vec(self).map_err(|error| Refusal::Defect(error.to_string()))?;
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(text) {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        Ok(hex)
    }
}
