//! Disagreements of clients' banks, followed through the chargebacks' events: what was taken, what came back, who bears it.
//!
//! # Invariants
//! - A booking of the provider is booked once, in one cycle. What was taken and neither came back nor was lost stands on 1200.
//! - It is won when nothing is out, lost with all that is out, and each ends once.
//! - The bank is answered at the instant that was to be, by the engine or before that by staff.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use domain::time::Timestamp;

use super::books::Books;
use super::receipt::{Shift, settled_in};
use super::{Raw, amount_of};
use crate::failure::Violation;

/// How far one cycle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Inquiry,
    InquiryClosed,
    Open,
    Review,
    Accepted,
    Won,
    Lost,
}

/// Whoever may say something to a bank, or nothing.
fn is_by_staff(raw: &Raw) -> bool {
    ["staff.moderator:", "staff.finance:", "staff.admin:"].iter().any(|staff| raw.actor.starts_with(staff))
}

/// One cycle.
#[derive(Debug)]
struct Case {
    dispute: String,
    cycle: u64,
    phase: Phase,
    funding: String,
    currency: String,
    withdrawn: i128,
    reinstated: i128,
    lost: i128,
    evidence_at: Option<Timestamp>,
    answered: bool,
    /// What staff has to say beside what is proved.
    statement: Option<String>,
    /// The wallet that was topped up, if it was one, and what that holds for the bank.
    wallet: Option<String>,
    held_by_wallet: i128,
    /// A next one has begun.
    followed: bool,
}

impl Case {
    fn out(&self) -> i128 {
        self.withdrawn - self.reinstated - self.lost
    }
}

/// What an escrow has to do in the same append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// Note the disagreement; whether the bank only asks.
    Note(bool),
    /// Hold as much as this needs.
    Hold(i128),
    /// Bear this loss.
    Absorb(i128),
    /// Let everything go on.
    Clear,
}

impl Due {
    /// What the bank has, where the escrow is to hold as much.
    fn told(&self) -> Option<i128> {
        match self {
            Self::Hold(amount) | Self::Absorb(amount) => Some(*amount),
            Self::Clear => Some(0),
            Self::Note(_) => None,
        }
    }
}

/// Every disagreement.
#[derive(Debug, Default)]
pub(super) struct Chargebacks {
    cases: BTreeMap<String, Case>,
    warned: BTreeSet<String>,
    /// The provider's bookings that are booked.
    bookings: BTreeSet<String>,
    /// What has to follow in the same append, in this order, by chargeback.
    due: BTreeMap<String, Vec<Due>>,
    /// What the platform bears, told by the escrow, and not booked yet.
    pub(super) platform_shares: BTreeMap<String, i128>,
    /// The next cycle, which has to begin in the same append: dispute and number.
    next: Option<(String, u64)>,
    touched: BTreeSet<String>,
}

impl Chargebacks {
    /// The provider's name of the dispute.
    pub(super) fn dispute_of(&self, id: &str) -> Option<&str> {
        self.cases.get(id).map(|case| case.dispute.as_str())
    }

    /// The escrow notes a disagreement. Whether it is about money that was taken after its end.
    pub(super) fn is_late(&mut self, raw: &Raw, inquiry: bool) -> Result<bool, Violation> {
        let due = self.due.entry(raw.text("chargeback_id")?.to_owned()).or_default();
        if let Some(index) = due.iter().position(|due| *due == Due::Note(inquiry)) {
            due.remove(index);
            return Ok(false);
        }
        let absorbs = !inquiry && due.iter().any(|due| matches!(due, Due::Absorb(_)));
        if absorbs { Ok(true) } else { Err(raw.breaks("I5", &format!("nobody asked for that: {due:?}"))) }
    }

    /// What the escrow was told that the bank has, in turn.
    pub(super) fn told_in_turn(&self, raw: &Raw) -> Result<Vec<i128>, Violation> {
        let due = self.due.get(raw.text("chargeback_id")?).map_or(&[][..], Vec::as_slice);
        Ok(due.iter().filter_map(Due::told).collect())
    }

