//! Whatever happens to an escrow, in whatever order: it adds up, nothing is ever negative, the books say the same, no
//! card gets back more than it paid, and a repeat changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use std::collections::BTreeMap;

use domain::actor::{Actor, StaffRole, SystemPart};
use domain::escrow::{Escrow, EscrowCommand, EscrowEvent, PaidFrom, RefundReason, ReleaseReason};
use domain::event::DomainEvent;
use domain::fee::{Fee, FeeSchedule, RefundClientFee, TaxPoint};
use domain::id::{EventId, FundingId};
use domain::payee::{PayeeAccount, PayeeCommand, PayeeEvent};
use domain::policy::Policy;
use domain::refusal::Refusal;
use domain::rules::{Context, Rules};
use domain::wallet::WalletEvent;
use ledger::{Account, Currency, Floor, JournalEntry, Minor};
use money::*;
use proptest::prelude::*;

/// Something that somebody tries. Amounts are in thousandths of what is there, so that most of them are possible.
#[derive(Debug, Clone)]
enum Step {
    Fund { milestone: u128, amount: i64, deposit: i64, wallet: bool },
    Release { milestone: u128, share: i64 },
    Refund { milestone: Option<u128>, share: i64 },
    Reallocate { from: Option<u128>, to: u128, share: i64 },
    Dispute { milestone: u128, share: i64 },
    Lift { dispute: u128 },
    GiveBack { milestone: u128, share: i64 },
    Clear,
    Freeze,
    Unfreeze,
    ReachLimit { funding: u128 },
}

fn step() -> impl Strategy<Value = Step> {
    let milestone = 1..4_u128;
    let place = prop_oneof![3 => milestone.clone().prop_map(Some), 1 => Just(None)];
    let share = prop_oneof![2 => 1..1000_i64, 1 => Just(1000_i64)];
    prop_oneof![
        5 => (milestone.clone(), 1..200_000_i64, prop_oneof![2 => Just(0_i64), 1 => 1..50_000_i64], any::<bool>())
            .prop_map(|(milestone, amount, deposit, wallet)| Step::Fund { milestone, amount, deposit, wallet }),
        5 => (milestone.clone(), share.clone()).prop_map(|(milestone, share)| Step::Release { milestone, share }),
        4 => (place.clone(), share.clone()).prop_map(|(milestone, share)| Step::Refund { milestone, share }),
        3 => (place, milestone.clone(), share.clone()).prop_map(|(from, to, share)| Step::Reallocate { from, to, share }),
        2 => (milestone.clone(), share.clone()).prop_map(|(milestone, share)| Step::Dispute { milestone, share }),
        3 => (1..40_u128).prop_map(|dispute| Step::Lift { dispute }),
        3 => (milestone, share).prop_map(|(milestone, share)| Step::GiveBack { milestone, share }),
        2 => Just(Step::Clear),
        1 => Just(Step::Freeze),
        2 => Just(Step::Unfreeze),
        1 => (1..40_u128).prop_map(|funding| Step::ReachLimit { funding }),
    ]
}

fn schedule() -> impl Strategy<Value = FeeSchedule> {
    let hundredths = || prop_oneof![Just(0_u32), 1..3000_u32];
    (hundredths(), hundredths(), 0..1000_i64, any::<bool>(), any::<bool>(), 0..30_u32, 0..10_u32).prop_map(
        |(client, payee, initiation, kept, at_funding, tax, withholding)| {
            let percent = |hundredths: u32| percent(&format!("{}.{:02}", hundredths / 100, hundredths % 100));
            let mut schedule = FeeSchedule::two_sided();
            schedule.client_fee = Fee::percent(percent(client));
            schedule.payee_fee = Fee::percent(percent(payee));
            schedule.initiation_fee = minor(initiation);
            schedule.refund_client_fee = if kept { RefundClientFee::None } else { RefundClientFee::ProRata };
            schedule.tax.point = if at_funding { TaxPoint::Funding } else { TaxPoint::Release };
            schedule.tax.client = Some(party_tax("GB", &tax.to_string(), "0"));
            schedule.tax.payee = Some(party_tax("DE", &tax.to_string(), &withholding.to_string()));
            schedule
        },
    )
}

