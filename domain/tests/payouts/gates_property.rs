//! Whatever happens to a payee, in whatever order: nothing is asked for, approved or begun while it must not be paid, and
//! nothing that was asked for is forgotten.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::intent::{Intent, PayoutIntent};
use domain::party::PayoutAccount;
use domain::payout::{Payout, PayoutPolicy};
use domain::ports::provider::{BankPayoutStatus, ProviderOrder};
use domain::process;
use domain::refusal::Refusal;
use domain::rules::Rules;
use domain::time::Timestamp;
use ledger::Currency;
use proptest::prelude::*;

use super::desk::{Desk, approver, finance, p};
use super::money::{minor, payee};

/// What the provider says of the account in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    InOrder,
    Incomplete,
    Rejected,
}

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// The payee asks for another bank account.
    Ask,
    /// The provider does not take one that was asked for.
    RefuseBank(u8),
    /// The provider tells of the account, with this bank account.
    Tell(Word, u8),
    /// Another account is linked, or the same again.
    Link(u8),
    /// Staff stops the payee, or lets it be paid again.
    Restrict,
    Lift,
    /// It may be on a list, or is not.
    Suspect,
    Clear,
    /// A payout is asked for, per mille of what there is; approved; carried out; given back by the bank.
    Request(u16),
    Approve(u8),
    Work,
    GiveBack(u8),
    /// Hours pass.
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let word = prop_oneof![6 => Just(Word::InOrder), 2 => Just(Word::Incomplete), 1 => Just(Word::Rejected)];
    prop_oneof![
        3 => Just(Step::Ask),
        2 => any::<u8>().prop_map(Step::RefuseBank),
        4 => (word, 0_u8..2).prop_map(|(word, bank)| Step::Tell(word, bank)),
        1 => (1_u8..3).prop_map(Step::Link),
        1 => Just(Step::Restrict),
        3 => Just(Step::Lift),
        1 => Just(Step::Suspect),
        2 => Just(Step::Clear),
        6 => (1_u16..400).prop_map(Step::Request),
        4 => any::<u8>().prop_map(Step::Approve),
        6 => Just(Step::Work),
        3 => any::<u8>().prop_map(Step::GiveBack),
        6 => (1_u8..80).prop_map(Step::Wait),
    ]
}

/// What is so, by what has happened, and without asking the engine.
#[derive(Debug, Clone)]
struct Model {
    account: String,
    bank: Option<u8>,
    changed: Vec<Timestamp>,
    asked: BTreeMap<u32, Timestamp>,
    word: Option<Word>,
    rejected: bool,
    staff: bool,
    suspected: bool,
}

impl Model {
    /// Whether nothing may be paid through that account now.
    fn forbids(&self, account: &str, now: Timestamp) -> bool {
        let changes = self.changed.iter().chain(self.asked.values());
        let cooling = changes.max().is_some_and(|changed| now < *changed + TimeDelta::hours(72));
        let incomplete = self.word == Some(Word::Incomplete);
        cooling || incomplete || self.rejected || self.staff || self.suspected || account != self.account
    }
}

/// Codes of the gates that are about the payee.
fn is_gate(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::PartyRestricted { .. } | Refusal::DestinationCooling { .. } | Refusal::PayoutAccountChanged
    )
}

struct Story {
    desk: Desk,
    model: Model,
    payouts: u128,
    asked: Vec<ProviderOrder>,
}

impl Story {
    fn begin() -> Self {
        let mut desk = Desk::d118();
        let (payee_id, currency) = (payee(), Currency::USD);
        let policy = PayoutPolicy { approval_above: Some(minor(15_000)), ..PayoutPolicy::default() };
        desk.staff(finance(), PayoutIntent::SetPolicy { payee_id, currency, policy }).unwrap();
        let model = Model {
            account: "acct_1".to_owned(),
            bank: None,
            changed: Vec::new(),
            asked: BTreeMap::new(),
            word: None,
            rejected: false,
            staff: false,
            suspected: false,
        };
        Self { desk, model, payouts: 0, asked: Vec::new() }
    }

    fn forbidden(&self) -> bool {
        self.model.forbids(&self.model.account, self.desk.world.now)
    }

    fn pick(&self, which: u8) -> Option<u128> {
        (self.payouts > 0).then(|| 1 + u128::from(which) % self.payouts)
    }

