//! Whatever an escrow is told, in whatever order: no money appears or is lost, and the books say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeMap;

use domain::actor::Actor;
use domain::escrow::{Escrow, EscrowCommand, EscrowEvent, PaidFrom, PspPlace, ReleaseReason, posting_rules};
use domain::id::{ContractId, FundingId, MilestoneId, PartyId, ReleaseId};
use domain::policy::{FeeSchedule, Policy};
use domain::refusal::Refusal;
use domain::rules::{Context, Rules};
use ledger::{Account, Currency, DimensionKey, JournalEntry};
use proptest::prelude::*;
use support::{BEGIN, id, minor};

const MILESTONES: usize = 3;

/// What somebody wants of the escrow.
#[derive(Debug, Clone)]
enum Wish {
    /// Pay this much for each milestone; nothing for those at zero.
    Request([i64; MILESTONES]),
    /// The money of one of the fundings has arrived.
    Record(prop::sample::Index),
    /// Release so many thousandths of what is held; above 1,000 it is more.
    Release(usize, i64),
    Close,
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        3 => prop::array::uniform3(prop_oneof![Just(0_i64), 1_i64..2_000_000]).prop_map(Wish::Request),
        4 => any::<prop::sample::Index>().prop_map(Wish::Record),
        6 => (0..MILESTONES, 1_i64..1200).prop_map(|(milestone, part)| Wish::Release(milestone, part)),
        1 => Just(Wish::Close),
    ]
}

/// An escrow, and the entries that its events carry.
struct Told {
    escrow: Escrow,
    entries: Vec<JournalEntry>,
    fundings: Vec<FundingId>,
    releases: u128,
    currency: Currency,
}

fn milestone(number: usize) -> MilestoneId {
    MilestoneId::from_uuid(id(10 + number as u128))
}

impl Told {
    fn opened(currency: Currency) -> Self {
        let mut told =
            Self { escrow: Escrow::default(), entries: Vec::new(), fundings: Vec::new(), releases: 0, currency };
        let open = EscrowCommand::Open {
            contract_id: ContractId::from_uuid(id(3)),
            client_id: PartyId::from_uuid(id(1)),
            payee_id: PartyId::from_uuid(id(2)),
            currency,
            fee_schedule: FeeSchedule::two_sided(),
            policy: Policy::default(),
        };
        told.tell(&open).unwrap();
        told
    }

    fn tell(&mut self, command: &EscrowCommand) -> Result<Vec<EscrowEvent>, Refusal> {
        let context = Context { now: BEGIN.parse().unwrap(), actor: Actor::Client(PartyId::from_uuid(id(1))) };
        let events = self.escrow.decide(command, &context)?;
        for event in &events {
            self.entries.extend(posting_rules::journal_entry(event, context.now.date_naive()).unwrap());
            self.escrow.evolve(event);
        }
        Ok(events)
    }

    fn carry_out(&mut self, wish: &Wish) -> Result<Vec<EscrowEvent>, Refusal> {
        match wish {
            Wish::Request(amounts) => {
                let funding_id = FundingId::from_uuid(id(1000 + self.fundings.len() as u128));
                let wanted = amounts.iter().enumerate().filter(|(_, amount)| **amount > 0);
                let allocations = wanted.map(|(number, amount)| (milestone(number), minor(*amount))).collect();
                let (currency, payment_method) = (self.currency, "pm_card_visa".to_owned());
                self.fundings.push(funding_id);
                self.tell(&EscrowCommand::RequestFunding {
                    funding_id,
                    allocations,
                    deposit: minor(0),
                    currency,
                    paid_from: PaidFrom::Provider,
                    payment_method,
                })
            }
            Wish::Record(_) if self.fundings.is_empty() => Ok(Vec::new()),
            Wish::Record(index) => {
                let place = PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() };
                self.tell(&EscrowCommand::RecordFunding {
                    funding_id: *index.get(&self.fundings),
                    place,
                    charge: None,
                    settled: None,
                })
            }
            Wish::Release(number, part) => {
                let holding = self.escrow.holdings().and_then(|known| known.milestones.get(&milestone(*number)));
                let gross = holding.map_or(1, |holding| (holding.held.get() * part / 1000).max(1));
                self.releases += 1;
                self.tell(&EscrowCommand::Release {
                    release_id: ReleaseId::from_uuid(id(5000 + self.releases)),
                    milestone_id: milestone(*number),
                    gross: minor(gross),
                    reason: ReleaseReason::Approved,
                })
            }
            Wish::Close => self.tell(&EscrowCommand::Close),
        }
    }

    /// Net of an account by milestone, credits positive.
    fn owed(&self, account: Account) -> BTreeMap<String, i128> {
        let mut nets = BTreeMap::new();
        for posting in self.entries.iter().flat_map(JournalEntry::postings).filter(|line| line.account() == account) {
            let milestone = posting.dimensions().get(DimensionKey::Milestone).unwrap().to_owned();
            *nets.entry(milestone).or_default() -= posting.signed();
        }
        nets
    }
}

