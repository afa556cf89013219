//! D7: inquiries, internal disputes that rest, deadlines, and several chargebacks at once.

use chrono::TimeDelta;
use domain::actor::StaffRole;
use domain::chargeback::ChargebackCommand;
use domain::command::Command;
use domain::fee::FeeSchedule;
use domain::intent::{Intent, MoneyIntent};
use domain::jurisdiction::Jurisdiction;
use domain::milestone::{Milestone, MilestoneCommand as M};
use domain::policy::Policy;
use domain::ports::provider::{DisputeStatus, ProviderReport};
use domain::process::facts;
use domain::refusal::Refusal;
use domain::rules::Rules;
use domain::time::Timestamp;
use domain::timer::Scope;

use super::bank::{Dispute, holding, holdings, milestone};
use super::ledgers::check;
use super::money::world::World;
use super::money::{contract, d, f, m, minor, payee, staff};

fn on(command: M) -> Intent {
    Intent::OnMilestone { milestone_id: m(1), command }
}

/// D-109: a bank that only asks moves nothing; the milestone is named, and goes on.
#[test]
fn an_inquiry_moves_nothing() {
    let mut world = World::f0(&[100_000]);
    let before = world.balance();
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    let events = dispute.is(DisputeStatus::WarningNeedsResponse).told(&mut world).unwrap();
    assert_eq!(events, ["chargeback.inquiry_received", "escrow.charge_disputed"]);
    assert_eq!(holdings(&world).chargebacks[&dispute.id()].milestones, [m(1)]);
    assert_eq!(milestone(&world, 1).state_name(), "funded");
    assert_eq!(dispute.is(DisputeStatus::WarningUnderReview).told(&mut world), Ok(Vec::new()));
    let events = dispute.is(DisputeStatus::WarningClosed).told(&mut world).unwrap();
    assert_eq!(events, ["chargeback.inquiry_closed", "escrow.charge_cleared"]);
    assert!(holdings(&world).chargebacks.is_empty());
    assert_eq!(world.balance(), before);
    check(&world);
    assert_eq!(dispute.is(DisputeStatus::WarningNeedsResponse).told(&mut world), Ok(Vec::new()), "came late");
    world.by_payee(on(M::GrantRefund { amount: None, currency: None })).unwrap();
}

/// D-109: an inquiry that becomes a chargeback makes the milestone rest.
#[test]
fn an_inquiry_can_become_a_chargeback() {
    let mut world = World::f0(&[100_000]);
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.is(DisputeStatus::WarningNeedsResponse).told(&mut world).unwrap();
    dispute.is(DisputeStatus::NeedsResponse).withdraws(105_000).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "suspended");
    assert_eq!(dispute.state(&world).case().unwrap().opening.cycle, 1);
    assert_eq!(dispute.is(DisputeStatus::WarningNeedsResponse).told(&mut world), Ok(Vec::new()), "came late");
    assert_eq!(dispute.is(DisputeStatus::UnderReview).told(&mut world).unwrap(), ["chargeback.review_started"]);
    assert_eq!(dispute.state(&world).state_name(), "under_review");
    assert_eq!(dispute.is(DisputeStatus::NeedsResponse).told(&mut world), Ok(Vec::new()), "of lower rank");
    check(&world);
}

/// D-112: an internal dispute rests while the bank disagrees, its locked money lent to the chargeback; won, it goes on.
#[test]
fn an_internal_dispute_rests() {
    let mut world = World::f0(&[100_000]);
    world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
    world.by_client(on(M::OpenDispute { dispute_id: d(1) })).unwrap();
    let disputed = milestone(&world, 1);
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.withdraws(105_000).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "suspended");
    assert_eq!(holding(&world, 1).disputed, minor(100_000), "locked once");
    check(&world);
    let resume = || Intent::Fact(Command::Milestone(m(1), M::ResumeAfterDispute { dispute_id: d(1) }));
    assert_eq!(world.system(resume()), Err(Refusal::ChargeDisputed { chargeback_id: dispute.id() }));

    dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1), disputed, "as it was, with what was left of the review");
    assert!(holdings(&world).disputes.contains_key(&d(1)));
    check(&world);
    world.system(resume()).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "submitted");
    check(&world);
}

/// D-112: lost, there is nothing left to disagree about.
#[test]
fn an_internal_dispute_about_lost_money_is_over() {
    let mut world = World::f0(&[100_000]);
    world.by_client(on(M::OpenDispute { dispute_id: d(1) })).unwrap();
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.withdraws(105_000).is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "planned");
    assert!(holdings(&world).disputes.is_empty());
    assert!(holdings(&world).done.disputes.contains(&d(1)));
    check(&world);
}