    fn go(&mut self, step: &Step) {
        let now = self.desk.world.now;
        let payee_id = payee();
        match step {
            Step::Ask => {
                let (currency, token) = (Currency::USD, "btok_1".to_owned());
                let ask = PayoutIntent::RequestDestination { party_id: payee_id, currency, token };
                self.desk.world.by_payee(Intent::Payouts(ask)).unwrap();
                let order = self.desk.world.orders.last().unwrap().what.clone();
                let ProviderOrder::SetDestination { request, .. } = &order else { panic!("{order:?}") };
                if self.model.bank.is_some() {
                    self.model.asked.insert(*request, now);
                }
                self.asked.push(order);
            }
            Step::RefuseBank(which) if !self.asked.is_empty() => {
                let order = self.asked.remove(usize::from(*which) % self.asked.len());
                let ProviderOrder::SetDestination { request, account, .. } = &order else { panic!("{order:?}") };
                for fact in process::refused(&order, "resource_missing") {
                    self.desk.world.fact(fact.command).unwrap();
                }
                if *account == self.model.account {
                    self.model.asked.remove(request);
                }
            }
            Step::Tell(word, bank) => self.tell(*word, *bank),
            Step::Link(number) => {
                let psp_account = format!("acct_{number}");
                let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: psp_account.clone() };
                let link = Intent::LinkPayoutAccount { party_id: payee_id, account, status: None };
                self.desk.world.by_payee(link).unwrap();
                if psp_account != self.model.account {
                    let rejected = self.model.rejected;
                    self.model = Model { account: psp_account, bank: None, word: None, rejected, ..self.model.clone() };
                    self.model.asked.clear();
                    self.model.changed.push(now);
                }
            }
            Step::Restrict => {
                let done = self.desk.staff(finance(), PayoutIntent::Restrict { party_id: payee_id });
                assert_eq!(done.is_ok(), !self.model.staff);
                self.model.staff = true;
            }
            Step::Lift => {
                let of_before = self.model.rejected && self.model.word != Some(Word::Rejected);
                let done = self.desk.staff(finance(), PayoutIntent::LiftRestriction { party_id: payee_id });
                assert_eq!(done.is_ok(), self.model.staff || of_before);
                if !std::mem::take(&mut self.model.staff) && of_before {
                    self.model.rejected = false;
                }
            }
            Step::Suspect => {
                let (screening_ref, currencies) = ("scr_1".to_owned(), vec![Currency::USD]);
                let hit = PayoutIntent::RecordSanctionsHit { party_id: payee_id, screening_ref, currencies };
                self.desk.staff(finance(), hit).unwrap();
                self.model.suspected = true;
            }
            Step::Clear if self.model.suspected => {
                let propose = PayoutIntent::ProposeSanctionsClearance { party_id: payee_id };
                self.desk.staff(finance(), propose).unwrap();
                let clear = PayoutIntent::ApproveSanctionsClearance { party_id: payee_id };
                self.desk.staff(approver(), clear).unwrap();
                self.model.suspected = false;
            }
            Step::Request(share) => {
                self.payouts += 1;
                let told = self.desk.request(self.payouts, i64::from(*share) * 90);
                self.judge(told, self.forbidden());
            }
            Step::Approve(which) => {
                let Some(number) = self.pick(*which) else { return };
                let Payout::AwaitingApproval { withdrawal, .. } = self.desk.payout(number) else { return };
                let forbidden = self.model.forbids(&withdrawal.place.psp_account, now);
                let told = self.desk.staff(finance(), PayoutIntent::Approve { payout_id: p(number) });
                self.judge(told, forbidden);
            }
            Step::Work => {
                let before = self.desk.begun.len();
                self.desk.work();
                for order in &self.desk.begun[before..] {
                    let (ProviderOrder::MoveToPayee { account, .. } | ProviderOrder::PayToBank { account, .. }) = order
                    else {
                        panic!("{order:?}");
                    };
                    assert!(!self.model.forbids(account, now), "{order:?} is begun, and {:?}", self.model);
                }
            }
            Step::GiveBack(which) => {
                let Some(number) = self.pick(*which) else { return };
                if matches!(self.desk.payout(number), Payout::InTransit { .. }) {
                    let code = "could_not_process".to_owned();
                    self.desk.bank(number, BankPayoutStatus::Failed { code });
                }
            }
            Step::Wait(hours) => self.desk.world.now += TimeDelta::hours(i64::from(*hours)),
            Step::RefuseBank(_) | Step::Clear => {}
        }
    }

    /// A gate says no exactly while the payee must not be paid.
    fn judge(&self, told: Result<Vec<String>, Refusal>, forbidden: bool) {
        match told {
            Ok(_) => assert!(!forbidden, "let through, and {:?}", self.model),
            Err(refusal) if is_gate(&refusal) => assert!(forbidden, "{refusal}, and {:?}", self.model),
            // There is not so much.
            Err(_) => {}
        }
    }

    fn tell(&mut self, word: Word, bank: u8) {
        let now = self.desk.world.now;
        let mut status = self.desk.in_order(&format!("fp_{bank}"));
        status.psp_account.clone_from(&self.model.account);
        if word != Word::InOrder {
            status.requirements.transfers_enabled = false;
        }
        if word == Word::Rejected {
            status.requirements.disabled_reason = Some("rejected.fraud".to_owned());
        }
        self.desk.tell_account(status);
        let model = &mut self.model;
        if model.bank.is_some_and(|known| known != bank) {
            model.changed.push(now);
        }
        model.bank = Some(bank);
        // A rejection is taken back only by the word on the account that it was about.
        match word {
            Word::Rejected => model.rejected = true,
            _ if model.word == Some(Word::Rejected) => model.rejected = false,
            _ => {}
        }
        model.word = Some(word);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// PM5, D-124, D-130: no transfer and no bank payout is begun while the payee must not be paid, and when all is well
    /// again, nothing is left on its way.
    #[test]
    fn nothing_is_begun_while_the_payee_must_not_be_paid(steps in prop::collection::vec(step(), 1..60)) {
        let mut story = Story::begin();
        for step in &steps {
            story.go(step);
            story.desk.check();
        }
        story.go(&Step::Work);
        for number in 1..=story.payouts {
            let state = story.desk.payout(number).state_name();
            let over = ["not_requested", "awaiting_approval", "in_transit", "failed", "approved"];
            prop_assert!(over.contains(&state), "{} is {}", number, state);
        }
    }
}
