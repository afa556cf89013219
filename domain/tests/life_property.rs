//! Whatever two parties, a provider and time do to a contract, and however late somebody looks.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod life;

use chrono::TimeDelta;
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::contract::{Change, Contract, ContractCommand as C, Parts};
use domain::id::FundingId;
use domain::intent::Intent;
use domain::milestone::{Milestone, MilestoneCommand as M, Remainder};
use domain::policy::HoldAction;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use ledger::Minor;
use life::Who::{Client, Payee};
use life::{Who, World, amendment, dispute, m, minor, plan};
use proptest::prelude::*;

const MILESTONES: u128 = 3;

/// Something that somebody does, at some time after what was done before.
#[derive(Debug, Clone)]
enum Act {
    OnContract(Who, C),
    OnMilestone(u128, Who, M),
    /// The client begins to pay what is missing.
    Pay(u128),
    /// The provider says that the newest payment succeeded.
    Succeed,
    /// The provider says that the newest payment failed.
    Fail,
    /// The dispute about a milestone is taken back.
    Resume(u128),
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Client), Just(Payee)]
}

fn on_contract() -> impl Strategy<Value = C> {
    let changes = (1..=MILESTONES, 1_i64..200_000)
        .prop_map(|(number, amount)| vec![Change::ChangeAmount { milestone_id: m(number), amount: minor(amount) }]);
    let added = (4_u128..6).prop_map(|number| vec![Change::AddMilestone { milestone: plan(number, 10_000) }]);
    let propose = prop_oneof![changes, added].prop_flat_map(|changes| {
        (1_u128..3).prop_map(move |number| C::ProposeAmendment {
            amendment_id: amendment(number),
            changes: changes.clone(),
            parts: Parts::default(),
        })
    });
    prop_oneof![
        3 => propose,
        3 => (1_u128..3).prop_map(|number| C::AcceptAmendment { amendment_id: amendment(number) }),
        1 => (1_u128..3).prop_map(|number| C::RejectAmendment { amendment_id: amendment(number) }),
        1 => Just(C::Cancel { reason: None, parts: Parts::default() }),
        1 => Just(C::Pause { reason: None }),
        2 => Just(C::Resume),
        1 => Just(C::RequestEnd { parts: Parts::default() }),
        1 => Just(C::AcceptEnd { parts: Parts::default() }),
        1 => Just(C::RequestDormancyRelease),
    ]
}

fn on_milestone() -> impl Strategy<Value = M> {
    let remainder = prop_oneof![
        Just(Remainder::Keep),
        Just(Remainder::RefundRequest),
        (1..=MILESTONES).prop_map(|number| Remainder::RollForward { milestone_id: m(number) }),
    ];
    let part = (1_i64..120_000, remainder).prop_map(|(gross, remainder)| M::ApprovePartially {
        gross: minor(gross),
        currency: None,
        remainder,
    });
    prop_oneof![
        5 => Just(M::SubmitWork),
        1 => Just(M::WithdrawSubmission),
        2 => Just(M::RequestChanges { note_ref: None }),
        2 => Just(M::Approve { amount: None, currency: None }),
        2 => part,
        1 => Just(M::RejectRollForward),
        3 => Just(M::AcceptRollForward),
        1 => Just(M::RequestRefund { amount: None, currency: None }),
        1 => (1_i64..120_000).prop_map(|amount| M::GrantRefund { amount: Some(minor(amount)), currency: None }),
        1 => Just(M::AcceptRefund),
        1 => (1_u128..5).prop_map(|number| M::RejectRefund { dispute_id: dispute(number) }),
        1 => (1_u128..5).prop_map(|number| M::OpenDispute { dispute_id: dispute(number) }),
        1 => Just(M::Cancel),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (who(), on_contract()).prop_map(|(who, command)| Act::OnContract(who, command)),
        8 => (1..=MILESTONES, who(), on_milestone())
            .prop_map(|(number, who, command)| Act::OnMilestone(number, who, command)),
        4 => (1..=MILESTONES).prop_map(Act::Pay),
        5 => Just(Act::Succeed),
        1 => Just(Act::Fail),
        1 => (1..=MILESTONES).prop_map(Act::Resume),
    ]
}

/// Acts with the minutes between them: mostly hours, now and then months, so that every deadline is met sometimes.
fn history() -> impl Strategy<Value = Vec<(i64, Act)>> {
    let pause = prop_oneof![6 => 0_i64..(3 * 24 * 60), 2 => 0_i64..(20 * 24 * 60), 1 => 0_i64..(120 * 24 * 60)];
    prop::collection::vec((pause, act()), 1..30)
}

/// How long the provider lets money lie, and what is done then.
fn limit() -> impl Strategy<Value = (&'static str, HoldAction)> {
    prop_oneof![
        Just(("US", HoldAction::Refund)),
        Just(("TH", HoldAction::Refund)),
        Just(("TH", HoldAction::ReleaseIfSubmitted)),
    ]
}

/// A contract, and the payments begun in it.
struct Play {
    world: World,
    payments: Vec<(FundingId, i64)>,
}

impl Play {
    fn new() -> Self {
        Self::under(("US", HoldAction::Refund))
    }

    fn under((country, action): (&str, HoldAction)) -> Self {
        let milestones = (1..=MILESTONES).map(|number| plan(number, 100_000)).collect();
        let mut world = World::offered_in(milestones, country, action);
        world.on_contract(Payee, C::Accept).unwrap();
        Self { world, payments: Vec::new() }
    }

