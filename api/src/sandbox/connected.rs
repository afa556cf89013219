//! Requests about connected accounts, payouts and what comes back, each carried out by its own module.

use super::accounts::UpdateAccount;
use super::bank_accounts::{AddBankAccount, MakeToken};
use super::onboarding::{Adjust, Close, Deauthorize, MakeLink, Onboard, Restrict};
use super::order::{Outcome, Work};
use super::payouts::{CancelPayout, TurnPayout};
use super::refusal::Failure;
use super::reversals::ReverseTransfer;

/// One of them.
#[derive(Debug)]
pub(super) enum ConnectedOrder {
    Update(UpdateAccount),
    AddBankAccount(AddBankAccount),
    MakeToken(MakeToken),
    MakeLink(MakeLink),
    Onboard(Onboard),
    Restrict(Restrict),
    Deauthorize(Deauthorize),
    Close(Close),
    Adjust(Adjust),
    ReverseTransfer(ReverseTransfer),
    CancelPayout(CancelPayout),
    TurnPayout(TurnPayout),
}

impl ConnectedOrder {
    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::Update(order) => order.carry_out(work).await,
            Self::AddBankAccount(order) => order.carry_out(work).await,
            Self::MakeToken(order) => order.carry_out(work).await,
            Self::MakeLink(order) => order.carry_out(work).await,
            Self::Onboard(order) => order.carry_out(work).await,
            Self::Restrict(order) => order.carry_out(work).await,
            Self::Deauthorize(order) => order.carry_out(work).await,
            Self::Close(order) => order.carry_out(work).await,
            Self::Adjust(order) => order.carry_out(work).await,
            Self::ReverseTransfer(order) => order.carry_out(work).await,
            Self::CancelPayout(order) => order.carry_out(work).await,
            Self::TurnPayout(order) => order.carry_out(work).await,
        }
    }
}
