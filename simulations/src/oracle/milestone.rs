//! One milestone, followed through the events: what was asked, what is held, what was approved and released of it.

use domain::time::Timestamp;

use super::contract::{Contract, Rate};
use super::{Raw, amount_of};
use crate::failure::Violation;

/// An approval whose release is to come in the same append.
#[derive(Debug)]
struct Approval {
    release_id: String,
    gross: i128,
}

/// A milestone, as far as its events were read.
#[derive(Debug, Default)]
pub(super) struct Milestone {
    pub(super) contract: String,
    pub(super) currency: String,
    /// What it is worth by what was agreed last.
    agreed: i128,
    pub(super) funded: i128,
    pub(super) released: i128,
    /// The payment that was begun last, and how much of it is for this milestone.
    asked: Option<(String, i128)>,
    client_fee: i128,
    client_fee_earned: i128,
    payee_fee: i128,
    /// While work is under review: until when.
    review_due_at: Option<Timestamp>,
    submissions: i128,
    revisions: i128,
    approved: Option<Approval>,
    cancelled: bool,
    over: bool,
}

/// `rate` hundredths of a percent of `basis`, half away from zero.
fn share(basis: i128, rate: Rate) -> i128 {
    (basis * rate * 2 + 10_000) / 20_000
}

impl Milestone {
    /// What is held for it.
    pub(super) fn held(&self) -> i128 {
        self.funded - self.released
    }

    /// What of the client's fees on it is not earned yet.
    pub(super) fn deferred_fee(&self) -> i128 {
        self.client_fee - self.client_fee_earned
    }

    /// What does not hold where an append has ended.
    pub(super) fn is_left_with(&self) -> Option<String> {
        if let Some(approval) = &self.approved {
            return Some(format!("approved and not released: {approval:?}"));
        }
        (self.over && self.held() != 0).then(|| format!("over, and {} is held", self.held()))
    }

