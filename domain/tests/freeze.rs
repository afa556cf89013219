//! A freeze stops the clocks that decide about held money, and each goes on with what was left of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::actor::StaffRole;
use domain::contract::{ContractCommand, Parts};
use domain::fee::FeeSchedule;
use domain::id::DisputeId;
use domain::intent::{Intent, MoneyIntent};
use domain::jurisdiction::Jurisdiction;
use domain::milestone::MilestoneCommand as M;
use domain::policy::Policy;
use domain::time::Timestamp;
use money::world::World;
use money::*;

/// One milestone of 1,000.00, at a provider that lets money lie for two years.
fn funded() -> World {
    let mut policy = Policy::default();
    policy.psp_hold.platform_country = Some(Jurisdiction::new("US").unwrap());
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), policy);
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world
}

fn freeze(world: &mut World) {
    let freeze = MoneyIntent::Freeze { contract_id: contract(), reason: "court_order".to_owned(), legal_ref: None };
    world.perform(staff(StaffRole::Admin), Intent::Money(freeze)).unwrap();
}

fn unfreeze(world: &mut World) -> Vec<String> {
    let unfreeze = MoneyIntent::Unfreeze { contract_id: contract() };
    world.perform(staff(StaffRole::Admin), Intent::Money(unfreeze)).unwrap()
}

fn on(command: M) -> Intent {
    Intent::OnMilestone { milestone_id: m(1), command }
}

fn nothing_was_blocked(world: &World) {
    assert!(!world.log.iter().any(|event| event.event_type.ends_with("timer_blocked")));
}

/// Looks after deadlines at that instant: `event_type` happens at exactly `due_at`.
fn happens_at(world: &mut World, event_type: &str, due_at: Timestamp) {
    world.now = due_at - TimeDelta::milliseconds(1);
    world.wake();
    assert!(world.times_of(event_type).is_empty(), "{event_type} before its time");
    world.now = due_at + TimeDelta::days(3);
    world.wake();
    assert_eq!(world.times_of(event_type), [due_at], "{event_type}");
    nothing_was_blocked(world);
}

/// The review window: frozen on day 10 of 14 for 30 days, it closes 4 days after that. While it is frozen, time approves
/// nothing, however often somebody looks.
#[test]
fn a_review_window_has_what_was_left_of_it() {
    let mut world = funded();
    world.by_payee(on(M::SubmitWork)).unwrap();
    world.now += TimeDelta::days(10);
    freeze(&mut world);
    for _ in 0..3 {
        world.now += TimeDelta::days(10);
        world.wake();
        assert!(world.times_of("milestone.auto_approved").is_empty());
    }
    assert_eq!(unfreeze(&mut world), ["escrow.unfrozen", "milestone.deadline_moved"]);
    let due_at = world.now + TimeDelta::days(4);
    happens_at(&mut world, "milestone.auto_approved", due_at);
    assert_eq!(world.balance().get("2200"), Some(&-90_000), "and it is released");
}

/// A window that began while it was frozen is whole afterwards.
#[test]
fn what_begins_in_a_freeze_has_its_whole_time_after_it() {
    let mut world = funded();
    freeze(&mut world);
    world.now += TimeDelta::days(20);
    world.by_payee(on(M::SubmitWork)).unwrap();
    world.now += TimeDelta::days(20);
    unfreeze(&mut world);
    let due_at = world.now + TimeDelta::days(14);
    happens_at(&mut world, "milestone.auto_approved", due_at);
}

/// A wish of somebody.
type Ask = dyn Fn(&mut World) -> Result<Vec<String>, domain::refusal::Refusal>;

/// The same of a wish for a refund, of the end of a contract, and of silence: none of them decides in a freeze.
#[test]
fn other_deadlines_wait_too() {
    let refund = |world: &mut World| world.by_client(on(M::RequestRefund { amount: None, currency: None }));
    let end = |world: &mut World| {
        let command = ContractCommand::RequestEnd { parts: Parts::default() };
        world.by_client(Intent::OnContract { contract_id: contract(), command })
    };
    let asked: [(&Ask, &str, &[&str]); 2] = [
        (&refund, "milestone.refund_agreed", &["milestone.deadline_moved", "contract.dormancy_postponed"]),
        (&end, "contract.end_agreed", &["contract.deadline_extended"]),
    ];
    for (ask, event_type, moved) in asked {
        let mut world = funded();
        ask(&mut world).unwrap();
        world.now += TimeDelta::days(5);
        freeze(&mut world);
        world.now += TimeDelta::days(100);
        world.wake();
        assert_eq!(unfreeze(&mut world), [&["escrow.unfrozen"], moved].concat());
        let due_at = world.now + TimeDelta::days(2);
        happens_at(&mut world, event_type, due_at);
        assert_eq!(world.balance().get("2260"), Some(&-105_000), "{event_type} gives the money back");
    }

    // Dormant since day 90; the client had 5 of 7 days left.
    let mut world = funded();
    world.now += TimeDelta::days(92);
    world.wake();
    assert_eq!(world.times_of("contract.marked_dormant").len(), 1);
    freeze(&mut world);
    world.now += TimeDelta::days(30);
    world.wake();
    assert_eq!(unfreeze(&mut world), ["escrow.unfrozen", "contract.deadline_extended"]);
    let due_at = world.now + TimeDelta::days(5);
    happens_at(&mut world, "contract.dormancy_escalated_to_payee", due_at);
}

/// Silence in a freeze does not make a contract dormant: whoever ends the freeze is active.
#[test]
fn the_days_of_silence_count_from_the_end_of_the_freeze() {
    let mut world = funded();
    world.now += TimeDelta::days(10);
    freeze(&mut world);
    world.now += TimeDelta::days(200);
    world.wake();
    let events = unfreeze(&mut world);
    assert_eq!(events, ["escrow.unfrozen", "contract.dormancy_postponed"], "so that somebody is woken to look");
    let warned_at = world.now + TimeDelta::days(76);
    happens_at(&mut world, "contract.dormancy_warned", warned_at);
}

/// A dispute that is opened in a freeze, after the window would have closed, leaves the client what the freeze had left.
#[test]
fn a_dispute_in_a_freeze_keeps_a_review_window() {
    let mut world = funded();
    world.by_payee(on(M::SubmitWork)).unwrap();
    world.now += TimeDelta::days(10);
    freeze(&mut world);
    world.now += TimeDelta::days(30);
    let dispute_id = DisputeId::from_uuid(uuid(800));
    world.by_client(on(M::OpenDispute { dispute_id })).unwrap();
    assert_eq!(unfreeze(&mut world), ["escrow.unfrozen"], "no clock runs in a dispute");
    world.now += TimeDelta::days(1);
    let resume = domain::command::Command::Milestone(m(1), M::ResumeAfterDispute { dispute_id });
    world.fact(resume).unwrap();
    let due_at = world.now + TimeDelta::days(4);
    happens_at(&mut world, "milestone.auto_approved", due_at);
}

/// What has nothing to do with held money does not wait: a payment that nobody completes still expires.
#[test]
fn a_payment_expires_in_a_freeze() {
    let mut world = World::new().accepted(&[100_000, 50_000], FeeSchedule::two_sided(), Policy::default());
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world.fund(2, &[(2, 50_000)]).unwrap();
    let due_at = world.now + TimeDelta::hours(24);
    freeze(&mut world);
    happens_at(&mut world, "funding.expired", due_at);
}