    fn act(&mut self, act: &Act) -> Result<Vec<String>, Refusal> {
        match act {
            Act::OnContract(who, command) => self.world.on_contract(*who, command.clone()),
            Act::OnMilestone(number, who, command) => self.world.on_milestone(*number, *who, command.clone()),
            Act::Pay(number) => {
                let milestone = self.world.milestone(*number);
                let missing = milestone.progress().map(domain::milestone::Progress::missing);
                let amount = missing.or(milestone.plan().map(|plan| plan.amount)).map_or(1, Minor::get).max(1);
                let (funding_id, requested) = self.world.request_funding(*number, amount);
                if requested.is_ok() {
                    self.payments.push((funding_id, amount));
                }
                requested
            }
            Act::Succeed => match self.payments.last() {
                // What the provider says is never refused.
                Some((funding_id, amount)) => Ok(self.world.succeed_capturing(*funding_id, *amount).unwrap()),
                None => Ok(Vec::new()),
            },
            Act::Resume(number) => match self.world.milestone(*number) {
                Milestone::Disputed { dispute_id, .. } => {
                    let resume = M::ResumeAfterDispute { dispute_id };
                    self.world.system(Intent::Fact(Command::Milestone(m(*number), resume)))
                }
                _ => Ok(Vec::new()),
            },
            Act::Fail => match self.payments.last() {
                Some((funding_id, _)) => Ok(self.world.fail(*funding_id).unwrap()),
                None => Ok(Vec::new()),
            },
        }
    }

    /// What must be so after every act.
    fn check(&self) {
        let contract = self.world.contract();
        let AggregateState::Escrow(escrow) = self.world.state_of(&domain::escrow::stream(self.world.contract)) else {
            panic!("no escrow");
        };
        for plan in &contract.agreement().unwrap().milestones {
            let AggregateState::Milestone(milestone) =
                self.world.state_of(&domain::milestone::stream(plan.milestone_id))
            else {
                panic!("no milestone");
            };
            let holding = escrow.holdings().unwrap().milestones.get(&plan.milestone_id);
            // A milestone of which all was moved away begins anew.
            if let Some(progress) = milestone.progress() {
                let parts = [progress.held, progress.released, progress.refunded, progress.moved_out];
                assert_eq!(Minor::sum(parts).unwrap(), progress.funded, "{milestone:?}");
                let holding = holding.expect("an escrow knows what a milestone holds");
                let here = Minor::sum([holding.held, holding.disputed]).unwrap();
                let known = (progress.held, progress.released, progress.refunded);
                assert_eq!(known, (here, holding.released, holding.refunded), "they disagree: {milestone:?}");
                let disputed = matches!(milestone.as_ref(), Milestone::Disputed { .. });
                assert_eq!(disputed, !holding.disputed.is_zero(), "locked exactly while in dispute: {milestone:?}");
            } else if let Some(holding) = holding {
                assert_eq!((holding.held, holding.disputed), (Minor::ZERO, Minor::ZERO), "{milestone:?}");
            }
            assert!(
                !matches!(
                    milestone.as_ref(),
                    Milestone::Approved { .. } | Milestone::RefundPending { agreed: true, .. }
                ),
                "what is agreed is done in the same commit: {milestone:?}"
            );
            let part = milestone.part().unwrap();
            if contract.is_over() {
                assert!(part.held.is_zero() && !part.payment_under_way, "over with money: {milestone:?}");
            }
        }
        let blocked = self.world.log.iter().find(|event| event.event_type.ends_with("timer_blocked"));
        assert_eq!(blocked, None, "time is never refused");
        if let Contract::Completed { life, .. } = &contract {
            assert_eq!(life.open_milestones().count(), 0);
        }
    }
}

fn everything_that_happened(world: &World) -> Vec<(String, Timestamp, String)> {
    world.log.iter().map(|event| (event.stream.to_string(), event.occurred_at, event.payload.clone())).collect()
}

proptest! {
    // A history has up to thirty acts over some years, each followed by a check of everything.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// I4, I11: milestones agree with the escrow to the minor unit, nothing ends while it holds money, no deadline is
    /// refused, no fact from the provider is refused, and a refusal always has a reason of the caller's.
    #[test]
    fn milestones_agree_with_the_escrow(limit in limit(), acts in history()) {
        let mut play = Play::under(limit);
        for (minutes, act) in &acts {
            play.world.now += TimeDelta::minutes(*minutes);
            if let Err(refusal) = play.act(act) {
                prop_assert_ne!(refusal.code(), "internal_error", "{:?}: {}", act, refusal);
            }
            play.check();
        }
        play.world.wake_after_days(1_000);
        play.check();
    }

    /// The same acts at the same times have the same effect, whether somebody looks after deadlines in between or not.
    #[test]
    fn looking_in_between_changes_nothing(acts in history(), looks in prop::collection::vec(0_i64..=100, 30)) {
        let (mut lazy, mut eager) = (Play::new(), Play::new());
        for ((minutes, act), percent) in acts.iter().zip(looks) {
            let start = lazy.world.now;
            eager.world.wake_at(start + TimeDelta::minutes(minutes * percent / 100));
            for play in [&mut lazy, &mut eager] {
                play.world.now = start + TimeDelta::minutes(*minutes);
            }
            prop_assert_eq!(lazy.act(act), eager.act(act));
        }
        for play in [&mut lazy, &mut eager] {
            play.world.wake_after_days(500);
        }
        prop_assert_eq!(everything_that_happened(&lazy.world), everything_that_happened(&eager.world));
    }
}