/// An escrow and its payee, the books beside them, and what a bystander has counted.
struct History {
    escrow: Escrow,
    payee: PayeeAccount,
    books: BTreeMap<(Account, String), i128>,
    /// Charged and sent back, by funding.
    cards: BTreeMap<FundingId, (i64, i64)>,
    number: u128,
    fundings: u128,
    currency: Currency,
}

fn context(actor: Actor) -> Context {
    Context { now: BEGIN.parse().unwrap(), actor }
}

const TIMER: Actor = Actor::System(SystemPart::Timer);

impl History {
    fn new(currency: Currency, schedule: FeeSchedule) -> Self {
        let desk = Desk::new(currency, schedule, Policy::default());
        Self {
            escrow: desk.escrow,
            payee: PayeeAccount::default(),
            books: BTreeMap::new(),
            cards: BTreeMap::new(),
            number: 0,
            fundings: 0,
            currency,
        }
    }

    fn held(&self, milestone: Option<u128>) -> i64 {
        let holdings = self.escrow.holdings().unwrap();
        match milestone {
            Some(number) => holdings.milestone(m(number)).map_or(0, |holding| holding.held.get()),
            None => holdings.unallocated_amount().get(),
        }
    }

    fn try_step(&mut self, step: &Step) {
        self.number += 1;
        let number = self.number;
        let of = |share: i64, whole: i64| minor((whole * share + 999) / 1000);
        let (actor, command) = match *step {
            Step::Fund { milestone, amount, deposit, wallet } => return self.fund(milestone, amount, deposit, wallet),
            Step::Clear => return self.clear(),
            Step::Release { milestone, share } => {
                let gross = of(share, self.held(Some(milestone)));
                let (release_id, milestone_id) = (release_id(number), m(milestone));
                (
                    Actor::Client(client()),
                    EscrowCommand::Release { release_id, milestone_id, gross, reason: ReleaseReason::Partial },
                )
            }
            Step::Refund { milestone, share } => {
                let amount = of(share, self.held(milestone));
                let (refund_id, milestone_id) = (r(number), milestone.map(m));
                let reason = RefundReason::Agreed;
                (TIMER, EscrowCommand::InitiateRefund { refund_id, milestone_id, amount, reason })
            }
            Step::Reallocate { from, to, share } => {
                let amount = of(share, self.held(from));
                let command = EscrowCommand::Reallocate {
                    reallocation_id: reallocation_id(number),
                    from: from.map(m),
                    to: m(to),
                    amount,
                    consent: vec![client(), payee()],
                };
                (Actor::Client(client()), command)
            }
            Step::Dispute { milestone, share } => {
                let amount = of(share, self.held(Some(milestone)));
                let command =
                    EscrowCommand::PlaceDisputeHold { dispute_id: d(number), milestone_id: m(milestone), amount };
                (Actor::Payee(payee()), command)
            }
            Step::Lift { dispute } => (TIMER, EscrowCommand::LiftDisputeHold { dispute_id: d(dispute) }),
            Step::GiveBack { milestone, share } => {
                let holding = self.escrow.holdings().unwrap().milestone(m(milestone));
                let rest = holding.map_or(0, |held| held.released.get() - held.given_back.gross.get());
                let command = EscrowCommand::ReturnRelease {
                    refund_id: r(number),
                    milestone_id: m(milestone),
                    gross: of(share, rest),
                    currency: None,
                };
                (Actor::Payee(payee()), command)
            }
            Step::Freeze => {
                let command = EscrowCommand::Freeze { reason: "court_order".to_owned(), legal_ref: None };
                (staff(StaffRole::Finance), command)
            }
            Step::Unfreeze => (staff(StaffRole::Finance), EscrowCommand::Unfreeze),
            Step::ReachLimit { funding } => (TIMER, EscrowCommand::ReachHoldLimit { funding_id: f(funding) }),
        };
        let _ = self.act(actor, &command);
    }

