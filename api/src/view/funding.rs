//! A payment by a client as the API shows it: into escrow, into the wallet, as a bonus, as a tip.
//!
//! # Invariants
//! - What it is for, and what is charged, is what was asked for: the request's own event says it, in every state.

use chrono::{DateTime, Utc};
use domain::escrow::{Allocation, Deposit, EscrowEvent, Gratuity, GratuityKind, PaidFrom};
use domain::funding::{Funding, Progress, Purpose};
use domain::id::{ContractId, FundingId};
use domain::rules::Rules;
use ledger::Minor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::decimal;

/// One attempt to pay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FundingView {
    /// Its id.
    #[schema(example = "fnd_01kaj2v9m4f0w8t6c3r5n7b1xz")]
    pub id: String,
    /// Always `funding`.
    #[schema(example = "funding")]
    pub object: String,
    /// Its contract; none for a top-up.
    pub contract_id: Option<String>,
    /// `escrow`, `bonus`, `tip` or `top_up`.
    #[schema(example = "escrow")]
    pub purpose: String,
    /// `created`, `action_required`, `processing`, `failed`, `cancelled`, `expired`, `succeeded`, `available`, `sent_back`,
    /// `returned` or `under_review`.
    #[schema(example = "succeeded")]
    pub status: String,
    /// `provider` (a card or account) or `wallet`.
    #[schema(example = "provider")]
    pub paid_from: String,
    /// What is charged, fees included, minor units.
    #[schema(example = 105_000)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    pub currency: String,
    /// The amount as people write it.
    #[schema(example = "1,050.00 USD")]
    pub decimal: String,
    /// What it is for.
    pub allocations: Vec<AllocationView>,
    /// The part that is for no milestone yet.
    pub deposit: Option<DepositView>,
    /// The contract's initiation fee, when it comes with this.
    pub initiation_fee: i64,
    /// Tax on the fees in it.
    pub tax: i64,
    /// What is charged beyond that because the provider cannot charge every amount; it goes to the client's wallet.
    pub surplus_to_wallet: i64,
    /// What the payee is given, for a bonus or a tip.
    pub gratuity: Option<GratuityView>,
    /// When the attempt is given up if the client does not complete it, while it waits for that.
    pub expires_at: Option<DateTime<Utc>>,
    /// What the client has to do next, if anything: `confirm` or `use_another_payment_method`.
    pub next_action: Option<String>,
    /// The provider's code, when it failed.
    pub failure_code: Option<String>,
    /// The refund by which it goes back, when it came too late.
    pub refund_id: Option<String>,
    /// What the provider kept of it, once known.
    pub psp_fee: Option<i64>,
    /// When the rest can be used, once known.
    pub available_on: Option<DateTime<Utc>>,
}

/// The part of a payment that is for one milestone, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllocationView {
    /// Which milestone.
    pub milestone_id: String,
    /// What is held for it.
    #[schema(example = 100_000)]
    pub amount: i64,
    /// The client's fee on that.
    #[schema(example = 5000)]
    pub client_fee: i64,
}

/// The part of a payment that is for no milestone yet, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DepositView {
    /// What is held.
    #[schema(example = 50_000)]
    pub amount: i64,
    /// The client's fee on that.
    #[schema(example = 2500)]
    pub client_fee: i64,
}

/// What a payee is given, minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GratuityView {
    /// What the client gives, fees on top not included.
    #[schema(example = 5000)]
    pub amount: i64,
    /// The client's fee on top.
    #[schema(example = 250)]
    pub client_fee: i64,
    /// What is kept of it.
    #[schema(example = 500)]
    pub payee_fee: i64,
    /// What the payee gets.
    #[schema(example = 4500)]
    pub net: i64,
}