proptest! {
    /// I4, L1, L4, L6: per milestone, what came in is held or gone, no term is below zero, the lots are what is held;
    /// per funding, what is charged is what is held and its fees; the books have the same amounts, none below its floor.
    #[test]
    fn money_is_neither_made_nor_lost(
        wishes in prop::collection::vec(wish(), 1..40),
        currency in prop::sample::select(vec![Currency::USD, Currency::JPY, Currency::KWD, Currency::HUF]),
    ) {
        let mut told = Told::opened(currency);
        for wish in &wishes {
            let before = (told.escrow.clone(), told.entries.len());
            let events = match told.carry_out(wish) {
                Ok(events) => events,
                Err(refusal) => {
                    prop_assert!(!matches!(refusal, Refusal::Defect(_)), "{wish:?}: {refusal}");
                    prop_assert_eq!((&told.escrow, told.entries.len()), (&before.0, before.1));
                    continue;
                }
            };
            for event in &events {
                if let EscrowEvent::FundingRequested { allocations, client_fee, surplus_to_wallet, charge, .. } = event {
                    let parts = allocations.iter().map(|part| part.amount).chain([*client_fee, *surplus_to_wallet]);
                    prop_assert_eq!(ledger::Minor::sum(parts), Ok(*charge));
                    prop_assert_eq!(charge.get() % currency.charge_quantum(), 0);
                }
            }
            let (held, deferred) = (told.owed(Account::EscrowHeld), told.owed(Account::DeferredClientFee));
            let mut seen = 0;
            for (milestone, holding) in &told.escrow.holdings().unwrap().milestones {
                let terms = [
                    holding.held, holding.disputed, holding.released, holding.refunded, holding.lost, holding.moved_out,
                ];
                prop_assert!(terms.iter().all(|term| term.get() >= 0));
                let gone: i64 = terms.iter().map(|term| term.get()).sum();
                prop_assert_eq!(holding.funded.get() + holding.moved_in.get(), gone, "{}", milestone);
                let lots: i64 = holding.lots.iter().map(|lot| lot.remaining().get()).sum();
                prop_assert_eq!(lots, holding.held.get() + holding.disputed.get());
                prop_assert!(holding.is_conserved());
                let key = milestone.to_string();
                let fee = holding.fees.client_fee.get() - holding.client_fee_earned.get();
                prop_assert_eq!(held.get(&key).copied().unwrap_or(0), i128::from(holding.held.get()));
                prop_assert_eq!(deferred.get(&key).copied().unwrap_or(0), i128::from(fee));
                prop_assert!(fee >= 0 && (fee == 0 || holding.held.get() > 0), "the last release closes the fee");
                seen += 1;
            }
            prop_assert!(held.len() <= seen && deferred.len() <= seen);
        }
        let mut books = ledger::TrialBalance::new();
        told.entries.iter().for_each(|entry| books.add(entry));
        prop_assert!(books.is_balanced());
    }
}

/// I4 can be seen to fail: a holding that has lost a unit is not conserved.
#[test]
fn a_unit_that_is_missing_is_seen() {
    let mut told = Told::opened(Currency::USD);
    told.carry_out(&Wish::Request([100_000, 0, 0])).unwrap();
    let funding_id = told.fundings[0];
    let place = PspPlace { psp: "stripe".to_owned(), psp_account: "platform".to_owned() };
    told.tell(&EscrowCommand::RecordFunding { funding_id, place, charge: None, settled: None }).unwrap();
    let whole = told.escrow.holdings().unwrap().milestones[&milestone(0)].clone();
    assert!(whole.is_conserved());
    let mut less = whole.clone();
    less.held = minor(99_999);
    assert!(!less.is_conserved(), "held");
    let mut lot = whole.clone();
    lot.lots[0].amount = minor(99_999);
    assert!(!lot.is_conserved(), "lots");
    let mut fee = whole;
    fee.fees.client_fee_gone = minor(5001);
    assert!(!fee.is_conserved(), "fee");
}
