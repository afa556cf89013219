//! Requests about a payee account.

use ledger::{Currency, Minor};

use super::HoldReason;
use crate::escrow::{Gratuity, PspPlace, RefundPart};
use crate::fee::TaxLine;
use crate::id::{ChargebackId, ContractId, FundingId, PartyId, PayoutId, RefundId, ReleaseId};
use crate::party::{PayeeStanding, PayoutAccount};
use crate::payout::{PayoutPolicy, PayoutSchedule};

/// A request about a payee account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayeeCommand {
    /// An earning's security period is over.
    Clear {
        /// Which.
        release_id: ReleaseId,
    },
    /// Set money aside for a payout.
    ReservePayout {
        /// Whose money.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The payout to be made.
        payout_id: PayoutId,
        /// How much.
        amount: Minor,
        /// Where it goes.
        account: PayoutAccount,
    },
    /// Hold available money back. Staff, or the engine itself.
    Hold {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much; all that is available when absent.
        amount: Option<Minor>,
        /// Why.
        reason: HoldReason,
    },
    /// Let go what was held back. Staff, or the engine itself.
    ReleaseHold {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much; all that is held for that reason when absent.
        amount: Option<Minor>,
        /// Why it was held.
        reason: HoldReason,
    },
    /// Give released money back to the client. The escrow has judged it.
    GrantRefund {
        /// Which refund; its first part has the same id.
        refund_id: RefundId,
        /// Whose money.
        payee_id: PartyId,
        /// The contract.
        contract_id: ContractId,
        /// Who gets it.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much, as it was released, before fees.
        gross: Minor,
        /// The payee's fee that the platform returns.
        payee_fee: Minor,
        /// The client's fee that the platform returns.
        client_fee: Minor,
        /// Tax on the payee's fee that is returned.
        payee_tax: Option<TaxLine>,
        /// Tax on the client's fee that is returned.
        client_tax: Option<TaxLine>,
        /// What the payee gives of it.
        from_payee: Minor,
        /// What goes back by which way.
        parts: Vec<RefundPart>,
    },
    /// A bank took released money back. The escrow has judged it. A fact: never refused.
    ChargeLoss {
        /// Which chargeback.
        chargeback_id: ChargebackId,
        /// The payment that it was.
        funding_id: FundingId,
        /// Whose money.
        payee_id: PartyId,
        /// The contract.
        contract_id: ContractId,
        /// Who paid.
        client_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much, as it was released, before fees.
        gross: Minor,
        /// The payee's fee that the platform returns.
        payee_fee: Minor,
        /// The client's fee that the platform returns.
        client_fee: Minor,
        /// Tax on the payee's fee that is returned.
        payee_tax: Option<TaxLine>,
        /// Tax on the client's fee that is returned.
        client_tax: Option<TaxLine>,
        /// What the payee gives of it.
        from_payee: Minor,
    },
    /// Give up what the payee owes. Staff.
    WriteOffDebt {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// What it arose from.
        cause: String,
        /// How much; all that is owed for it when absent.
        amount: Option<Minor>,
    },
    /// Earnings of a contract are suspicious: what of them is pending is held back when it clears.
    HoldAtClearance {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// Of which contract.
        contract_id: ContractId,
        /// Why.
        reason: HoldReason,
    },
    /// A bonus or a tip arrived. A fact: never refused.
    RecordGratuity {
        /// Whose.
        payee_id: PartyId,
        /// Who paid.
        client_id: PartyId,
        /// The contract.
        contract_id: ContractId,
        /// The payment.
        funding_id: FundingId,
        /// In which currency.
        currency: Currency,
        /// How much, and what becomes of it.
        gratuity: Gratuity,
        /// Where the money lies.
        place: PspPlace,
    },
    /// A timer of it fired and was refused.
    BlockTimer {
        /// Which timer: the id of the release.
        key: String,
        /// The code of the refusal.
        reason: String,
    },
    /// The same under the standing of the party. Without it a command is judged as if nothing were held against the party.
    Under {
        /// The party, as it is.
        standing: Box<PayeeStanding>,
        /// What is asked.
        command: Box<PayeeCommand>,
    },
    /// Make a payout again that did not arrive.
    RetryPayout {
        /// Whose money.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The payout to be made.
        payout_id: PayoutId,
        /// The one that did not arrive.
        retry_of: PayoutId,
        /// How much.
        amount: Minor,
        /// Where it goes.
        account: PayoutAccount,
    },
    /// The day of the schedule has come.
    PayBySchedule {
        /// Whose money.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
    },
    /// Say when earnings are paid out without being asked for. The payee.
    SetPayoutSchedule {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How often.
        schedule: PayoutSchedule,
        /// Not less than this.
        minimum: Minor,
    },
    /// Say what the platform demands of payouts. Staff that may hold money, or the engine.
    SetPayoutPolicy {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// What it demands.
        policy: PayoutPolicy,
    },
    /// The party is not paid any more: hold what is available. Follows from the party's events.
    HoldForStanding {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// Why.
        reason: HoldReason,
    },
    /// Something became available that was not looked at: it pays debts off. Follows from the payout's events; never refused.
    SetOffDebts {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
    },
    /// A payout did not arrive: hold what came back while the party may be on a list of sanctions. Follows from the payout's
    /// events.
    HoldReturned {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// How much came back.
        amount: Minor,
    },
    /// That is over. Follows from the party's events.
    LetGo {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// Why it was held.
        reason: HoldReason,
    },
    /// Take what lies at an account at the provider back to the platform. Follows from the party's events.
    CallBack {
        /// Whose.
        payee_id: PartyId,
        /// In which currency.
        currency: Currency,
        /// The account.
        psp_account: String,
    },
}

impl PayeeCommand {
    /// Whether the standing of the party decides on it.
    pub fn needs_standing(&self) -> bool {
        matches!(
            self,
            Self::Clear { .. }
                | Self::ReservePayout { .. }
                | Self::RetryPayout { .. }
                | Self::PayBySchedule { .. }
                | Self::HoldReturned { .. }
        )
    }
}
