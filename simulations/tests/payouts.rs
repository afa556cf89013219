//! Ten thousand payouts at a provider that loses answers and forgets keys.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use simulations::payouts::{Faults, Payouts, run};

const FAULTS: Faults = Faults { time_out_after_success: 200, lost_and_forgotten: 50, lacks_funds: 20 };

/// I8: of 10,000 payouts, a fifth of all calls time out after they succeeded, and one in twenty is lost with its key
/// forgotten: none is paid twice, none is lost, all are settled, and nothing is sent beside what is unknown.
#[test]
fn ten_thousand_payouts_are_each_paid_once() {
    let Payouts { paid, calls, timed_out, forgotten, found, absent, refused, events } =
        run(20_261_121, 10_000, FAULTS).unwrap();
    println!(
        "{paid} payouts, {calls} calls, {events} events: {timed_out} timed out after success, {forgotten} lost and \
         forgotten ({found} found by looking, {absent} not there and sent), {refused} refused for lack of money"
    );
    assert_eq!(paid, 10_000);
    assert!(calls > 20_000, "two for each, and those again that were lost: {calls}");
    let share = |part: u64| part * 1000 / calls;
    assert!((170..230).contains(&share(timed_out)), "a fifth of the calls: {timed_out}");
    assert!((40..60).contains(&share(forgotten)), "one in twenty: {forgotten}");
    assert!(refused > 0 && found > 0 && absent > 0);
    assert_eq!(found + absent, forgotten, "each that was forgotten was looked for, and nothing else");
}

/// Without faults nothing is sent twice or looked for.
#[test]
fn without_faults_each_call_is_made_once() {
    let none = Faults { time_out_after_success: 0, lost_and_forgotten: 0, lacks_funds: 0 };
    let quiet = run(1, 30, none).unwrap();
    assert_eq!((quiet.paid, quiet.calls, quiet.found, quiet.absent), (30, 60, 0, 0));
}

/// A seed is a run.
#[test]
fn a_seed_is_a_run() {
    assert_eq!(run(7, 200, FAULTS).unwrap(), run(7, 200, FAULTS).unwrap());
    assert_ne!(run(7, 200, FAULTS).unwrap(), run(8, 200, FAULTS).unwrap());
}
