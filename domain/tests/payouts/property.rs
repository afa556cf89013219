//! Whatever happens to payouts, in whatever order: nobody has less than nothing, the books are the provider's, and nothing
//! is paid twice.

use chrono::TimeDelta;
use domain::intent::Intent;
use domain::party::{AccountEnd, PayoutAccount};
use domain::ports::provider::BankPayoutStatus;
use proptest::prelude::*;

use super::desk::Desk;
use super::money::payee;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// The payee asks for a part of what the contract was worth, per mille.
    Request(u16),
    /// The payee makes a payout again.
    Retry(u16),
    /// The bank pays one.
    Pay(u16),
    /// The bank does not, or sends it back; so that the bank account is blocked, or not.
    Fail(u16, bool),
    /// The worker carries out what is ordered.
    Work,
    /// The money of the second payment arrives.
    Receive,
    /// The account is closed.
    Close,
    /// Another account is linked.
    Link(u8),
    /// The provider refuses reversals, or takes them again.
    Refuse(bool),
    /// The provider tells of another bank account.
    Change,
    /// Hours pass.
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u16..600).prop_map(Step::Request),
        3 => any::<u16>().prop_map(Step::Retry),
        4 => any::<u16>().prop_map(Step::Pay),
        4 => (any::<u16>(), any::<bool>()).prop_map(|(which, blocks)| Step::Fail(which, blocks)),
        6 => Just(Step::Work),
        1 => Just(Step::Receive),
        1 => Just(Step::Close),
        3 => (0_u8..3).prop_map(Step::Link),
        1 => any::<bool>().prop_map(Step::Refuse),
        2 => Just(Step::Change),
        4 => (1_u8..150).prop_map(Step::Wait),
    ]
}

/// What was paid to banks, and did not come back.
fn at_banks(desk: &Desk) -> i64 {
    let paid = desk.provider.bank_payouts.values().filter(|payout| payout.status == BankPayoutStatus::Paid);
    paid.map(|payout| payout.amount).sum()
}

struct Story {
    desk: Desk,
    asked: u128,
    received: bool,
}

impl Story {
    fn pick(&self, which: u16) -> Option<u128> {
        (self.asked > 0).then(|| 1 + u128::from(which) % self.asked)
    }

    fn go(&mut self, step: &Step) {
        let desk = &mut self.desk;
        match step {
            Step::Request(share) => {
                self.asked += 1;
                // Refused or not.
                let _ = desk.request(self.asked, i64::from(*share) * 150);
            }
            Step::Retry(which) => {
                if let Some(of) = self.pick(*which) {
                    self.asked += 1;
                    let _ = self.desk.retry(self.asked, of);
                }
            }
            Step::Pay(which) => self.bank(*which, &BankPayoutStatus::Paid),
            Step::Fail(which, blocks) => {
                let code = if *blocks { "account_closed" } else { "could_not_process" }.to_owned();
                self.bank(*which, &BankPayoutStatus::Failed { code });
            }
            Step::Work => desk.work(),
            Step::Receive if !self.received => {
                self.received = true;
                desk.receive(2, 1500, 51_000);
            }
            Step::Receive => {}
            Step::Close => {
                let mut status = desk.in_order("fp_1");
                status.end = Some(AccountEnd::Closed);
                desk.tell_account(status);
            }
            Step::Link(number) => {
                let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: format!("acct_{number}") };
                let _ = desk.world.by_payee(Intent::LinkPayoutAccount { party_id: payee(), account, status: None });
            }
            Step::Refuse(refuses) => desk.provider.refuses_reversals = *refuses,
            Step::Change => {
                let status = desk.in_order(&format!("fp_{}", desk.world.log.len()));
                desk.tell_account(status);
            }
            Step::Wait(hours) => desk.world.now += TimeDelta::hours(i64::from(*hours)),
        }
    }

    /// A bank pays what is on its way, and gives back what was on its way or paid.
    fn bank(&mut self, which: u16, status: &BankPayoutStatus) {
        let Some(number) = self.pick(which) else { return };
        let name = format!("po_{}", super::desk::p(number));
        let Some(known) = self.desk.provider.bank_payouts.get(&name).map(|payout| payout.status.clone()) else {
            return;
        };
        let possible = match known {
            BankPayoutStatus::InTransit { .. } => true,
            BankPayoutStatus::Paid => matches!(status, BankPayoutStatus::Failed { .. }),
            _ => false,
        };
        if possible {
            self.desk.bank(number, status.clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_the_books_are_the_providers(steps in prop::collection::vec(step(), 1..60)) {
        let mut desk = Desk::earned(&[100_000, 50_000]);
        desk.receive(1, 3075, 101_925);
        let mut story = Story { desk, asked: 0, received: false };
        for step in &steps {
            story.go(step);
            story.desk.check();
            // What was earned is available, on its way, or at a bank: never more.
            let desk = &story.desk;
            let owed = -(desk.net("2210") + desk.net("2250"));
            prop_assert_eq!(owed + i128::from(at_banks(desk)), 135_000, "after {:?}", step);
            prop_assert!(desk.net("1130") <= owed, "nobody has more at the provider than is owed, after {:?}", step);
        }
        // Everything that waits comes to its end.
        story.desk.provider.refuses_reversals = false;
        story.go(&Step::Receive);
        story.desk.work();
        story.desk.check();
        prop_assert_eq!(story.desk.world.times_of("payee.timer_blocked").len(), 0);
    }
}
