//! What the API shows of each aggregate: functions from state to JSON model.
//!
//! The same functions serve what a command answers (from the decided state) and what a later read shows (from the read
//! model), so that both look alike.

pub mod approval;
pub mod change;
pub mod chargeback;
pub mod contract;
pub mod escrow;
pub mod event;
pub mod funding;
pub mod meta;
pub mod milestone;
pub mod payee;
pub mod payout;
pub mod personal;
pub mod preview;
pub mod refund;
pub mod standing;
pub mod terms;
pub mod treasury;
pub mod wallet;

pub use approval::{ApprovalRuleView, ApprovalView, VoteView};
pub use change::{ChangeKind, ChangeView};
pub use chargeback::{ChargebackView, EvidenceView};
pub use contract::{AmendmentView, ContractView};
pub use escrow::{EscrowDetailView, EscrowView};
pub use event::{EventView, JournalView};
pub use funding::FundingView;
pub use milestone::MilestoneView;
pub use payee::{BalanceView, DebtView, EarningsHoldView, PartyView};
pub use payout::PayoutView;
pub use refund::RefundView;
pub use standing::{OnboardingLinkView, PayoutTermsView, RequirementsView};
pub use terms::{FeesView, OfferTerms, PeriodsView};
pub use treasury::{ArrivedView, ForeignPayoutView, SweepView, TopUpView, TreasuryView};
pub use wallet::WalletView;

use ledger::{Currency, Minor, Money};

/// `minor` as people write it, such as `1,050.00 USD`.
pub(crate) fn decimal(minor: Minor, currency: Currency) -> String {
    Money::new(i128::from(minor.get()), currency).to_string()
}
