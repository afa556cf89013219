//! Whatever banks, parties and the provider do, in any order.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::escrow::PaidFrom;
use domain::fee::FeeSchedule;
use domain::id::{FundingId, PayoutId, RefundId};
use domain::intent::{Intent, MoneyIntent};
use domain::milestone::{MilestoneCommand as M, Remainder};
use domain::payout::PayoutCommand;
use domain::policy::{Liability, Policy};
use domain::ports::provider::{DisputeStatus, FraudWarningReport, PaymentReport, PaymentStatus, ProviderReport};
use domain::refund::{Refund, RefundCommand};
use domain::refusal::Refusal;
use ledger::Currency;
use proptest::prelude::*;

use super::bank::{Dispute, booked_on, clear, earnings, milestone, pay_out, taxed, tell};
use super::ledgers::{at_provider, check};
use super::money::world::World;
use super::money::{contract, d, f, m, minor, payee, r, uuid};

const MILESTONES: u128 = 2;

/// Something that somebody does.
#[derive(Debug, Clone)]
enum Act {
    OnMilestone(u128, bool, M),
    /// The client pays what a milestone lacks, and the provider collects it.
    Pay(u128),
    PayOut,
    /// The payee withdraws; the bank does not have it yet.
    PayoutBegins,
    GiveBack(u128, i64),
    /// The provider has sent back what is on its way.
    RefundsArrive,
    /// It refuses what is on its way, with that code.
    RefundsRefused(&'static str),
    /// What is on its way does not arrive, and what had arrived comes back.
    RefundsFail,
    /// The client wants what waits in the wallet.
    Redirect,
    /// A bank returns the newest payout, or it fails.
    PayoutFails,
    /// A network warns that the payment of that number may be fraud.
    Warn(usize),
    /// A bank begins to disagree with the payment of that number, about that percentage of it.
    Dispute(usize, i64),
    /// The provider tells the newest dispute again, with more.
    Withdraw(i64),
    Reinstate(i64),
    Status(DisputeStatus),
    /// A bank returns a payment.
    Return(usize),
    Resume(u128),
}

fn on_milestone() -> impl Strategy<Value = (bool, M)> {
    let keep = Remainder::Keep;
    prop_oneof![
        3 => Just((false, M::SubmitWork)),
        2 => Just((true, M::Approve { amount: None, currency: None })),
        3 => (1_i64..60_000).prop_map(move |gross| (true, M::ApprovePartially { gross: minor(gross), currency: None, remainder: keep })),
        2 => (1_i64..60_000).prop_map(|amount| (false, M::GrantRefund { amount: Some(minor(amount)), currency: None })),
        1 => Just((true, M::RequestRefund { amount: None, currency: None })),
        1 => Just((false, M::AcceptRefund)),
        1 => (1_u128..6).prop_map(|number| (true, M::OpenDispute { dispute_id: d(number) })),
        1 => Just((true, M::Cancel)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let status = prop_oneof![
        1 => Just(DisputeStatus::WarningNeedsResponse),
        1 => Just(DisputeStatus::WarningClosed),
        1 => Just(DisputeStatus::NeedsResponse),
        1 => Just(DisputeStatus::UnderReview),
        3 => Just(DisputeStatus::Won),
        3 => Just(DisputeStatus::Lost),
    ];
    prop_oneof![
        8 => (1..=MILESTONES, on_milestone()).prop_map(|(number, (client, command))| Act::OnMilestone(number, client, command)),
        3 => (1..=MILESTONES).prop_map(Act::Pay),
        2 => Just(Act::PayOut),
        1 => (1..=MILESTONES, 1_i64..40_000).prop_map(|(number, amount)| Act::GiveBack(number, amount)),
        1 => Just(Act::RefundsArrive),
        2 => prop_oneof![Just("charge_disputed"), Just("declined"), Just("charge_already_refunded")]
            .prop_map(Act::RefundsRefused),
        1 => Just(Act::RefundsFail),
        1 => Just(Act::Redirect),
        1 => Just(Act::PayoutBegins),
        2 => Just(Act::PayoutFails),
        1 => (0_usize..3).prop_map(Act::Warn),
        4 => (0_usize..3, prop_oneof![3 => Just(100_i64), 2 => 1_i64..130]).prop_map(|(which, share)| Act::Dispute(which, share)),
        5 => prop_oneof![3 => Just(100_i64), 2 => 1_i64..130].prop_map(Act::Withdraw),
        3 => prop_oneof![3 => Just(100_i64), 2 => 1_i64..130].prop_map(Act::Reinstate),
        6 => status.prop_map(Act::Status),
        1 => (0_usize..3).prop_map(Act::Return),
        1 => (1..=MILESTONES).prop_map(Act::Resume),
    ]
}

/// A world, its payments and its banks; and what the provider's balance must be.
struct Play {
    world: World,
    payments: Vec<(FundingId, i64)>,
    disputes: Vec<Dispute>,
    payouts: Vec<PayoutId>,
    returned: Vec<FundingId>,
    cash: i128,
    numbers: u128,
}

impl Play {
    fn new(schedule: FeeSchedule, liability: Liability) -> Self {
        let policy = Policy { chargeback_liability: liability, ..Policy::default() };
        let world = World::new().accepted(&[60_000, 40_000], schedule, policy);
        let mut play = Self {
            world,
            payments: Vec::new(),
            disputes: Vec::new(),
            payouts: Vec::new(),
            returned: Vec::new(),
            cash: 0,
            numbers: 0,
        };
        // One payment for both, and a deposit.
        let pay_in = MoneyIntent::PayIn {
            contract_id: contract(),
            funding_id: f(50),
            allocations: vec![(m(1), minor(60_000)), (m(2), minor(40_000))],
            deposit: minor(7001),
            currency: Currency::USD,
            paid_from: PaidFrom::Provider,
            payment_method: "pm_1".to_owned(),
        };
        play.world.by_client(Intent::Money(pay_in)).unwrap();
        play.collected(f(50));
        play
    }

    fn collected(&mut self, funding: FundingId) {
        let before = at_provider(&self.world);
        self.world.succeed(funding).unwrap();
        let amount = i64::try_from(at_provider(&self.world) - before).unwrap();
        self.cash += i128::from(amount);
        self.payments.push((funding, amount));
    }

    fn number(&mut self) -> u128 {
        self.numbers += 1;
        self.numbers
    }

    fn act(&mut self, act: &Act) -> Result<(), Refusal> {
        match act {
            Act::OnMilestone(number, client, command) => {
                let intent = Intent::OnMilestone { milestone_id: m(*number), command: command.clone() };
                if *client { self.world.by_client(intent) } else { self.world.by_payee(intent) }.map(|_| ())
            }
            Act::Pay(number) => {
                let milestone = milestone(&self.world, *number);
                let Some(progress) = milestone.progress() else { return Ok(()) };
                let (missing, funding) = (progress.missing().get(), f(60 + self.number()));
                let pay_in = MoneyIntent::PayIn {
                    contract_id: contract(),
                    funding_id: funding,
                    allocations: vec![(m(*number), minor(missing.max(1)))],
                    deposit: minor(0),
                    currency: Currency::USD,
                    paid_from: PaidFrom::Provider,
                    payment_method: "pm_1".to_owned(),
                };
                self.world.by_client(Intent::Money(pay_in))?;
                self.collected(funding);
                Ok(())
            }
            Act::Warn(which) => {
                let Some((funding, _)) = self.payments.get(*which).copied() else { return Ok(()) };
                let (warning_ref, charge_ref) = (format!("issfr_{funding}"), format!("ch_{funding}"));
                let warning = FraudWarningReport { warning_ref, funding_id: Some(funding), charge_ref };
                tell(&mut self.world, &ProviderReport::FraudWarning(warning)).unwrap();
                Ok(())
            }
            Act::PayOut => {
                clear(&mut self.world);
                let available = earnings(&self.world).available.get();
                let number = self.number();
                pay_out(&mut self.world, number, available)?;
                self.payouts.push(PayoutId::from_uuid(uuid(9000 + number)));
                self.cash -= i128::from(available);
                Ok(())
            }
            Act::GiveBack(number, amount) => {
                let refund_id = r(700 + self.number());
                let (contract_id, milestone_id) = (contract(), m(*number));
                let amount = minor(*amount);
                let give = MoneyIntent::GiveBack { contract_id, milestone_id, refund_id, amount, currency: None };
                self.world.by_payee(Intent::Money(give)).map(|_| ())
            }
            Act::RefundsArrive => {
                self.refunds_arrive();
                Ok(())
            }
            Act::RefundsRefused(code) => {
                for id in self.refunds() {
                    let refused = RefundCommand::RecordRefused { code: (*code).to_owned() };
                    self.world.fact(Command::Refund(id, refused)).unwrap();
                }
                Ok(())
            }
            Act::RefundsFail => {
                let before = at_provider(&self.world);
                for id in self.refunds() {
                    let failed = RefundCommand::RecordFailed { code: "declined".to_owned(), came_back: None };
                    self.world.fact(Command::Refund(id, failed)).unwrap();
                }
                self.cash += at_provider(&self.world) - before;
                Ok(())
            }
            Act::Redirect => {
                for refund_id in self.refunds() {
                    self.world.by_client(Intent::Money(MoneyIntent::RedirectRefund { refund_id }))?;
                }
                Ok(())
            }
            Act::PayoutBegins => {
                clear(&mut self.world);
                let (available, number) = (earnings(&self.world).available, self.number());
                let payout_id = PayoutId::from_uuid(uuid(9000 + number));
                let (payee_id, currency) = (payee(), Currency::USD);
                self.world.by_payee(Intent::RequestPayout { payout_id, payee_id, currency, amount: available })?;
                self.payouts.push(payout_id);
                Ok(())
            }
            Act::PayoutFails => {
                let Some(payout_id) = self.payouts.pop() else { return Ok(()) };
                let before = at_provider(&self.world);
                let failed = PayoutCommand::RecordFailed { code: "account_closed".to_owned() };
                self.world.fact(Command::Payout(payout_id, failed)).unwrap();
                self.cash += at_provider(&self.world) - before;
                Ok(())
            }
            Act::Dispute(which, share) => {
                let Some((funding, amount)) = self.payments.get(*which).copied() else { return Ok(()) };
                let reference = format!("dp_{}", self.number());
                let dispute = Dispute::of(funding, &reference, (amount * share / 100).max(1));
                dispute.told(&mut self.world).unwrap();
                self.disputes.push(dispute);
                Ok(())
            }
            Act::Withdraw(share) => {
                let Some(dispute) = self.disputes.last_mut() else { return Ok(()) };
                let amount = (dispute.report.amount.get() * share / 100).max(1);
                dispute.withdraws(amount).told(&mut self.world).unwrap();
                self.cash -= i128::from(amount) + 1500;
                Ok(())
            }
            Act::Reinstate(share) => {
                let Some(dispute) = self.disputes.last_mut() else { return Ok(()) };
                let amount = (dispute.report.amount.get() * share / 100).max(1);
                dispute.reinstates(amount).told(&mut self.world).unwrap();
                self.cash += i128::from(amount);
                Ok(())
            }
            Act::Status(status) => {
                let Some(dispute) = self.disputes.last_mut() else { return Ok(()) };
                dispute.is(*status).told(&mut self.world).unwrap();
                Ok(())
            }
            Act::Return(which) => {
                let Some((funding, amount)) = self.payments.get(*which).copied() else { return Ok(()) };
                if self.returned.contains(&funding) {
                    return Ok(());
                }
                let status = PaymentStatus::Returned {
                    amount: minor(amount),
                    currency: Currency::USD,
                    balance_transaction_ref: format!("txn_{funding}"),
                    booked_on: booked_on(),
                    code: "insufficient_funds".to_owned(),
                    settled: None,
                    collected: None,
                };
                let report = PaymentReport { payment_ref: format!("pi_{funding}"), funding_id: Some(funding), status };
                tell(&mut self.world, &ProviderReport::Payment(report)).unwrap();
                self.returned.push(funding);
                self.cash -= i128::from(amount);
                Ok(())
            }
            Act::Resume(number) => match milestone(&self.world, *number) {
                domain::milestone::Milestone::Disputed { dispute_id, .. } => {
                    let resume = M::ResumeAfterDispute { dispute_id };
                    self.world.fact(domain::command::Command::Milestone(m(*number), resume)).unwrap();
                    Ok(())
                }
                _ => Ok(()),
            },
        }
    }

    /// Every refund that was asked for.
    fn refunds(&self) -> Vec<RefundId> {
        let requested = self.world.log.iter().filter(|event| event.event_type == "refund.requested");
        let ids = requested.map(|event| event.stream.aggregate_id.parse().unwrap());
        ids.collect::<BTreeSet<RefundId>>().into_iter().collect()
    }

    fn refunds_arrive(&mut self) {
        let before = at_provider(&self.world);
        let mut sent = 0;
        for id in self.refunds() {
            let AggregateState::Refund(refund) = self.world.state(&domain::refund::stream(id)) else { panic!() };
            // What the provider has refused it does not send.
            if matches!(refund.as_ref(), Refund::Redirected { .. } | Refund::RequiresManual { .. }) {
                continue;
            }
            let amount = refund.order().unwrap().amount;
            let succeeded = RefundCommand::RecordSucceeded {
                refund_ref: "re_1".to_owned(),
                balance_transaction_ref: None,
                taken: None,
            };
            if !self.world.fact(Command::Refund(id, succeeded)).unwrap().is_empty() {
                sent += i128::from(amount.get());
            }
        }
        assert_eq!(at_provider(&self.world), before - sent);
        self.cash -= sent;
    }

    fn check(&self) {
        check(&self.world);
        assert_eq!(at_provider(&self.world), self.cash, "the books are the provider's balance");
        let blocked = self.world.log.iter().find(|event| event.event_type.ends_with("timer_blocked"));
        assert_eq!(blocked, None, "time is never refused");
        // Of no payment more went back than came with it.
        for (id, funding) in &super::bank::holdings(&self.world).fundings {
            assert!(funding.sent_back <= funding.paid, "{id}: {funding:?}");
        }
    }
}

/// I4: a bank takes a third of a payment, then returns all of it, wins, and takes more: of a loss that nothing held is left for,
/// no tax is lost.
#[test]
fn a_loss_of_nothing_held_takes_no_rounded_tax() {
    let mut play = Play::new(taxed(), Liability::Payee);
    let lost = Act::Status(DisputeStatus::Lost);
    for act in [Act::Dispute(0, 34), Act::Withdraw(100), Act::Return(0), lost, Act::Withdraw(100)] {
        play.act(&act).unwrap();
        play.check();
    }
}

proptest! {
    // Each history has up to sixty acts, with a check of everything after each.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// I4, I5: nothing is negative, every entry balances, the aggregates say what the books say, the provider's balance is
    /// that of the books; no report of the provider is refused, and no refusal is a defect.
    #[test]
    fn money_agrees_whatever_banks_do(
        vat in any::<bool>(),
        platform in any::<bool>(),
        acts in prop::collection::vec((0_i64..(4 * 24 * 60), act()), 1..60),
    ) {
        let schedule = if vat { taxed() } else { FeeSchedule::two_sided() };
        let mut play = Play::new(schedule, if platform { Liability::Platform } else { Liability::Payee });
        for (minutes, act) in &acts {
            play.world.now += TimeDelta::minutes(*minutes);
            clear(&mut play.world);
            if let Err(refusal) = play.act(act) {
                prop_assert_ne!(refusal.code(), "internal_error", "{:?}: {}", act, refusal);
            }
            play.check();
        }
        play.world.now += TimeDelta::days(400);
        play.world.wake();
        clear(&mut play.world);
        play.refunds_arrive();
        play.check();
    }

    /// L10: earnings clear when they are due, however late the scheduler is: whatever happens meanwhile, the payee ends with
    /// the same, and so do the books.
    #[test]
    fn a_late_scheduler_changes_nothing_for_the_payee(
        acts in prop::collection::vec((0_i64..(4 * 24 * 60), act()), 1..40),
    ) {
        let new = || Play::new(FeeSchedule::two_sided(), Liability::Payee);
        let (mut punctual, mut late) = (new(), new());
        for (minutes, act) in &acts {
            for play in [&mut punctual, &mut late] {
                play.world.now += TimeDelta::minutes(*minutes);
            }
            clear(&mut punctual.world);
            let code = |judged: Result<(), Refusal>| judged.map_err(|refusal| refusal.code());
            prop_assert_eq!(code(punctual.act(act)), code(late.act(act)), "{:?}", act);
        }
        for play in [&mut punctual, &mut late] {
            play.world.now += TimeDelta::days(400);
            play.world.wake();
            clear(&mut play.world);
            play.check();
        }
        prop_assert_eq!(earnings(&punctual.world), earnings(&late.world));
        prop_assert_eq!(punctual.world.balance(), late.world.balance());
    }
}