    /// It has answered this one of them; what was told before has changed nothing.
    pub(super) fn answered(&mut self, raw: &Raw, index: usize) -> Result<(), Violation> {
        let due = self.due.entry(raw.text("chargeback_id")?.to_owned()).or_default();
        let mut turn = 0;
        due.retain(|due| {
            let past = due.told().is_some() && turn <= index && matches!(due, Due::Hold(_));
            turn += usize::from(due.told().is_some());
            !past
        });
        Ok(())
    }

    fn of_wallet(&mut self, raw: &Raw) -> Result<&mut Case, Violation> {
        let wallet = format!("{}-{}", raw.text("client_id")?, raw.text("currency")?);
        let case = self.cases.get_mut(raw.text("chargeback_id")?);
        case.filter(|case| case.wallet == Some(wallet)).ok_or_else(|| raw.breaks("I5", "no top-up of that wallet"))
    }

    /// A wallet holds what the bank has by now.
    pub(super) fn is_held_by_wallet(&mut self, raw: &Raw) -> Result<(), Violation> {
        let (told, amount) = (self.told_in_turn(raw)?, raw.amount("amount")?);
        let Some(index) = told.iter().position(|told| *told == amount) else {
            return Err(raw.breaks("I4", &format!("the bank has {told:?}")));
        };
        self.of_wallet(raw)?.held_by_wallet = amount;
        self.answered(raw, index)
    }

    /// A wallet, and the platform, bear this loss.
    pub(super) fn is_absorbed_by_wallet(&mut self, raw: &Raw, amount: i128) -> Result<(), Violation> {
        self.of_wallet(raw)?.held_by_wallet = 0;
        self.absorbed(raw, amount)
    }

    /// The escrow bears this loss.
    pub(super) fn absorbed(&mut self, raw: &Raw, amount: i128) -> Result<(), Violation> {
        let due = self.due.entry(raw.text("chargeback_id")?.to_owned()).or_default();
        match due.iter().position(|due| *due == Due::Absorb(amount)) {
            Some(index) => {
                due.remove(index);
                Ok(())
            }
            None => Err(raw.breaks("I4", &format!("another loss than was told: {due:?}"))),
        }
    }

    /// The escrow is told. What changes nothing there is dropped where the append ends.
    fn ask(&mut self, id: &str, due: Due) {
        self.due.entry(id.to_owned()).or_default().push(due);
    }

    /// Returns what the payment has to be told of, where it lies in another currency.
    pub(super) fn follow(&mut self, raw: &Raw, books: &mut Books) -> Result<Option<Shift>, Violation> {
        self.follow_case(raw, books)?;
        let sign = match raw.event_type.as_str() {
            "chargeback.funds_withdrawn" => -1,
            "chargeback.funds_reinstated" => 1,
            _ => return Ok(None),
        };
        let Some((moved, other)) = settled_in(&raw.data) else { return Ok(None) };
        let (funding, cause) = (raw.text("funding_id")?.to_owned(), raw.text("chargeback_id")?.to_owned());
        let currency = raw.text("currency")?;
        let (amount, moved) = (raw.amount("amount")? * sign, moved * sign);
        // Each currency goes through the position; the case has booked it as if there were one.
        books.expect("1120", currency, -amount);
        books.expect("1300", currency, amount);
        books.expect("1300", &other, -moved);
        books.expect("1120", &other, moved);
        Ok(Some(Shift { funding, cause, amount, settled: (moved, other) }))
    }