/// A wish for a refund has its clock stopped, too, and its time after the victory.
#[test]
fn a_wish_for_a_refund_rests() {
    let mut world = World::f0(&[100_000]);
    world.by_client(on(M::RequestRefund { amount: None, currency: None })).unwrap();
    world.now += TimeDelta::days(2);
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.told(&mut world).unwrap();
    world.now += TimeDelta::days(30);
    world.wake();
    dispute.is(DisputeStatus::Won).told(&mut world).unwrap();
    let Milestone::RefundPending { respond_by, .. } = milestone(&world, 1) else { panic!("not asked for") };
    assert_eq!(respond_by, Some(world.now + TimeDelta::days(5)), "2 of 7 days had passed");
    world.by_payee(on(M::AcceptRefund)).unwrap();
    check(&world);
}

/// A milestone that two payments are for rests until both banks are done; one loss leaves the other payment's money.
#[test]
fn a_milestone_rests_until_the_last_bank_is_done() {
    let mut world = World::f0(&[100_000]);
    world
        .by_client(on(M::ApprovePartially {
            gross: minor(1000),
            currency: None,
            remainder: domain::milestone::Remainder::Keep,
        }))
        .unwrap();
    let (mut one, mut other) = (Dispute::of(f(1), "dp_1", 50_000), Dispute::of(f(1), "dp_2", 55_000));
    one.withdraws(50_000).told(&mut world).unwrap();
    other.withdraws(55_000).told(&mut world).unwrap();
    check(&world);
    assert_eq!(holding(&world, 1).disputed, minor(99_000));
    one.is(DisputeStatus::Won).reinstates(50_000).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "suspended");
    other.is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!(milestone(&world, 1).state_name(), "partially_released");
    check(&world);
    world.approve(1).unwrap();
    check(&world);
}

/// 48 hours before the bank's deadline the log says that evidence is due; once, and not when the bank was answered.
#[test]
fn evidence_is_due_two_days_before_the_deadline() {
    let mut world = World::f0(&[100_000]);
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    let due_by = world.now + TimeDelta::days(10);
    dispute.report.evidence_due_by = Some(due_by);
    dispute.told(&mut world).unwrap();
    let scope = || Intent::Wake(Scope::Stream(domain::chargeback::stream(dispute.id())));
    world.now = due_by - TimeDelta::hours(48) - TimeDelta::seconds(1);
    world.system(scope()).unwrap();
    assert!(world.times_of("chargeback.evidence_due").is_empty());
    world.now += TimeDelta::days(20);
    world.system(scope()).unwrap();
    world.system(scope()).unwrap();
    assert_eq!(world.times_of("chargeback.evidence_due"), [due_by - TimeDelta::hours(48)]);
    check(&world);
}

/// A party has no business with what the bank is told.
#[test]
fn a_party_does_not_answer_the_bank() {
    let mut world = World::f0(&[100_000]);
    let dispute = Dispute::of(f(1), "dp_1", 105_000);
    let evidence = Box::new(super::evidence::bundle_of(&world, "dp_1"));
    let submit =
        |id| Intent::Fact(Command::Chargeback(id, ChargebackCommand::SubmitEvidence { evidence: evidence.clone() }));
    assert_eq!(world.system(submit(dispute.id())), Err(Refusal::NotFound { what: "chargeback" }));
    dispute.told(&mut world).unwrap();
    let by_payee = domain::actor::Actor::Payee(payee());
    assert_eq!(world.perform(by_payee, submit(dispute.id())), Err(Refusal::NotAParty));
}

