//! What payees and staff do about payouts, accounts and suspicions, and finance about the platform's own money.
//!
//! # Invariants
//! - They know what the projections show, which can be old; what is covered is read from the books of the moment.

use domain::actor::{Actor, StaffRole, SystemPart};
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::id::{OnboardingLinkId, PartyId, PayoutId, SweepId, TopUpId};
use domain::intent::{Intent, PayoutIntent};
use domain::jurisdiction::Jurisdiction;
use domain::log::StreamId;
use domain::party::{self, Party, Restriction};
use domain::payee::{self, PayeeAccountId};
use domain::payout::{self, Payout, PayoutPolicy, PayoutSchedule};
use domain::treasury::{self, SweepState, Treasury, TreasuryCommand, TreasuryId};
use domain::view::Document;
use ledger::{Currency, Minor};

use crate::driver::Ask;
use crate::world::{Interrupt, Known, World};

/// The provider of everything here.
const PSP: &str = "stripe";

/// A word for each request about payouts.
pub(crate) fn word(intent: &PayoutIntent) -> &'static str {
    match intent {
        PayoutIntent::Retry { .. } => "retry_payout",
        PayoutIntent::Approve { .. } => "approve_payout",
        PayoutIntent::Cancel { .. } => "cancel_payout",
        PayoutIntent::SetSchedule { .. } => "set_payout_schedule",
        PayoutIntent::SetPolicy { .. } => "set_payout_policy",
        PayoutIntent::RequestPspAccount { .. } => "request_psp_account",
        PayoutIntent::RequestOnboardingLink { .. } => "request_onboarding_link",
        PayoutIntent::RequestDestination { .. } => "request_payout_destination",
        PayoutIntent::Restrict { .. } => "restrict_party",
        PayoutIntent::LiftRestriction { .. } => "lift_restriction",
        PayoutIntent::RecordSanctionsHit { .. } => "record_sanctions_hit",
        PayoutIntent::ProposeSanctionsClearance { .. } => "propose_sanctions_clearance",
        PayoutIntent::ApproveSanctionsClearance { .. } => "approve_sanctions_clearance",
        PayoutIntent::Treasury { command, .. } => match command {
            TreasuryCommand::RequestTopUp { .. } => "request_top_up",
            TreasuryCommand::ProposeSweep { .. } => "propose_sweep",
            TreasuryCommand::ApproveSweep { .. } => "approve_sweep",
            TreasuryCommand::RejectSweep { .. } => "reject_sweep",
            TreasuryCommand::AdoptPlatformPayout { .. } => "adopt_platform_payout",
            _ => "treasury",
        },
    }
}

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap_or_default()
}

impl World {
    /// Somebody does something about payouts or the platform's money.
    pub(crate) fn work_at_the_desk(&mut self) -> Result<(), Interrupt> {
        match self.chance.between(0, 99) {
            0..=19 => self.look_after_payouts(),
            20..=34 => self.set_terms(),
            35..=54 => self.look_after_an_account(),
            55..=74 => self.judge_a_party(),
            _ => self.manage_the_balance(),
        }
    }

    fn desk(&mut self, intent: PayoutIntent, actor: Actor) -> Result<(), Interrupt> {
        let ask = self.ask(Intent::Payouts(intent), actor);
        self.send(ask.clone())?;
        // Too rare to be repeated by chance alone.
        if self.chance.per_mille(600) && self.promised.contains_key(&ask.command_id) {
            self.count("command repeated");
            return self.send(ask);
        }
        Ok(())
    }

    /// One of two members of staff; now and then one that may not decide.
    fn member(&mut self) -> Actor {
        let roles = [StaffRole::Finance, StaffRole::Admin, StaffRole::Finance, StaffRole::Admin, StaffRole::Moderator];
        let role = self.chance.pick(&roles).copied().unwrap_or(StaffRole::Admin);
        let index = self.chance.below(2);
        let id = self.parties.get(index).copied().unwrap_or_else(|| PartyId::from_uuid(uuid::Uuid::nil()));
        Actor::Staff(role, id)
    }

