//! What a client was refunded, and a bank takes back, too: the client has it once, in whatever order it happens.

use chrono::TimeDelta;
use domain::actor::StaffRole;
use domain::aggregate::AggregateState;
use domain::command::Command;
use domain::event::DomainEvent;
use domain::id::{PayoutId, RefundId};
use domain::intent::{Intent, MoneyIntent};
use domain::milestone::MilestoneCommand as M;
use domain::payout::PayoutCommand;
use domain::policy::Policy;
use domain::ports::provider::{DisputeStatus, ProviderOrder};
use domain::refund::RefundCommand;
use domain::refusal::Refusal;
use domain::wallet::{ClientWallet, WalletId};
use ledger::Currency;

use super::bank::{Dispute, clear, earnings, tell};
use super::ledgers::{check, joined};
use super::money::world::World;
use super::money::{client, f, m, minor, payee, r, staff, uuid};
use super::money_taken_back::cleared;
use super::returned::returned;

/// What happens to a refund.
type Story = Box<dyn Fn(&mut World, RefundId)>;

/// F0, and the payee has agreed to a refund of all of it.
fn agreed() -> (World, Dispute, RefundId) {
    let mut world = World::f0(&[100_000]);
    let grant = M::GrantRefund { amount: None, currency: None };
    world.by_payee(Intent::OnMilestone { milestone_id: m(1), command: grant }).unwrap();
    let requested = world.log.iter().find(|event| event.event_type == "refund.requested").unwrap();
    let id = requested.stream.aggregate_id.parse().unwrap();
    (world, Dispute::of(f(1), "dp_1", 105_000), id)
}

fn told(world: &mut World, id: RefundId, report: RefundCommand) -> Vec<String> {
    world.fact(Command::Refund(id, report)).unwrap()
}

fn refused(code: &str) -> RefundCommand {
    RefundCommand::RecordRefused { code: code.to_owned() }
}

fn succeeded() -> RefundCommand {
    RefundCommand::RecordSucceeded { refund_ref: "re_1".to_owned(), balance_transaction_ref: None, taken: None }
}

fn failed() -> RefundCommand {
    RefundCommand::RecordFailed { code: "expired_or_canceled_card".to_owned(), came_back: None }
}

fn redirect(refund_id: RefundId) -> Intent {
    Intent::Money(MoneyIntent::RedirectRefund { refund_id })
}

fn state_of(world: &World, id: RefundId) -> &'static str {
    world.state(&domain::refund::stream(id)).state_name()
}

fn wallet(world: &World) -> ClientWallet {
    let id = WalletId { party_id: client(), currency: Currency::USD };
    match world.state(&domain::wallet::stream(id)) {
        AggregateState::Wallet(wallet) => wallet,
        other => panic!("{other:?}"),
    }
}

fn lose(world: &mut World, dispute: &mut Dispute) {
    dispute.withdraws(105_000).told(world).unwrap();
    dispute.is(DisputeStatus::Lost).told(world).unwrap();
}

/// The books without the provider's balance and its fees.
fn books(world: &World) -> Vec<(&'static str, i128)> {
    world.balance().into_iter().filter(|(code, _)| !["1110", "1120", "5120"].contains(code)).collect()
}

/// B.6, J55: the provider refuses the refund because a bank disagrees, before the dispute is known here. Nobody gives it to
/// the wallet; when the bank keeps the payment, that has settled the refund, and costs the platform nothing.
#[test]
fn a_refund_that_a_dispute_has_stopped_is_settled_by_its_loss() {
    let (mut world, mut dispute, id) = agreed();
    told(&mut world, id, refused("charge_disputed"));
    let reason = "charge_disputed".to_owned();
    assert_eq!(world.by_client(redirect(id)), Err(Refusal::RefundNotRedirectable { reason }));
    dispute.withdraws(105_000).told(&mut world).unwrap();
    let contested = Err(Refusal::ChargeDisputed { chargeback_id: dispute.id() });
    assert_eq!(world.by_client(redirect(id)), contested);
    assert_eq!(world.perform(staff(StaffRole::Finance), redirect(id)), contested);
    check(&world);
    let events = dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    let one_commit = [
        "chargeback.lost",
        "escrow.chargeback_held",
        "escrow.chargeback_absorbed",
        "escrow.charge_cleared",
        "refund.redirected",
        "wallet.credited",
        "wallet.chargeback_absorbed",
    ];
    assert_eq!(events.iter().filter(|name| one_commit.contains(&name.as_str())).count(), events.len(), "{events:?}");
    let entries = [world.entry("refund.redirected"), world.entry("wallet.chargeback_absorbed")];
    let both = |account: &str, side: &str| (side.to_owned(), account.to_owned(), 105_000);
    assert_eq!(joined(&entries), [both("1200", "Cr"), both("2120", "Cr"), both("2120", "Dr"), both("2260", "Dr")]);
    assert_eq!((books(&world), state_of(&world, id)), (Vec::new(), "redirected"));
    check(&world);
}