    fn fund(&mut self, milestone: u128, amount: i64, deposit: i64, wallet: bool) {
        self.fundings += 1;
        let funding_id = f(self.fundings);
        let request = EscrowCommand::RequestFunding {
            funding_id,
            allocations: vec![(m(milestone), minor(amount))],
            deposit: minor(deposit),
            currency: self.currency,
            paid_from: if wallet { PaidFrom::Wallet } else { PaidFrom::Provider },
            payment_method: "pm_1".to_owned(),
        };
        let requested = self.act(Actor::Client(client()), &request).unwrap().remove(0);
        let EscrowEvent::FundingRequested { allocations, deposit, initiation_fee, tax, charge: due, .. } = requested
        else {
            panic!("not requested")
        };
        self.cards.insert(funding_id, (due.get(), 0));
        let command = if wallet {
            let paid = WalletEvent::PaidEscrow {
                client_id: client(),
                contract_id: contract(),
                funding_id,
                currency: self.currency,
                amount: due,
                allocations: allocations.clone(),
                deposit,
                initiation_fee,
                tax: tax.clone(),
            };
            let entry = entry(&DomainEvent::Wallet(paid));
            let dims = entry.postings()[0].dimensions().clone();
            self.books.insert((Account::ClientWallet, format!("{dims:?}")), -1_000_000_000_000);
            self.book(&entry);
            let source_event_id = EventId::from_uuid(uuid(7));
            EscrowCommand::RecordWalletFunding {
                funding_id,
                allocations,
                deposit,
                initiation_fee,
                tax,
                source_event_id,
            }
        } else {
            EscrowCommand::RecordFunding {
                funding_id,
                place: platform(),
                charge: Some(charge(funding_id)),
                settled: None,
            }
        };
        let events = self.act(Actor::System(SystemPart::Psp), &command).unwrap();
        assert_eq!(events.len(), 1, "money that arrived is held");
    }

    /// Judges a command; accepted, it is remembered, booked and counted; and told again.
    fn act(&mut self, actor: Actor, command: &EscrowCommand) -> Result<Vec<EscrowEvent>, Refusal> {
        let events = match self.escrow.decide(command, &context(actor)) {
            Err(refusal) => {
                assert_ne!(refusal.code(), "internal_error", "{command:?}: {refusal}");
                return Err(refusal);
            }
            Ok(events) => events,
        };
        for event in &events {
            self.escrow.evolve(event);
            if let Some(entry) = DomainEvent::Escrow(event.clone()).journal_entry(date()).unwrap() {
                self.book(&entry);
            }
            self.follow(event);
        }
        if let Ok(more) = self.escrow.decide(command, &context(actor)) {
            assert_eq!(more, Vec::new(), "{command:?} twice");
        }
        self.check();
        Ok(events)
    }

    fn follow(&mut self, event: &EscrowEvent) {
        match event {
            EscrowEvent::Released { release_id, net, gross, clears_at, .. } => {
                assert!(net <= gross);
                self.payee.evolve(&PayeeEvent::EarningsCredited {
                    payee_id: payee(),
                    release_id: *release_id,
                    source_event_id: EventId::from_uuid(uuid(7)),
                    contract_id: contract(),
                    amount: *net,
                    currency: self.currency,
                    clears_at: *clears_at,
                });
            }
            EscrowEvent::ReleaseReturned {
                refund_id,
                gross,
                payee_fee,
                client_fee,
                payee_tax,
                client_tax,
                from_payee,
                parts,
                ..
            } => {
                self.count(parts);
                let grant = PayeeCommand::GrantRefund {
                    refund_id: *refund_id,
                    payee_id: payee(),
                    contract_id: contract(),
                    client_id: client(),
                    currency: self.currency,
                    gross: *gross,
                    payee_fee: *payee_fee,
                    client_fee: *client_fee,
                    payee_tax: payee_tax.clone(),
                    client_tax: client_tax.clone(),
                    from_payee: *from_payee,
                    parts: parts.clone(),
                };
                self.ask_payee(&grant);
            }
            EscrowEvent::RefundInitiated { parts, .. } => self.count(parts),
            _ => {}
        }
    }