/// Told in any order, and twice, what the provider says ends in the same books: for a dispute that is lost, one that is won,
/// one that is lost in a second presentment, and one that was only a question.
#[test]
fn the_order_of_reports_does_not_matter() {
    let asked = || Dispute::of(f(1), "dp_1", 105_000).is(DisputeStatus::WarningNeedsResponse).clone();
    let taken = || asked().is(DisputeStatus::NeedsResponse).withdraws(105_000).clone();
    let reviewed = || taken().is(DisputeStatus::UnderReview).clone();
    let won = || reviewed().is(DisputeStatus::Won).reinstates(105_000).clone();
    let lost = || reviewed().is(DisputeStatus::Lost).clone();
    let again = || won().is(DisputeStatus::Lost).withdraws(105_000).clone();
    let closed = || asked().is(DisputeStatus::WarningClosed).clone();
    let stories = [
        vec![asked(), taken(), reviewed(), lost()],
        vec![asked(), taken(), reviewed(), won(), again()],
        vec![asked(), closed()],
    ];
    for story in stories {
        let mut ends = std::collections::BTreeSet::new();
        for order in permutations(story.len()) {
            let mut world = World::f0(&[100_000]);
            for report in order.iter().chain(order.first()).map(|index| &story[*index]) {
                report.told(&mut world).unwrap();
            }
            check(&world);
            let state = milestone(&world, 1).state_name();
            ends.insert((world.balance().into_iter().collect::<Vec<_>>(), state));
        }
        assert_eq!(ends.len(), 1, "{ends:?}");
    }
}

/// Every order of so many things.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for index in 0..count {
        let longer = orders.iter().flat_map(|order: &Vec<usize>| {
            (0..=order.len()).map(move |place| {
                let mut order = order.clone();
                order.insert(place, index);
                order
            })
        });
        orders = longer.collect();
    }
    orders
}

/// A report has one identity, a further movement or status another one; a dispute about a charge that is not ours is none.
#[test]
fn a_report_is_recorded_once() {
    let ids = |dispute: &Dispute| -> Vec<_> {
        facts(&ProviderReport::Dispute(dispute.report.clone())).into_iter().map(|fact| fact.command_id).collect()
    };
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    let opened = ids(&dispute);
    assert_eq!((opened.len(), &opened), (1, &ids(&dispute)));
    let withdrawn = ids(dispute.withdraws(105_000));
    let lost = ids(dispute.is(DisputeStatus::Lost));
    assert!(opened != withdrawn && withdrawn != lost && opened != lost);
    dispute.report.funding_id = None;
    assert!(ids(&dispute).is_empty());
}

/// A timer that is refused is disarmed by the chargeback's own event.
#[test]
fn a_timer_that_is_refused_does_not_fire_again() {
    let mut world = World::f0(&[100_000]);
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.report.evidence_due_by = Some(world.now + TimeDelta::days(10));
    dispute.told(&mut world).unwrap();
    let (key, reason) = ("evidence".to_owned(), "no_effect".to_owned());
    let block = Command::Chargeback(dispute.id(), ChargebackCommand::BlockTimer { key, reason });
    assert_eq!(world.fact(block).unwrap(), ["chargeback.timer_blocked"]);
    let stream = domain::chargeback::stream(dispute.id());
    assert!(world.state(&stream).timers(&stream).is_empty());
}

/// I5: a bank disagrees while the escrow is frozen, and the review would be past if the freeze had not stopped its clock:
/// then all of it is left, and the client is not taken to have approved the moment that the bank gives in.
#[test]
fn a_review_that_a_freeze_has_stopped_is_not_past() {
    let mut world = World::f0(&[100_000]);
    world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
    let Milestone::Submitted { review_due_at: Some(due_at), .. } = milestone(&world, 1) else { panic!() };
    let review = due_at - world.now;
    let (admin, contract_id) = (staff(StaffRole::Admin), contract());
    let freeze = MoneyIntent::Freeze { contract_id, reason: "court_order".to_owned(), legal_ref: None };
    world.perform(admin, Intent::Money(freeze)).unwrap();
    world.now = due_at + TimeDelta::days(1);
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.withdraws(105_000).told(&mut world).unwrap();
    world.perform(admin, Intent::Money(MoneyIntent::Unfreeze { contract_id })).unwrap();
    world.now += TimeDelta::days(2);
    dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    let Milestone::Submitted { review_due_at, .. } = milestone(&world, 1) else { panic!() };
    assert_eq!(review_due_at, Some(world.now + review));
    world.wake();
    assert!(world.times_of("milestone.auto_approved").is_empty());
    check(&world);
}