/// The dispute is won: the refund that it had stopped is asked for again, under a new order, and arrives.
#[test]
fn a_refund_that_a_dispute_has_stopped_is_asked_for_again_when_it_is_won() {
    let (mut world, mut dispute, id) = agreed();
    let orders = |world: &World| {
        let refunds = world.orders.iter().filter(|order| matches!(order.what, ProviderOrder::Refund { .. }));
        refunds.map(|order| order.order_id).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(orders(&world), 1);
    told(&mut world, id, refused("charge_disputed"));
    dispute.withdraws(105_000).told(&mut world).unwrap();
    let events = dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    assert!(events.contains(&"refund.requested".to_owned()), "{events:?}");
    assert_eq!((orders(&world), state_of(&world, id)), (2, "requested"));
    told(&mut world, id, succeeded());
    assert_eq!(books(&world), Vec::new());
    check(&world);
}

/// What was refused for another reason is not asked for again.
#[test]
fn a_refund_that_waits_for_something_else_waits_on() {
    let (mut world, mut dispute, id) = agreed();
    told(&mut world, id, refused("charge_already_refunded"));
    dispute.withdraws(105_000).told(&mut world).unwrap();
    dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    assert_eq!(state_of(&world, id), "requires_manual");
    let reason = "charge_already_refunded".to_owned();
    for actor in [domain::actor::Actor::Client(client()), staff(StaffRole::Finance)] {
        let refusal = Refusal::RefundNotRedirectable { reason: reason.clone() };
        assert_eq!(world.perform(actor, redirect(id)), Err(refusal), "it may have arrived by another hand");
    }
    check(&world);
}

/// J32, J55: the refund came back to the wallet days later, and the client charges back: what the wallet has of it is not
/// spent while the bank decides, and settles the loss.
#[test]
fn a_refund_that_came_back_to_the_wallet_is_held_and_taken() {
    for lost in [true, false] {
        let (mut world, mut dispute, id) = agreed();
        told(&mut world, id, succeeded());
        told(&mut world, id, failed());
        assert_eq!(wallet(&world).spendable(), minor(105_000));
        dispute.withdraws(105_000).told(&mut world).unwrap();
        assert_eq!((wallet(&world).balance, wallet(&world).spendable()), (minor(105_000), minor(0)));
        let (client_id, currency) = (client(), Currency::USD);
        let out = MoneyIntent::WithdrawFromWallet { client_id, currency, refund_id: r(9), amount: minor(1) };
        let nothing = Refusal::InsufficientWalletBalance { balance: minor(0) };
        assert_eq!(world.by_client(Intent::Money(out)), Err(nothing));
        check(&world);
        if lost {
            dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
            assert_eq!(books(&world), Vec::new(), "nobody has it twice, and it costs nobody anything");
        } else {
            dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
            assert_eq!(wallet(&world).spendable(), minor(105_000));
        }
        assert!(wallet(&world).contested_refunds.is_empty());
        check(&world);
    }
}

/// J55: of what the wallet does not have any more, the platform bears the loss; what comes to it later of that payment
/// undoes that.
#[test]
fn what_is_spent_is_the_platforms_loss() {
    let (mut world, mut dispute, id) = agreed();
    told(&mut world, id, refused("declined"));
    world.by_client(redirect(id)).unwrap();
    let (client_id, currency) = (client(), Currency::USD);
    let out = MoneyIntent::WithdrawFromWallet { client_id, currency, refund_id: r(9), amount: minor(100_000) };
    world.by_client(Intent::Money(out)).unwrap();
    lose(&mut world, &mut dispute);
    assert_eq!(books(&world), [("2260", -100_000), ("5200", 100_000)]);
    check(&world);
}

/// B.6: a part of the payment was refunded, and the bank takes a part: both together are not more than was paid, and nothing
/// is taken of the wallet. The bank that takes more takes what is too much.
#[test]
fn what_is_not_too_much_together_stays() {
    for (disputed, left) in [(40_000, 42_000), (70_000, 35_000)] {
        let mut world = World::f0(&[100_000]);
        let grant = M::GrantRefund { amount: Some(minor(40_000)), currency: None };
        world.by_payee(Intent::OnMilestone { milestone_id: m(1), command: grant }).unwrap();
        let requested = world.log.iter().find(|event| event.event_type == "refund.requested").unwrap();
        let id = requested.stream.aggregate_id.parse().unwrap();
        told(&mut world, id, failed());
        let mut dispute = Dispute::of(f(1), "dp_1", disputed);
        dispute.withdraws(disputed).told(&mut world).unwrap();
        assert_eq!(wallet(&world).spendable(), minor(left), "{disputed}");
        dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
        assert_eq!((wallet(&world).balance, wallet(&world).spendable()), (minor(left), minor(left)), "{disputed}");
        assert_eq!(world.balance().get("5200"), None);
        check(&world);
    }
}

/// J32, J55: whichever comes first, the refund's end or the bank's, the books are the same.
#[test]
fn the_order_of_loss_and_refund_makes_no_difference() {
    let ends = |report: fn() -> RefundCommand| move |world: &mut World, id| drop(told(world, id, report()));
    let by_hand = |world: &mut World, id| {
        told(world, id, refused("declined"));
        // Where the bank has decided it is there already.
        let _ = world.by_client(redirect(id));
    };
    let came_back = |world: &mut World, id| {
        told(world, id, succeeded());
        told(world, id, failed());
    };
    let stories: [(&str, Story); 5] = [
        ("failed", Box::new(ends(failed))),
        ("cancelled", Box::new(ends(|| RefundCommand::RecordCancelled))),
        ("refused", Box::new(ends(|| refused("charge_disputed")))),
        ("redirected", Box::new(by_hand)),
        ("came back", Box::new(came_back)),
    ];
    for (name, story) in stories {
        let (mut first, mut dispute, id) = agreed();
        story(&mut first, id);
        lose(&mut first, &mut dispute);
        let (mut second, mut dispute, id) = agreed();
        lose(&mut second, &mut dispute);
        assert_eq!(second.balance().get("5200"), Some(&105_000), "so far the platform bears it");
        story(&mut second, id);
        for world in [&first, &second] {
            check(world);
            assert_eq!(books(world), Vec::new(), "{name}");
        }
    }
}

/// J59: a debit is returned while its refund waits: the refund settles the debt, before or after.
#[test]
fn a_returned_debit_takes_the_refund_that_waits() {
    for waits_before in [true, false] {
        let (mut world, _, id) = agreed();
        if waits_before {
            told(&mut world, id, refused("declined"));
        }
        tell(&mut world, &returned(105_000)).unwrap();
        check(&world);
        if !waits_before {
            assert_eq!(world.balance().get("1220"), Some(&105_000));
            told(&mut world, id, refused("declined"));
        }
        check(&world);
        let entry = world.entry("wallet.refund_reclaimed");
        let line = |side: &str, account: &str| (side.to_owned(), account.to_owned(), 105_000);
        assert_eq!(joined(&[entry]), [line("Cr", "1220"), line("Dr", "2120")]);
        assert_eq!(books(&world), Vec::new());
    }
}

/// J23, J24, J53, J54: a payout that comes back pays the debt off that a loss has left meanwhile: as if it had come back
/// first.
#[test]
fn what_comes_back_pays_debts_off() {
    let payout_id = PayoutId::from_uuid(uuid(9001));
    let submitted = PayoutCommand::RecordSubmitted {
        bank_payout_ref: "po_1".to_owned(),
        arrival_at: super::money::BEGIN.parse().unwrap(),
    };
    let fails = || PayoutCommand::RecordFailed { code: "account_closed".to_owned() };
    let arrives = || PayoutCommand::RecordPaid { bank_payout_ref: "po_1".to_owned() };
    for paid_before in [false, true] {
        let mut ends = Vec::new();
        for lost_first in [false, true] {
            let (mut world, mut dispute) = cleared(Policy::default());
            let (payee_id, currency, amount) = (payee(), Currency::USD, minor(90_000));
            world.by_payee(Intent::RequestPayout { payout_id, payee_id, currency, amount }).unwrap();
            let transferred = PayoutCommand::RecordTransferred { transfer_ref: "tr_1".to_owned(), amount };
            let mut steps = vec![transferred, submitted.clone()];
            steps.extend(paid_before.then(arrives));
            for step in steps {
                world.fact(Command::Payout(payout_id, step)).unwrap();
            }
            if lost_first {
                lose(&mut world, &mut dispute);
                assert_eq!(earnings(&world).debt_total(), minor(90_000));
                let events = world.fact(Command::Payout(payout_id, fails())).unwrap();
                assert!(events.contains(&"payee.debt_recovered".to_owned()), "{events:?}");
                let entry = world.entry("payee.debt_recovered");
                let line = |side: &str, account: &str| (side.to_owned(), account.to_owned(), 90_000);
                assert_eq!(joined(&[entry]), [line("Cr", "1210"), line("Dr", "2210")]);
            } else {
                world.fact(Command::Payout(payout_id, fails())).unwrap();
                lose(&mut world, &mut dispute);
            }
            check(&world);
            assert_eq!((earnings(&world).available, earnings(&world).debt_total()), (minor(0), minor(0)));
            ends.push(world.balance());
        }
        assert_eq!(ends[0], ends[1], "the order makes no difference");
    }
}

/// J19: what staff, or the party's standing, had held pays debts off when it is let go.
#[test]
fn what_is_let_go_pays_debts_off() {
    use domain::payee::HoldReason;
    let (mut world, _) = cleared(Policy::default());
    let (payee_id, currency, reason) = (payee(), Currency::USD, HoldReason::Fraud);
    let officer = staff(StaffRole::Finance);
    let hold = MoneyIntent::HoldEarnings { payee_id, currency, amount: None, reason };
    world.perform(officer, Intent::Money(hold)).unwrap();
    let give = MoneyIntent::GiveBack {
        contract_id: super::money::contract(),
        milestone_id: m(1),
        refund_id: r(1),
        amount: minor(20_000),
        currency: None,
    };
    world.by_payee(Intent::Money(give)).unwrap();
    assert_eq!(earnings(&world).debt_total(), minor(18_000));
    let release = || MoneyIntent::LetEarningsGo { payee_id, currency, amount: Some(minor(10_000)), reason };
    world.perform(officer, Intent::Money(release())).unwrap();
    assert_eq!((earnings(&world).available, earnings(&world).debt_total()), (minor(0), minor(8_000)));
    world.perform(officer, Intent::Money(release())).unwrap();
    assert_eq!((earnings(&world).available, earnings(&world).debt_total()), (minor(2_000), minor(0)));
    check(&world);
}

/// L10: a warning of fraud that comes when earnings should have cleared finds them cleared, however late the scheduler is.
#[test]
fn what_was_due_to_clear_is_not_held_by_a_later_warning() {
    use domain::ports::provider::{FraudWarningReport, ProviderReport};
    let warning = ProviderReport::FraudWarning(FraudWarningReport {
        warning_ref: "issfr_1".to_owned(),
        funding_id: Some(f(1)),
        charge_ref: format!("ch_{}", f(1)),
    });
    let mut ends = Vec::new();
    for punctual in [true, false] {
        let mut world = World::f0(&[100_000]);
        world.approve(1).unwrap();
        let due = earnings(&world).pending.values().next().unwrap().clears_at.unwrap();
        world.now = due;
        if punctual {
            clear(&mut world);
        }
        world.now = due + TimeDelta::hours(1);
        tell(&mut world, &warning).unwrap();
        clear(&mut world);
        assert_eq!((earnings(&world).available, earnings(&world).held_total()), (minor(90_000), minor(0)));
        check(&world);
        ends.push((world.balance(), earnings(&world)));
    }
    assert_eq!(ends[0], ends[1]);
}

/// The events that the story needs are written as they were decided.
#[test]
fn a_claim_is_read_as_it_was_written() {
    let (mut world, mut dispute, _) = agreed();
    lose(&mut world, &mut dispute);
    let claimed = wallet(&world).claims;
    assert_eq!(claimed.values().flatten().map(|claim| claim.amount).collect::<Vec<_>>(), [minor(105_000)]);
    for event in &world.log {
        let aggregate = event.stream.aggregate_type.as_ref();
        let read = DomainEvent::from_json(aggregate, &event.event_type, event.event_version, &event.payload).unwrap();
        assert_eq!(read.to_json().unwrap(), event.payload);
    }
}