    /// An event of the milestone; `contract` is the one it belongs to.
    pub(super) fn follow(&mut self, raw: &Raw, contract: &Contract) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "milestone.planned" => {
                raw.text("contract_id")?.clone_into(&mut self.contract);
                raw.text("currency")?.clone_into(&mut self.currency);
                self.agreed = raw.amount("amount")?;
            }
            "milestone.amended" => {
                let amount = raw.amount("amount")?;
                if self.over || self.cancelled || raw.amount("missing")? != (amount - self.funded).max(0) {
                    return Err(raw.breaks("I5", "amended when it was over, or another amount is missing"));
                }
                if amount != self.agreed && amount < self.funded {
                    return Err(raw.breaks("I5", &format!("worth less than the {} that were paid in", self.funded)));
                }
                self.agreed = amount;
            }
            "milestone.funding_requested" => {
                contract.is_by(raw, "client")?;
                contract.lets_begin(raw)?;
                let amount = raw.amount("amount")?;
                if self.cancelled || self.over || amount <= 0 || amount != self.agreed - self.funded {
                    let found = format!("{amount} is to be paid, {} of {} is there", self.funded, self.agreed);
                    return Err(raw.breaks("I5", &found));
                }
                self.asked = Some((raw.text("funding_id")?.to_owned(), amount));
            }
            "milestone.cancelled" => {
                if raw.actor != "system:timer" {
                    contract.is_of_a_party(raw)?;
                }
                if self.funded != 0 || self.cancelled {
                    return Err(raw.breaks("I5", "cancelled twice, or after money had come"));
                }
                self.cancelled = true;
            }
            "milestone.released" => {
                self.over = raw.data.get("closes").is_some();
                if raw.amount("remaining")? != self.held() {
                    return Err(raw.breaks("I4", &format!("{} is held", self.held())));
                }
            }
            "milestone.funding_failed" => self.over |= raw.data.get("closes").is_some(),
            _ => self.follow_the_review(raw, contract)?,
        }
        Ok(())
    }

    fn follow_the_review(&mut self, raw: &Raw, contract: &Contract) -> Result<(), Violation> {
        match raw.event_type.as_str() {
            "milestone.work_submitted" => {
                contract.is_by(raw, "payee")?;
                contract.lets_begin(raw)?;
                self.submissions += 1;
                if self.review_due_at.is_some() || self.held() <= 0 || raw.amount("submission_no")? != self.submissions
                {
                    return Err(raw.breaks("I5", "submitted twice, out of turn, or without money"));
                }
                self.review_due_at = Some(raw.instant("review_due_at")?);
            }
            "milestone.submission_withdrawn" => {
                contract.is_by(raw, "payee")?;
                self.ends_the_review(raw)?;
            }
            "milestone.changes_requested" => {
                contract.is_by(raw, "client")?;
                self.ends_the_review(raw)?;
                self.revisions += 1;
                if raw.amount("revision_no")? != self.revisions {
                    return Err(raw.breaks("I5", &format!("this is revision {}", self.revisions)));
                }
            }
            "milestone.approved" | "milestone.partially_approved" => {
                contract.is_by(raw, "client")?;
                if self.review_due_at.is_some() {
                    self.ends_the_review(raw)?;
                }
                self.approve(raw, raw.event_type == "milestone.approved")?;
            }
            "milestone.auto_approved" => {
                if self.review_due_at.take() != Some(raw.at) || raw.actor != "system:timer" {
                    return Err(raw.breaks("I5", "approved by time at another instant than the review's end"));
                }
                self.approve(raw, true)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Somebody ends a review that has not ended by itself.
    fn ends_the_review(&mut self, raw: &Raw) -> Result<(), Violation> {
        match self.review_due_at.take() {
            Some(deadline) if raw.at < deadline => Ok(()),
            other => Err(raw.breaks("I5", &format!("at {} no review was open: {other:?}", raw.at))),
        }
    }

    fn approve(&mut self, raw: &Raw, whole: bool) -> Result<(), Violation> {
        let gross = raw.amount("gross")?;
        let fits = if whole { gross == self.held() } else { gross < self.held() };
        if gross <= 0 || !fits || self.over {
            return Err(raw.breaks("I5", &format!("{gross} is approved, {} is held", self.held())));
        }
        let release_id = raw.text("release_id")?.to_owned();
        match self.approved.replace(Approval { release_id, gross }) {
            Some(before) => Err(raw.breaks("I5", &format!("approved twice: {before:?}"))),
            None => Ok(()),
        }
    }

    /// Money of this payment arrives.
    pub(super) fn fund(
        &mut self,
        raw: &Raw,
        funding_id: &str,
        amount: i128,
        client_fee: i128,
        contract: Option<&Contract>,
    ) -> Result<(), Violation> {
        self.funded += amount;
        self.client_fee += client_fee;
        // Money that was asked for is held once, and only while nothing else was asked for since.
        if self.asked.take() != Some((funding_id.to_owned(), amount)) || self.cancelled || self.over {
            return Err(raw.breaks("I5", "held twice, or not as it was asked for last"));
        }
        let rate = contract.map_or(0, |contract| contract.client_rate);
        if client_fee != share(amount, rate) {
            return Err(raw.breaks("I4", &format!("the client's fee on {amount} is {}", share(amount, rate))));
        }
        Ok(())
    }

    /// Money of it leaves the escrow.
    pub(super) fn release(&mut self, raw: &Raw, contract: Option<&Contract>) -> Result<(), Violation> {
        let (gross, net, payee_fee) = (raw.amount("gross")?, raw.amount("net")?, raw.amount("payee_fee")?);
        let earned = raw.amount("client_fee_earned")?;
        let release_id = raw.text("release_id")?;
        self.released += gross;
        self.client_fee_earned += earned;
        self.payee_fee += payee_fee;
        if self.released > self.funded {
            return Err(raw.breaks("I5", &format!("{} of {} is released", self.released, self.funded)));
        }
        match self.approved.take() {
            Some(approval) if approval.release_id == release_id && approval.gross == gross => {}
            other => return Err(raw.breaks("I5", &format!("released is not what was approved: {other:?}"))),
        }
        let lots: i128 = raw.list("lots")?.iter().map(|lot| amount_of(lot, "amount")).sum();
        if gross != net + payee_fee || gross != lots {
            return Err(raw.breaks("I4", "the parts of the release are not the whole"));
        }
        // Both fees are charged in parts so that all parts together are what one release of them all would cost.
        if self.payee_fee != share(self.released, contract.map_or(0, |contract| contract.payee_rate)) {
            return Err(raw.breaks("I4", "the payee's fee is not what was agreed"));
        }
        let due = (self.client_fee * self.released * 2 + self.funded) / (self.funded * 2);
        // Money that was added since can have lowered the share; what was earned stays earned.
        if self.client_fee_earned != due && !(earned == 0 && self.client_fee_earned > due) {
            let found = format!("{} of the client's fee is earned, and {due} should be", self.client_fee_earned);
            return Err(raw.breaks("I4", &found));
        }
        Ok(())
    }
}