    /// Payouts that staff has to approve, and those that did not arrive.
    fn look_after_payouts(&mut self) -> Result<(), Interrupt> {
        let waiting = self.records.documents.values().filter_map(|(document, _)| match document {
            Document::Aggregate(AggregateState::Payout(payout)) => {
                let open = matches!(
                    payout.as_ref(),
                    Payout::AwaitingApproval { .. } | Payout::Failed { .. } | Payout::Returned { .. }
                );
                let withdrawal = payout.withdrawal().filter(|_| open)?;
                let fails = !matches!(payout.as_ref(), Payout::AwaitingApproval { .. });
                Some((withdrawal.payout_id, withdrawal.payee_id, withdrawal.currency, fails))
            }
            _ => None,
        });
        let mut waiting: Vec<_> = waiting.collect();
        // Fewer wait for staff than fail.
        if waiting.iter().any(|(_, _, _, fails)| !fails) && self.chance.per_mille(700) {
            waiting.retain(|(_, _, _, fails)| !fails);
        }
        // What did not arrive was often paid out since.
        if self.chance.per_mille(900) {
            waiting.retain(|(payout_id, payee_id, currency, fails)| {
                !fails
                    || self.can_be_paid_again(*payout_id, PayeeAccountId { party_id: *payee_id, currency: *currency })
            });
        }
        let Some((payout_id, payee_id, currency, fails)) = self.chance.pick(&waiting).copied() else { return Ok(()) };
        // Approved although nobody has to: now and then somebody tries.
        let fails = fails && self.chance.per_mille(900);
        let staff = self.member();
        if fails {
            let retry = PayoutIntent::Retry {
                payout_id: PayoutId::from_uuid(self.chance.uuid(self.now)),
                retry_of: payout_id,
                payee_id,
                currency,
            };
            return self.desk(retry, Actor::Payee(payee_id));
        }
        if self.chance.per_mille(650) {
            return self.desk(PayoutIntent::Approve { payout_id }, staff);
        }
        let actor = if self.chance.per_mille(500) { staff } else { Actor::Payee(payee_id) };
        self.desk(PayoutIntent::Cancel { payout_id }, actor)
    }

    /// Whether there is as much as did not arrive, and nothing stops its payee.
    fn can_be_paid_again(&self, payout_id: PayoutId, account: PayeeAccountId) -> bool {
        let amount = match self.document(&payout::stream(payout_id)) {
            Some(Document::Aggregate(AggregateState::Payout(payout))) => payout.withdrawal().map(|it| it.amount),
            _ => None,
        };
        let paid = match self.party(account.party_id) {
            Some(Party::Registered { standing, .. }) => standing.may_be_paid(account.currency, self.now).is_ok(),
            _ => false,
        };
        let available = match self.document(&payee::stream(account)) {
            Some(Document::Payee(balance)) if balance.debt.is_zero() => balance.available,
            _ => Minor::ZERO,
        };
        paid && amount.is_some_and(|amount| amount <= available)
    }

    fn some_payee(&mut self) -> Option<Known> {
        let recent = self.contracts.len().saturating_sub(8);
        self.chance.pick(self.contracts.get(recent..).unwrap_or_default()).cloned()
    }

    /// A schedule of the payee's, or a policy of the platform's.
    fn set_terms(&mut self) -> Result<(), Interrupt> {
        let Some(Known { payee_id, currency, .. }) = self.some_payee() else { return Ok(()) };
        if self.chance.per_mille(500) {
            let day = |low, high, world: &mut Self| u8::try_from(world.chance.between(low, high)).unwrap_or(1);
            let schedule = match self.chance.between(0, 5) {
                0 | 1 => PayoutSchedule::Daily,
                2 => PayoutSchedule::Weekly { day: day(1, 8, self) },
                3 => PayoutSchedule::Monthly { day: day(1, 31, self) },
                _ => PayoutSchedule::Manual,
            };
            let minimum = minor(if self.chance.per_mille(300) { self.chance.between(1, 50_000) } else { 0 });
            let set = PayoutIntent::SetSchedule { payee_id, currency, schedule, minimum };
            return self.desk(set, Actor::Payee(payee_id));
        }
        let policy = PayoutPolicy {
            approval_above: self.chance.per_mille(800).then(|| minor(self.chance.between(0, 100_000))),
            minimum: minor(if self.chance.per_mille(200) { self.chance.between(1, 20_000) } else { 0 }),
            pays_debtors: self.chance.per_mille(200),
        };
        let actor = self.member();
        self.desk(PayoutIntent::SetPolicy { payee_id, currency, policy }, actor)
    }

