//! Looking after deadlines comes to an end, whatever a policy says and whatever happened in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod money;

use chrono::TimeDelta;
use domain::fee::FeeSchedule;
use domain::intent::Intent;
use domain::jurisdiction::Jurisdiction;
use domain::milestone::MilestoneCommand as M;
use domain::policy::Policy;
use domain::timer::Timer;
use money::world::World;
use money::*;

/// One milestone that is funded, under a policy with these days of silence.
fn silent_for(warn_days: u16, warn_again_days: u16, dormant_days: u16) -> World {
    let mut policy = Policy::default();
    policy.psp_hold.platform_country = Some(Jurisdiction::new("US").unwrap());
    policy.dormancy.warn_days = warn_days;
    policy.dormancy.warn_again_days = warn_again_days;
    policy.dormancy.dormant_days = dormant_days;
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), policy);
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world
}

/// A party does something that leaves no question open.
fn something_happens(world: &mut World) {
    world.by_payee(Intent::OnMilestone { milestone_id: m(1), command: M::SubmitWork }).unwrap();
    world.by_payee(Intent::OnMilestone { milestone_id: m(1), command: M::WithdrawSubmission }).unwrap();
}

fn days_told(world: &World) -> Vec<i64> {
    let warned = world.log.iter().filter(|event| event.event_type == "contract.dormancy_warned");
    let day = |payload: &str| serde_json::from_str::<serde_json::Value>(payload).unwrap()["day"].as_i64().unwrap();
    warned.map(|event| day(&event.payload)).collect()
}

/// Something happens between two warnings, exactly the days of the first one before the second is due: the first is due
/// again at that very instant. It is told then, and not set again to the same instant.
#[test]
fn a_look_never_sets_the_instant_that_has_just_come() {
    for (hours, next) in [(72, 8 * 24), (60, 60 + 5 * 24)] {
        let mut world = silent_for(2, 5, 10);
        let begin = world.now;
        world.now = begin + TimeDelta::hours(hours);
        something_happens(&mut world);
        world.now = begin + TimeDelta::days(6);
        world.wake();
        let at = |hours| begin + TimeDelta::hours(hours);
        assert_eq!(world.times_of("contract.dormancy_warned"), [at(2 * 24), at(5 * 24)]);
        assert_eq!(days_told(&world), [2, 2], "the days count anew");
        world.now = begin + TimeDelta::days(30);
        world.wake();
        assert_eq!(world.times_of("contract.dormancy_warned").last(), Some(&at(next)));
        assert_eq!(days_told(&world), [2, 2, 5]);
        assert_eq!(world.times_of("contract.marked_dormant"), [at(hours + 10 * 24)]);
    }
}

/// Where even the second warning is past when the last look finds that something happened, that one is told.
#[test]
fn the_last_look_tells_the_day_that_it_is() {
    let mut world = silent_for(2, 3, 10);
    let begin = world.now;
    world.now = begin + TimeDelta::days(4);
    something_happens(&mut world);
    world.now = begin + TimeDelta::days(30);
    world.wake();
    assert_eq!(days_told(&world), [2, 3, 3]);
    assert_eq!(world.times_of("contract.marked_dormant"), [begin + TimeDelta::days(14)]);
}

/// A policy that nobody may write any more lets a timer set its own instant again: it is blocked, and what comes after it
/// has its turn.
#[test]
fn a_timer_that_would_be_due_for_ever_is_blocked() {
    let mut world = silent_for(2, 5, 10);
    let begin = world.now;
    // What is stored in a contract is not judged again.
    for event in &mut world.log {
        event.payload = event.payload.replace("\"warn_again_days\":5", "\"warn_again_days\":2");
    }
    world.now += TimeDelta::days(30);
    world.wake();
    let blocked = world.log.iter().filter(|event| event.event_type == "contract.timer_blocked");
    assert_eq!(blocked.map(|event| event.occurred_at).collect::<Vec<_>>(), [begin + TimeDelta::days(2)]);
    assert_eq!(days_told(&world), Vec::<i64>::new());
    world.approve(1).unwrap();
}

/// Two servers fire the same timer under one id; the same deadline, set again later, is another timer.
#[test]
fn a_timer_is_named_by_the_version_of_its_stream() {
    let world = silent_for(76, 83, 90);
    let stream = domain::contract::stream(contract());
    let timers = world.state(&stream).timers(&stream);
    let [timer]: [Timer; 1] = timers.try_into().unwrap();
    assert_eq!(timer.command_id(7), timer.command_id(7));
    assert_ne!(timer.command_id(7), timer.command_id(8));
    let later = Timer { due_at: timer.due_at + TimeDelta::milliseconds(1), ..timer.clone() };
    assert_ne!(timer.command_id(7), later.command_id(7));
}