    fn follow_case(&mut self, raw: &Raw, books: &mut Books) -> Result<(), Violation> {
        let id = raw.text("chargeback_id")?.to_owned();
        let kind = raw.event_type.as_str();
        self.touched.insert(id.clone());
        match kind {
            "chargeback.early_fraud_warning_received" => {
                return if self.warned.insert(id) { Ok(()) } else { Err(raw.breaks("I6", "warned of twice")) };
            }
            "chargeback.inquiry_received" | "chargeback.opened" => {
                return self.begin(raw, id, kind == "chargeback.opened");
            }
            "chargeback.timer_blocked" => {
                return Err(raw.breaks("W", "no timer of a chargeback can be refused"));
            }
            _ => {}
        }
        let Some(case) = self.cases.get_mut(&id) else {
            return Err(raw.breaks("I5", "a chargeback that did not begin"));
        };
        let currency = case.currency.clone();
        // The provider's fee is in the currency of its balance.
        let in_balance = settled_in(&raw.data).map_or_else(|| currency.clone(), |(_, other)| other);
        let booked = |bookings: &mut BTreeSet<String>| {
            let name = raw.text("balance_transaction_ref")?;
            // The fee of a booking has an event of its own.
            let name = if kind == "chargeback.dispute_fee_returned" { format!("{name}/fee") } else { name.to_owned() };
            if bookings.insert(name) { Ok(()) } else { Err(raw.breaks("I6", "booked twice")) }
        };
        let ends = |case: &mut Case, from: &[Phase], to: Phase| {
            let known = from.contains(&case.phase);
            case.phase = to;
            case.evidence_at = None;
            if known { Ok(()) } else { Err(raw.breaks("I5", "out of turn")) }
        };
        match kind {
            "chargeback.funds_withdrawn" => {
                booked(&mut self.bookings)?;
                let (amount, fee) = (raw.amount("amount")?, raw.amount("fee")?);
                case.withdrawn += amount;
                let absorb = if case.phase == Phase::Lost { amount } else { 0 };
                case.lost += absorb;
                if amount_of(&raw.data, "absorb") != absorb || raw.amount("hold_for")? != case.out() {
                    return Err(raw.breaks("I4", &format!("{} is out by now", case.out())));
                }
                books.expect("1200", &currency, amount);
                books.expect("1120", &currency, -amount);
                books.expect("5120", &in_balance, fee);
                books.expect("1120", &in_balance, -fee);
                let out = case.out();
                self.ask(&id, if absorb == 0 { Due::Hold(out) } else { Due::Absorb(absorb) });
            }
            "chargeback.funds_reinstated" => {
                booked(&mut self.bookings)?;
                let (amount, fee) = (raw.amount("amount")?, amount_of(&raw.data, "fee"));
                let expected = case.out().min(amount);
                case.reinstated += expected;
                if amount_of(&raw.data, "unexpected") != amount - expected || raw.amount("hold_for")? != case.out() {
                    return Err(raw.breaks("I4", &format!("{expected} of it was out")));
                }
                books.expect("1120", &currency, amount);
                books.expect("5120", &in_balance, fee);
                books.expect("1120", &in_balance, -fee);
                books.expect("1200", &currency, -expected);
                books.expect("2900", &currency, expected - amount);
                let out = case.out();
                self.ask(&id, Due::Hold(out));
            }
            "chargeback.dispute_fee_returned" => {
                booked(&mut self.bookings)?;
                let (amount, currency) = (raw.amount("amount")?, raw.text("currency")?);
                books.expect("1120", currency, amount);
                books.expect("5120", currency, -amount);
            }
            "chargeback.review_started" => ends(case, &[Phase::Open, Phase::Accepted], Phase::Review)?,
            "chargeback.inquiry_closed" => {
                ends(case, &[Phase::Inquiry], Phase::InquiryClosed)?;
                self.ask(&id, Due::Clear);
            }
            "chargeback.won" => {
                if case.out() != 0 {
                    return Err(raw.breaks("I4", &format!("won, and {} is out", case.out())));
                }
                ends(case, &[Phase::Open, Phase::Review, Phase::Accepted], Phase::Won)?;
                self.ask(&id, Due::Clear);
            }
            "chargeback.lost" => {
                let out = case.out();
                if raw.amount("amount")? != out {
                    return Err(raw.breaks("I4", &format!("lost, and {out} is out")));
                }
                case.lost += out;
                ends(case, &[Phase::Open, Phase::Review, Phase::Accepted], Phase::Lost)?;
                self.ask(&id, if out == 0 { Due::Clear } else { Due::Absorb(out) });
            }
            "chargeback.loss_absorbed" => {
                let amount = raw.amount("amount")?;
                if self.platform_shares.remove(&id) != Some(amount) {
                    return Err(raw.breaks("I4", "the platform bears what it was not told to"));
                }
                books.expect("5200", &currency, amount);
                books.expect("1200", &currency, -amount);
            }
            "chargeback.second_presentment" => {
                let over = matches!(case.phase, Phase::Won | Phase::InquiryClosed) && !case.followed;
                if !over || self.next.is_some() {
                    return Err(raw.breaks("I5", "presented again, and the last one is not over"));
                }
                case.followed = true;
                self.next = Some((case.dispute.clone(), case.cycle + 1));
            }
            "chargeback.evidence_due" => {
                if case.evidence_at.take() != Some(raw.at) || !raw.is_by_timer() {
                    return Err(raw.breaks("I5", "the bank is to be answered at another instant"));
                }
            }
            "chargeback.evidence_submitted" => {
                if case.answered || !matches!(case.phase, Phase::Inquiry | Phase::Open) {
                    return Err(raw.breaks("I5", "answered twice, or when nobody asked any more"));
                }
                if raw.text("statement").ok() != case.statement.as_deref() {
                    return Err(raw.breaks("I4", &format!("what staff says beside it is {:?}", case.statement)));
                }
                (case.answered, case.evidence_at) = (true, None);
            }
            "chargeback.evidence_drafted" => {
                if case.answered || !matches!(case.phase, Phase::Inquiry | Phase::Open) || !is_by_staff(raw) {
                    return Err(raw.breaks("I5", &format!("by {}, or too late", raw.actor)));
                }
                case.statement = Some(raw.text("statement")?.to_owned());
            }
            "chargeback.accepted" => {
                if case.answered || !is_by_staff(raw) {
                    return Err(raw.breaks("I5", &format!("by {}, or after an answer", raw.actor)));
                }
                ends(case, &[Phase::Open], Phase::Accepted)?;
            }
            other => return Err(raw.breaks("W", &format!("{other} is not known here"))),
        }
        Ok(())
    }