    fn party(&self, party_id: PartyId) -> Option<&Party> {
        match self.document(&party::stream(party_id)) {
            Some(Document::Aggregate(AggregateState::Party(party))) => Some(party),
            _ => None,
        }
    }

    /// An account at the provider, a link to it, a bank account.
    fn look_after_an_account(&mut self) -> Result<(), Interrupt> {
        let Some(party_id) = self.chance.pick(&self.parties).copied() else { return Ok(()) };
        let linked = matches!(self.party(party_id), Some(Party::Registered { payout_account: Some(_), .. }));
        let payee = Actor::Payee(party_id);
        if !linked || self.chance.per_mille(100) {
            let Ok(country) = Jurisdiction::new("DE") else { return Ok(()) };
            let intent = PayoutIntent::RequestPspAccount { party_id, psp: PSP.to_owned(), country };
            return self.desk(intent, payee);
        }
        if self.chance.per_mille(500) {
            let link_id = OnboardingLinkId::from_uuid(self.chance.uuid(self.now));
            return self.desk(PayoutIntent::RequestOnboardingLink { party_id, link_id }, payee);
        }
        let currency = self.some_payee().map_or(Currency::USD, |known| known.currency);
        let token = format!("btok_{}", self.chance.between(1, 9));
        self.desk(PayoutIntent::RequestDestination { party_id, currency, token }, payee)
    }

    /// Staff restricts a party, or suspects it; more often it drops that again.
    fn judge_a_party(&mut self) -> Result<(), Interrupt> {
        let troubled = |party: &PartyId| match self.party(*party) {
            Some(Party::Registered { standing, .. }) => {
                standing.sanctions.is_some() || standing.restrictions.contains(&Restriction::Staff)
            }
            _ => false,
        };
        let troubled: Vec<PartyId> = self.parties.iter().copied().filter(troubled).collect();
        let staff = self.member();
        if let Some(party_id) = self.chance.pick(&troubled).copied().filter(|_| self.chance.per_mille(750)) {
            let hit = match self.party(party_id) {
                Some(Party::Registered { standing, .. }) => standing.sanctions.clone(),
                _ => None,
            };
            return match hit {
                None => self.desk(PayoutIntent::LiftRestriction { party_id }, staff),
                Some(hit) if hit.clearance_proposed_by.is_none() => {
                    self.desk(PayoutIntent::ProposeSanctionsClearance { party_id }, staff)
                }
                Some(_) => self.desk(PayoutIntent::ApproveSanctionsClearance { party_id }, staff),
            };
        }
        let Some(party_id) = self.chance.pick(&self.parties).copied() else { return Ok(()) };
        match self.chance.between(0, 9) {
            0..=4 => return self.desk(PayoutIntent::Restrict { party_id }, staff),
            5 => return self.desk(PayoutIntent::LiftRestriction { party_id }, staff),
            _ => {}
        }
        let has = |currency: &Currency| {
            self.document(&payee::stream(PayeeAccountId { party_id, currency: *currency })).is_some()
        };
        let currencies = [Currency::USD, Currency::EUR, Currency::JPY].into_iter().filter(has).collect::<Vec<_>>();
        let screening_ref = format!("screening_{}", self.chance.between(1, 1_000_000));
        self.desk(PayoutIntent::RecordSanctionsHit { party_id, screening_ref, currencies }, staff)
    }