impl FundingView {
    /// The view of a payment by the event that asked for it, and by how far it is; `None` for another event. What is
    /// paid from the wallet has no state of its own: it was paid when it was asked for.
    pub fn of(request: &EscrowEvent, funding: Option<&Funding>) -> Option<Self> {
        let mut view = match request {
            EscrowEvent::FundingRequested {
                contract_id,
                funding_id,
                currency,
                allocations,
                surplus_to_wallet,
                charge,
                deposit,
                initiation_fee,
                tax,
                paid_from,
                ..
            } => Self {
                allocations: allocations.iter().map(AllocationView::of).collect(),
                deposit: (!deposit.is_none()).then(|| DepositView::of(*deposit)),
                initiation_fee: initiation_fee.get(),
                tax: tax.as_ref().map_or(0, |tax| tax.line.amount.get()),
                surplus_to_wallet: surplus_to_wallet.get(),
                paid_from: word(*paid_from).to_owned(),
                ..Self::bare(*funding_id, Some(*contract_id), *charge, *currency)
            },
            EscrowEvent::GratuityRequested { contract_id, funding_id, currency, gratuity, charge, .. } => Self {
                purpose: match gratuity.kind {
                    GratuityKind::Bonus => "bonus".to_owned(),
                    GratuityKind::Tip => "tip".to_owned(),
                },
                surplus_to_wallet: gratuity.surplus_to_wallet.get(),
                gratuity: Some(GratuityView::of(gratuity)),
                tax: tax_on_top(gratuity, *charge),
                ..Self::bare(*funding_id, Some(*contract_id), *charge, *currency)
            },
            _ => return None,
        };
        if let Some(funding) = funding {
            view.show(funding);
        }
        Some(view)
    }

    /// The view of a top-up: nothing but the payment itself asks for it. `None` for another payment.
    pub fn of_top_up(funding: &Funding) -> Option<Self> {
        let order = funding.order().filter(|order| order.purpose == Purpose::TopUp)?;
        let bare = Self::bare(order.funding_id, None, order.charge, order.currency);
        let mut view = Self { purpose: "top_up".to_owned(), ..bare };
        view.show(funding);
        Some(view)
    }

    fn bare(id: FundingId, contract_id: Option<ContractId>, charge: Minor, currency: ledger::Currency) -> Self {
        Self {
            id: id.to_string(),
            object: "funding".to_owned(),
            contract_id: contract_id.map(|id| id.to_string()),
            purpose: "escrow".to_owned(),
            status: "succeeded".to_owned(),
            paid_from: word(PaidFrom::Provider).to_owned(),
            amount: charge.get(),
            currency: currency.code().to_owned(),
            decimal: decimal(charge, currency),
            allocations: Vec::new(),
            deposit: None,
            initiation_fee: 0,
            tax: 0,
            surplus_to_wallet: 0,
            gratuity: None,
            expires_at: None,
            next_action: None,
            failure_code: None,
            refund_id: None,
            psp_fee: None,
            available_on: None,
        }
    }

    /// Adds how far it is.
    fn show(&mut self, funding: &Funding) {
        funding.state_name().clone_into(&mut self.status);
        match funding {
            Funding::NotCreated | Funding::GivenUp { .. } => {}
            Funding::Created { order, progress, .. } => match progress {
                Progress::Waiting => self.expires_at = order.expires_at,
                Progress::ActionRequired => {
                    self.expires_at = order.expires_at;
                    self.next_action = Some("confirm".to_owned());
                }
                Progress::Processing => {}
                Progress::Failed { code } => {
                    self.next_action = Some("use_another_payment_method".to_owned());
                    self.failure_code = Some(code.clone());
                }
            },
            Funding::Succeeded { cost, refund_id, .. } => {
                self.psp_fee = cost.as_ref().map(|cost| cost.fee.get());
                self.available_on = cost.as_ref().map(|cost| cost.available_on);
                self.refund_id = refund_id.map(|id| id.to_string());
            }
        }
    }
}

impl AllocationView {
    fn of(allocation: &Allocation) -> Self {
        Self {
            milestone_id: allocation.milestone_id.to_string(),
            amount: allocation.amount.get(),
            client_fee: allocation.client_fee.get(),
        }
    }
}

impl DepositView {
    fn of(deposit: Deposit) -> Self {
        Self { amount: deposit.amount.get(), client_fee: deposit.client_fee.get() }
    }
}

impl GratuityView {
    fn of(gratuity: &Gratuity) -> Self {
        Self {
            amount: gratuity.gross.get(),
            client_fee: gratuity.client_fee.get(),
            payee_fee: gratuity.payee_fee.get(),
            net: gratuity.net.get(),
        }
    }
}

/// What is charged beside the gift, the client's fee on top and what the provider cannot charge exactly, is tax.
fn tax_on_top(gratuity: &Gratuity, charge: Minor) -> i64 {
    let known = [gratuity.gross, gratuity.client_fee, gratuity.surplus_to_wallet];
    known.into_iter().fold(charge, Minor::saturating_sub).get()
}

fn word(paid_from: PaidFrom) -> &'static str {
    match paid_from {
        PaidFrom::Provider => "provider",
        PaidFrom::Wallet => "wallet",
    }
}