/// I4: of a milestone in dispute two banks have taken both payments. One keeps its money, the other gives it back: to the
/// dispute, which is not over.
#[test]
fn a_dispute_gets_back_what_another_bank_did_not_keep() {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    let pay_in = MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(1),
        allocations: Vec::new(),
        deposit: minor(40_000),
        currency: ledger::Currency::USD,
        paid_from: domain::escrow::PaidFrom::Provider,
        payment_method: "pm_1".to_owned(),
    };
    world.by_client(Intent::Money(pay_in)).unwrap();
    world.succeed(f(1)).unwrap();
    let assign = MoneyIntent::AllocateDeposit {
        contract_id: contract(),
        reallocation_id: domain::id::ReallocationId::from_uuid(uuid::Uuid::from_u128(1)),
        to: m(1),
        amount: minor(40_000),
    };
    world.by_client(Intent::Money(assign)).unwrap();
    world.fund(2, &[(1, 60_000)]).unwrap();
    world.succeed(f(2)).unwrap();
    world.by_client(on(M::OpenDispute { dispute_id: d(1) })).unwrap();
    let (mut first, mut second) = (Dispute::of(f(1), "dp_1", 42_000), Dispute::of(f(2), "dp_2", 63_000));
    first.withdraws(42_000).told(&mut world).unwrap();
    second.withdraws(63_000).told(&mut world).unwrap();
    first.is(DisputeStatus::Lost).told(&mut world).unwrap();
    second.is(DisputeStatus::Won).reinstates(63_000).told(&mut world).unwrap();
    assert_eq!(holding(&world, 1).disputed, minor(60_000));
    assert!(holdings(&world).disputes.contains_key(&d(1)));
    assert!(matches!(milestone(&world, 1), Milestone::Disputed { .. }));
    check(&world);
}

/// B.4, D-105: a chargeback that comes, or ends, while staff has frozen the escrow takes nothing of a clock that stands
/// still: frozen on day 4 of 14, contested on day 20, 10 days are left, whichever ends first.
#[test]
fn a_chargeback_in_a_freeze_leaves_what_was_left() {
    // Days after which it is won, and unfrozen, in the order in which they happen.
    for (won, unfrozen) in [(30, 25), (25, 30)] {
        let mut world = two_years();
        world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
        let begin = world.now;
        let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
        freeze(&mut world, begin + TimeDelta::days(4));
        world.now = begin + TimeDelta::days(20);
        dispute.told(&mut world).unwrap();
        let win = |world: &mut World, dispute: &mut Dispute| {
            world.now = begin + TimeDelta::days(won);
            dispute.is(DisputeStatus::Won).told(world).unwrap();
        };
        if won < unfrozen {
            win(&mut world, &mut dispute);
        }
        unfreeze(&mut world, begin + TimeDelta::days(unfrozen));
        if won > unfrozen {
            win(&mut world, &mut dispute);
        }
        let Milestone::Submitted { review_due_at, .. } = milestone(&world, 1) else { panic!("not under review") };
        assert_eq!(review_due_at, Some(world.now + TimeDelta::days(10)), "won on day {won}");
    }
}

/// B.4: the same of an internal dispute: frozen on day 10 of 14, 4 days are left, however late it is opened.
#[test]
fn a_dispute_in_a_freeze_leaves_what_was_left() {
    for opened in [12, 40] {
        let mut world = two_years();
        world.by_payee(Intent::SubmitWork { milestone_id: m(1) }).unwrap();
        let begin = world.now;
        freeze(&mut world, begin + TimeDelta::days(10));
        world.now = begin + TimeDelta::days(opened);
        world.by_client(on(M::OpenDispute { dispute_id: d(1) })).unwrap();
        unfreeze(&mut world, begin + TimeDelta::days(50));
        world.system(Intent::Fact(Command::Milestone(m(1), M::ResumeAfterDispute { dispute_id: d(1) }))).unwrap();
        let Milestone::Submitted { review_due_at, .. } = milestone(&world, 1) else { panic!("not under review") };
        assert_eq!(review_due_at, Some(world.now + TimeDelta::days(4)), "opened on day {opened}");
    }
}

/// F0 at a provider that lets money lie for two years.
fn two_years() -> World {
    let mut policy = Policy::default();
    policy.psp_hold.platform_country = Some(Jurisdiction::new("US").unwrap());
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), policy);
    world.fund(1, &[(1, 100_000)]).unwrap();
    world.succeed(f(1)).unwrap();
    world
}

fn freeze(world: &mut World, now: Timestamp) {
    world.now = now;
    let freeze = MoneyIntent::Freeze { contract_id: contract(), reason: "court_order".to_owned(), legal_ref: None };
    world.perform(staff(StaffRole::Admin), Intent::Money(freeze)).unwrap();
}

fn unfreeze(world: &mut World, now: Timestamp) {
    world.now = now;
    let unfreeze = MoneyIntent::Unfreeze { contract_id: contract() };
    world.perform(staff(StaffRole::Admin), Intent::Money(unfreeze)).unwrap();
}