    /// Finance is told where money of the platform is missing, and where it is not any more.
    pub(crate) fn look_at_the_coverage(&mut self) -> Result<(), Interrupt> {
        let currencies = [Currency::USD, Currency::EUR, Currency::JPY, Currency::KWD, Currency::HUF];
        // Often where something was missing, and is there again.
        let is_back = |stream: &StreamId, document: &Document| match document {
            Document::Aggregate(AggregateState::Treasury(treasury)) if treasury.uncovered => {
                let id = stream.aggregate_id.parse::<TreasuryId>().ok()?;
                self.oracle.coverage(id.currency).required_float().is_zero().then_some(id.currency)
            }
            _ => None,
        };
        let documents = self.records.documents.iter();
        let back: Vec<Currency> = documents.filter_map(|(stream, (document, _))| is_back(stream, document)).collect();
        let among = if back.is_empty() { &currencies[..] } else { &back };
        let Some(currency) = self.chance.pick(among).copied() else { return Ok(()) };
        let id = TreasuryId { psp: PSP.to_owned(), currency };
        let note = TreasuryCommand::NoteCoverage { coverage: self.oracle.coverage(currency) };
        let ask = Ask {
            intent: Intent::Fact(Command::Treasury(id, note)),
            actor: Actor::System(SystemPart::Timer),
            command_id: self.chance.uuid(self.now),
            if_match: None,
            answered: false,
        };
        self.perform(&ask).map(|_| ())
    }

    /// Top-ups, sweeps, and payouts that nobody has ordered.
    fn manage_the_balance(&mut self) -> Result<(), Interrupt> {
        let some = self.some_payee().map_or(Currency::USD, |known| known.currency);
        // Where somebody has to decide, more often than elsewhere.
        let waits = |treasury: &Treasury| {
            treasury.sweeps.values().any(|sweep| sweep.state == SweepState::Proposed)
                || treasury.foreign_payouts.values().any(|payout| !payout.adopted && !payout.returned)
        };
        let waiting = self.records.documents.iter().filter_map(|(stream, (document, _))| match document {
            Document::Aggregate(AggregateState::Treasury(treasury)) if waits(treasury) => {
                stream.aggregate_id.parse::<TreasuryId>().ok().map(|id| id.currency)
            }
            _ => None,
        });
        let waiting: Vec<Currency> = waiting.collect();
        let waiting = self.chance.pick(&waiting).copied().filter(|_| self.chance.per_mille(700));
        let currencies = [Currency::USD, Currency::EUR, Currency::JPY, Currency::KWD, Currency::HUF];
        let earned =
            |currency: &Currency| !self.oracle.coverage(*currency).may_be_taken(Minor::ZERO, Minor::ZERO).is_zero();
        let earned: Vec<Currency> = currencies.into_iter().filter(earned).collect();
        let earned = self.chance.pick(&earned).copied().filter(|_| self.chance.per_mille(600));
        let currency = waiting.or(earned).unwrap_or(some);
        let id = TreasuryId { psp: PSP.to_owned(), currency };
        let known = match self.document(&treasury::stream(&id)) {
            Some(Document::Aggregate(AggregateState::Treasury(treasury))) => treasury.as_ref().clone(),
            _ => Treasury::default(),
        };
        let proposed = known.sweeps.iter().find(|(_, sweep)| sweep.state == SweepState::Proposed);
        let foreign = known.foreign_payouts.iter().find(|(_, payout)| !payout.adopted && !payout.returned);
        let coverage = self.oracle.coverage(currency);
        let command = match (proposed, foreign, self.chance.between(0, 9)) {
            (Some((sweep_id, _)), _, 0..=5) => TreasuryCommand::ApproveSweep { sweep_id: *sweep_id, coverage },
            (Some((sweep_id, _)), _, 6 | 7) => TreasuryCommand::RejectSweep { sweep_id: *sweep_id },
            (_, Some((bank_payout_ref, _)), 0..=6) => {
                TreasuryCommand::AdoptPlatformPayout { bank_payout_ref: bank_payout_ref.clone() }
            }
            (_, _, 0..=6) => {
                let surplus = coverage.may_be_taken(Minor::ZERO, Minor::ZERO).get();
                let amount =
                    if self.chance.per_mille(850) { self.chance.between(1, surplus.max(1)) } else { surplus + 1 };
                TreasuryCommand::ProposeSweep {
                    sweep_id: SweepId::from_uuid(self.chance.uuid(self.now)),
                    amount: minor(amount),
                    buffer: Minor::ZERO,
                    coverage,
                }
            }
            _ => TreasuryCommand::RequestTopUp {
                top_up_id: TopUpId::from_uuid(self.chance.uuid(self.now)),
                amount: minor(self.chance.between(1, 1_000_000)),
            },
        };
        let actor = self.member();
        self.desk(PayoutIntent::Treasury { id, command }, actor)
    }
}
