//! The work that is measured: contracts from draft to completion, command by command.
//!
//! # Invariants
//! - Every caller has contracts and parties of its own: nothing conflicts. (Contention is measured elsewhere.)
//! - Commands come one after another within a contract, as they do in life.
//! - Ids are time-ordered for what is new and derived for what follows, as the API makes them.

use chrono::{DateTime, Utc};
use domain::actor::{Actor, SystemPart};
use domain::contract::MilestonePlan;
use domain::id::{ContractId, FundingId, MilestoneId, PartyId};
use domain::intent::Intent;
use domain::party::PayoutAccount;
use domain::policy::{FeeSchedule, Policy};
use domain::ports::provider::{PaymentReport, PaymentStatus, ProviderReport, Receipt};
use domain::process;
use ledger::{Currency, Minor};
use uuid::Uuid;

use crate::BenchError;

/// Milestones of each contract.
const MILESTONES: i64 = 3;

/// Commands that take a contract from draft to completion: draft, offer, accept, fund; the payment linked, succeeded, its
/// cost, its availability; and for each milestone delivery and approval.
pub const COMMANDS_PER_CONTRACT: usize = 14;

/// What a milestone is worth, minor units.
const MILESTONE_MINOR: i64 = 100_000;

/// What the client pays for all of them, with the fee of 5%.
const CHARGE_MINOR: i64 = MILESTONES * MILESTONE_MINOR * 105 / 100;

/// What the provider keeps: 2.9% and 30.
const COST_MINOR: i64 = CHARGE_MINOR * 29 / 1000 + 30;

/// One command.
#[derive(Debug, Clone)]
pub struct Command {
    /// What is wanted.
    pub intent: Intent,
    /// By whom.
    pub actor: Actor,
    /// Its identity.
    pub command_id: Uuid,
    /// Whether a person waits for an answer, which is stored with the command.
    pub answered: bool,
}

impl Command {
    fn of(actor: Actor, intent: Intent) -> Self {
        // As the API makes them: from the caller's key, so without an order in time.
        let command_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, Uuid::now_v7().as_bytes());
        Self { intent, actor, command_id, answered: true }
    }
}

/// A client and a payee, who make contracts one after another.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    client: PartyId,
    payee: PartyId,
}

impl Pair {
    /// Two new parties.
    pub fn new() -> Self {
        Self { client: PartyId::from_uuid(Uuid::now_v7()), payee: PartyId::from_uuid(Uuid::now_v7()) }
    }

    /// What makes them known. Not measured.
    pub fn registration(&self) -> Vec<Command> {
        let system = Actor::System(SystemPart::Psp);
        let account =
            PayoutAccount { psp: "stripe".to_owned(), psp_account: format!("acct_{}", Uuid::now_v7().simple()) };
        vec![
            Command::of(system, Intent::RegisterParty { party_id: self.client }),
            Command::of(system, Intent::RegisterParty { party_id: self.payee }),
            Command::of(
                Actor::Payee(self.payee),
                Intent::LinkPayoutAccount { party_id: self.payee, account, status: None },
            ),
        ]
    }

    /// The commands of one contract, [`COMMANDS_PER_CONTRACT`] of them.
    ///
    /// # Errors
    /// Never, as long as the amounts above are amounts.
    pub fn contract(&self, now: DateTime<Utc>) -> Result<Vec<Command>, BenchError> {
        let (client, payee) = (Actor::Client(self.client), Actor::Payee(self.payee));
        let contract_id = ContractId::from_uuid(Uuid::now_v7());
        let funding_id = FundingId::from_uuid(Uuid::now_v7());
        let amount = Minor::new(MILESTONE_MINOR)?;
        let milestones: Vec<MilestoneId> = (0..MILESTONES).map(|_| MilestoneId::from_uuid(Uuid::now_v7())).collect();
        let plan = |milestone_id: &MilestoneId| MilestonePlan {
            milestone_id: *milestone_id,
            amount,
            due_at: None,
            review_days: None,
            reference: None,
        };
        let draft = Intent::DraftContract {
            contract_id,
            client_id: self.client,
            payee_id: self.payee,
            currency: Currency::USD,
            milestones: milestones.iter().map(plan).collect(),
            reference: None,
        };
        let offer =
            Intent::OfferContract { contract_id, fee_schedule: FeeSchedule::two_sided(), policy: Policy::default() };
        let fund = Intent::FundMilestones {
            contract_id,
            funding_id,
            allocations: milestones.iter().map(|id| (*id, amount)).collect(),
            currency: Currency::USD,
            payment_method: "pm_card_visa".to_owned(),
        };
        let mut commands = vec![
            Command::of(client, draft),
            Command::of(client, offer),
            Command::of(payee, Intent::AcceptContract { contract_id }),
            Command::of(client, fund),
        ];
        commands.extend(payment(funding_id, now)?);
        for milestone_id in milestones {
            commands.push(Command::of(payee, Intent::SubmitWork { milestone_id }));
            commands.push(Command::of(client, Intent::ApproveMilestone { milestone_id, amount: None, currency: None }));
        }
        Ok(commands)
    }
}

/// What the payment provider tells of a card payment: that it succeeded, later that the money is there.
fn payment(funding_id: FundingId, now: DateTime<Utc>) -> Result<Vec<Command>, BenchError> {
    let payment_ref = format!("pi_{}", Uuid::now_v7().simple());
    let charge_ref = format!("ch_{}", Uuid::now_v7().simple());
    let balance_transaction_ref = format!("txn_{}", Uuid::now_v7().simple());
    let report = |available: bool| -> Result<ProviderReport, BenchError> {
        Ok(ProviderReport::Payment(PaymentReport {
            payment_ref: payment_ref.clone(),
            funding_id: Some(funding_id),
            status: PaymentStatus::Succeeded {
                charge_ref: charge_ref.clone(),
                captured: Minor::new(CHARGE_MINOR)?,
                currency: Currency::USD,
                collected_at: now,
                receipt: Some(Receipt {
                    balance_transaction_ref: balance_transaction_ref.clone(),
                    fee: Minor::new(COST_MINOR)?,
                    net: Minor::new(CHARGE_MINOR - COST_MINOR)?,
                    currency: Currency::USD,
                    booked_on: now.date_naive(),
                    available_on: now,
                    available,
                }),
            },
        }))
    };
    let mut facts = process::facts(&report(false)?);
    for fact in process::facts(&report(true)?) {
        if facts.iter().all(|known| known.command_id != fact.command_id) {
            facts.push(fact);
        }
    }
    let told = facts.into_iter().map(|fact| Command {
        intent: Intent::Fact(fact.command),
        actor: Actor::System(SystemPart::Psp),
        command_id: fact.command_id,
        answered: false,
    });
    Ok(told.collect())
}