    fn count(&mut self, parts: &[domain::escrow::RefundPart]) {
        for part in parts {
            self.cards.get_mut(&part.funding_id).unwrap().1 += part.amount.get();
        }
    }

    fn ask_payee(&mut self, command: &PayeeCommand) {
        for event in self.payee.decide(command, &context(TIMER)).unwrap() {
            self.payee.evolve(&event);
            if let Some(entry) = DomainEvent::Payee(event).journal_entry(date()).unwrap() {
                self.book(&entry);
            }
        }
        assert_eq!(self.payee.decide(command, &context(TIMER)), Ok(Vec::new()), "{command:?} twice");
    }

    fn clear(&mut self) {
        if let Some(release_id) = self.payee.pending.keys().next().copied() {
            self.ask_payee(&PayeeCommand::Clear { release_id });
        }
        self.check();
    }

    fn book(&mut self, entry: &JournalEntry) {
        for posting in entry.postings() {
            let key = (posting.account(), format!("{:?}", posting.dimensions()));
            *self.books.entry(key).or_default() += posting.signed();
        }
    }

    /// What an account has on its normal side, over all its dimensions that contain `about`.
    fn in_books(&self, account: Account, about: &str) -> i128 {
        let sum: i128 = self
            .books
            .iter()
            .filter(|((known, dims), _)| *known == account && dims.contains(about))
            .map(|(_, n)| n)
            .sum();
        if account.normal_side() == ledger::Side::Debit { sum } else { -sum }
    }

    fn check(&self) {
        for ((account, dims), net) in &self.books {
            let normal = if account.normal_side() == ledger::Side::Debit { *net } else { -net };
            assert!(account.floor() != Floor::NonNegative || normal >= 0, "{account} {dims}: {normal}");
        }
        let holdings = self.escrow.holdings().unwrap();
        assert!(holdings.is_conserved());
        for (id, holding) in &holdings.milestones {
            let id = id.to_string();
            let is = |account, amount: Minor| {
                assert_eq!(self.in_books(account, &id), i128::from(amount.get()), "{account} of {id}");
            };
            is(Account::EscrowHeld, holding.held);
            is(Account::EscrowDisputed, holding.disputed);
            is(Account::DeferredClientFee, holding.fees.deferred());
        }
        let all = |account| self.in_books(account, "");
        let is = |account, amount: Minor| assert_eq!(all(account), i128::from(amount.get()), "{account}");
        is(Account::EscrowUnallocated, holdings.unallocated_amount());
        is(Account::DeferredInitiationFee, holdings.contract_fees.initiation_fee_deferred());
        if holdings.fee_schedule.tax.point == TaxPoint::Release {
            is(Account::DeferredClientFeeTax, holdings.contract_fees.tax_deferred());
        }
        is(Account::PayeePending, self.payee.pending_total());
        is(Account::PayeeAvailable, self.payee.available);
        is(Account::ReceivableFromPayee, self.payee.debt_total());
        let sent_back: i64 = self.cards.values().map(|(_, back)| back).sum();
        assert_eq!(all(Account::RefundsInTransit), i128::from(sent_back));
        for (funding, (paid, back)) in &self.cards {
            assert!(back <= paid, "{funding} paid {paid} and gets {back}");
        }
    }

    /// Ends everything: what is locked is let go, what is held goes back.
    fn drain(&mut self) {
        let _ = self.act(staff(StaffRole::Finance), &EscrowCommand::Unfreeze);
        let disputes: Vec<_> = self.escrow.holdings().unwrap().disputes.keys().copied().collect();
        for dispute_id in disputes {
            self.act(TIMER, &EscrowCommand::LiftDisputeHold { dispute_id }).unwrap();
        }
        for milestone in 1..4 {
            if self.held(Some(milestone)) > 0 {
                self.try_step(&Step::Refund { milestone: Some(milestone), share: 1000 });
            }
        }
        self.act(TIMER, &EscrowCommand::Close).unwrap();
    }
}