    fn begin(&mut self, raw: &Raw, id: String, disagrees: bool) -> Result<(), Violation> {
        let cycle = u64::try_from(raw.amount("cycle")?).unwrap_or_default();
        let dispute = raw.text("dispute_ref")?.to_owned();
        let due_by = raw.instant("evidence_due_by").ok();
        let phase = if disagrees { Phase::Open } else { Phase::Inquiry };
        let evidence_at = due_by.map(|due_by| due_by - TimeDelta::hours(48));
        if raw.text("wallet").is_err() {
            self.ask(&id, Due::Note(!disagrees));
        }
        if let Some(case) = self.cases.get_mut(&id) {
            // An inquiry becomes a disagreement.
            if case.phase != Phase::Inquiry || !disagrees {
                return Err(raw.breaks("I5", "began twice"));
            }
            (case.phase, case.evidence_at, case.answered) = (phase, evidence_at, false);
            return Ok(());
        }
        let next = self.next.take();
        if cycle == 1 && next.is_some() || cycle > 1 && next != Some((dispute.clone(), cycle)) {
            return Err(raw.breaks("I5", "another cycle began than was to"));
        }
        let case = Case {
            dispute,
            cycle,
            phase,
            funding: raw.text("funding_id")?.to_owned(),
            currency: raw.text("currency")?.to_owned(),
            withdrawn: 0,
            reinstated: 0,
            lost: 0,
            evidence_at,
            answered: false,
            statement: None,
            wallet: raw.text("wallet").ok().map(str::to_owned),
            held_by_wallet: 0,
            followed: false,
        };
        self.cases.insert(id, case);
        Ok(())
    }

    /// What does not hold where an append has ended.
    pub(super) fn are_left_with(&mut self, books: &Books) -> Option<String> {
        if let Some(next) = self.next.take() {
            return Some(format!("presented again, and no cycle began: {next:?}"));
        }
        if let Some((id, share)) = self.platform_shares.pop_first() {
            return Some(format!("{id}: nobody bears {share}"));
        }
        // A hold that changes nothing needs no event, and what was never noted needs not be cleared; a loss always does.
        for (id, due) in std::mem::take(&mut self.due) {
            if let Some(due) = due.iter().find(|due| matches!(due, Due::Absorb(_))) {
                return Some(format!("{id}: the escrow did not answer {due:?}"));
            }
        }
        for id in std::mem::take(&mut self.touched) {
            let Some(case) = self.cases.get(&id) else { continue };
            let booked = books.of("1200", &case.currency, "chargeback", &id);
            if booked != case.out() || booked < 0 {
                return Some(format!("{id} of {}: 1200 has {booked}, {} is out", case.funding, case.out()));
            }
            if case.wallet.is_some() && case.held_by_wallet != case.out() {
                return Some(format!("{id}: the wallet holds {}, {} is out", case.held_by_wallet, case.out()));
            }
        }
        None
    }
}