/// Currencies with two decimals, none, three, and one that is charged in tens of its smallest unit.
fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec![Currency::USD, Currency::JPY, Currency::KWD, Currency::HUF])
}

fn date() -> chrono::NaiveDate {
    BEGIN.parse::<domain::time::Timestamp>().unwrap().date_naive()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// I4, I5, L4, L6: conservation, floors, and one disposition of each amount; every command twice.
    #[test]
    fn an_escrow_adds_up_whatever_happens(
        currency in currency(),
        schedule in schedule(),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut history = History::new(currency, schedule);
        for step in &steps {
            history.try_step(step);
        }
        history.drain();
        for account in [
            Account::EscrowHeld,
            Account::EscrowUnallocated,
            Account::EscrowDisputed,
            Account::DeferredClientFee,
            Account::DeferredClientFeeTax,
        ] {
            prop_assert_eq!(history.in_books(account, ""), 0, "{}", account);
        }
    }

    /// D-70: any partition of a release, by whatever fees, comes to the single release in every account.
    #[test]
    fn any_partition_of_a_release_is_the_release(
        currency in currency(),
        schedule in schedule(),
        // A part of a few cents has no room for fee, tax and withholding; the next one takes what it left (see `fee`).
        cuts in prop::collection::vec((1..1000_i64).prop_map(|hundreds| hundreds * 100), 0..6),
    ) {
        let released = |cuts: &[i64]| {
            let mut history = History::new(currency, schedule.clone());
            history.fund(1, 100_000, 0, false);
            let mut points = cuts.to_vec();
            points.push(100_000);
            points.sort_unstable();
            points.dedup();
            let mut before = 0;
            for (number, point) in (1..).zip(points) {
                let command = EscrowCommand::Release {
                    release_id: release_id(number),
                    milestone_id: m(1),
                    gross: minor(point - before),
                    reason: ReleaseReason::Partial,
                };
                history.act(TIMER, &command).unwrap();
                before = point;
            }
            history.books.into_iter().filter(|(_, net)| *net != 0).collect::<Vec<_>>()
        };
        prop_assert_eq!(released(&cuts), released(&[]));
    }

    /// D-70, D-78: any partition of a refund, of money that came with two cards, comes to the single refund in every
    /// account, the initiation fee and the taxes included; and no card gets back more than it paid.
    #[test]
    fn any_partition_of_a_refund_is_the_refund(
        currency in currency(),
        schedule in schedule(),
        second in 1..100_000_i64,
        released in 0..100_i64,
        cuts in prop::collection::vec(1..1000_i64, 0..6),
    ) {
        let refunded = |cuts: &[i64]| {
            let mut history = History::new(currency, schedule.clone());
            history.fund(1, 100_000, 0, false);
            history.fund(1, second, 0, false);
            if released > 0 {
                history.try_step(&Step::Release { milestone: 1, share: released });
            }
            let held = history.held(Some(1));
            let mut points: Vec<_> = cuts.iter().map(|thousandths| held * thousandths / 1000).collect();
            points.extend([0, held]);
            points.sort_unstable();
            points.dedup();
            for (number, part) in (1..).zip(points.windows(2)) {
                let command = EscrowCommand::InitiateRefund {
                    refund_id: r(number),
                    milestone_id: Some(m(1)),
                    amount: minor(part[1] - part[0]),
                    reason: RefundReason::Agreed,
                };
                history.act(TIMER, &command).unwrap();
            }
            // Each refund has its own name in 2260; what matters is how much goes back in all.
            let mut books = BTreeMap::<(Account, String), i128>::new();
            for ((account, dims), net) in &history.books {
                let dims = if *account == Account::RefundsInTransit { String::new() } else { dims.clone() };
                *books.entry((*account, dims)).or_default() += net;
            }
            books.retain(|_, net| *net != 0);
            books
        };
        prop_assert_eq!(refunded(&cuts), refunded(&[]));
    }
}
