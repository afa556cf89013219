//! Money that a client pays into the wallet, and what becomes of it when a bank wants it back.

use chrono::TimeDelta;
use domain::actor::Actor;
use domain::aggregate::AggregateState;
use domain::chargeback::{Chargeback, Phase};
use domain::command::Command;
use domain::escrow::PaidFrom;
use domain::exchange::Settled;
use domain::fee::FeeSchedule;
use domain::funding::FundingCommand;
use domain::id::RefundId;
use domain::intent::{Intent, MoneyIntent};
use domain::policy::Policy;
use domain::ports::dispute::{DisputeStatus, FraudWarningReport};
use domain::ports::provider::{PaymentReport, PaymentStatus, ProviderOrder, ProviderReport, Receipt};
use domain::refusal::Refusal;
use domain::timer::Scope;
use domain::wallet::{ClientWallet, WalletId};
use ledger::{Currency, Minor};

use super::bank::{Dispute, booked_on, tell};
use super::ledgers::check;
use super::money::world::World;
use super::money::{assert_journal, client, contract, f, minor, payee, r};

/// The figure of J06.
const WORTH: i64 = 500_000;

fn intent(amount: i64, currency: Currency, payment_method: &str) -> Intent {
    Intent::Money(MoneyIntent::TopUp {
        funding_id: f(1),
        client_id: client(),
        currency,
        amount: minor(amount),
        payment_method: payment_method.to_owned(),
    })
}

/// A client who has asked for it.
fn asked() -> World {
    let mut world = World::new().accepted(&[100_000], FeeSchedule::two_sided(), Policy::default());
    assert_eq!(world.by_client(intent(WORTH, Currency::USD, "pm_card_visa")).unwrap(), ["funding.created"]);
    world
}

/// A client who has it.
fn topped_up() -> World {
    let mut world = asked();
    assert_eq!(world.succeed(f(1)).unwrap(), ["funding.succeeded", "wallet.topped_up"]);
    world
}

fn wallet(world: &World) -> ClientWallet {
    let id = WalletId { party_id: client(), currency: Currency::USD };
    match world.state(&domain::wallet::stream(id)) {
        AggregateState::Wallet(wallet) => wallet,
        other => panic!("{other:?}"),
    }
}

/// Balance, and what of it can be spent.
fn there(world: &World) -> (i64, i64) {
    let wallet = wallet(world);
    (wallet.balance.get(), wallet.spendable().get())
}

fn state(world: &World) -> &'static str {
    world.state(&domain::funding::stream(f(1))).state_name()
}

/// Pays 1,000.00 and the fee of 50.00 from the wallet into the contract.
fn spend(world: &mut World) -> Result<Vec<String>, Refusal> {
    world.by_client(Intent::Money(MoneyIntent::PayIn {
        contract_id: contract(),
        funding_id: f(2),
        allocations: Vec::new(),
        deposit: minor(100_000),
        currency: Currency::USD,
        paid_from: PaidFrom::Wallet,
        payment_method: String::new(),
    }))
}

fn withdraw(world: &mut World, amount: i64) -> Result<Vec<String>, Refusal> {
    let (client_id, currency) = (client(), Currency::USD);
    let withdraw = MoneyIntent::WithdrawFromWallet { client_id, currency, refund_id: r(1), amount: minor(amount) };
    world.by_client(Intent::Money(withdraw))
}

fn told(world: &mut World, status: PaymentStatus) -> Result<Vec<String>, Refusal> {
    let payment_ref = format!("pi_{}", f(1));
    tell(world, &ProviderReport::Payment(PaymentReport { payment_ref, funding_id: Some(f(1)), status }))
}

fn returned() -> PaymentStatus {
    PaymentStatus::Returned {
        amount: minor(WORTH),
        currency: Currency::USD,
        balance_transaction_ref: "txn_return".to_owned(),
        booked_on: booked_on(),
        code: "insufficient_funds".to_owned(),
        settled: None,
        collected: None,
    }
}

fn books(world: &World) -> Vec<(&'static str, i128)> {
    world.balance().into_iter().collect()
}

/// J06, J02, J03: a top-up has no contract; all that is collected is in the wallet, and the provider's fee is the
/// platform's. It is the wallet's own money: it pays into a contract (J05).
#[test]
fn what_is_paid_in_is_in_the_wallet() {
    let mut world = asked();
    let collect = ProviderOrder::CollectPayment {
        funding_id: f(1),
        contract_id: None,
        amount: minor(WORTH),
        currency: Currency::USD,
        payment_method: "pm_card_visa".to_owned(),
        mandate: None,
    };
    assert_eq!(world.orders.last().unwrap().what, collect);
    assert!(books(&world).is_empty());
    world.succeed(f(1)).unwrap();
    assert_journal(&world.entry("wallet.topped_up"), "J06", &[]);
    assert_eq!((there(&world), state(&world)), ((WORTH, WORTH), "succeeded"));
    assert_eq!(world.succeed(f(1)), Ok(Vec::new()), "told again");
    let receipt = Receipt {
        balance_transaction_ref: "txn_1".to_owned(),
        fee: minor(14_530),
        net: minor(485_470),
        currency: Currency::USD,
        booked_on: booked_on(),
        available_on: world.now,
        available: true,
    };
    world.fact(Command::Funding(f(1), FundingCommand::RecordReceipt { receipt })).unwrap();
    assert_eq!(books(&world), [("1120", 485_470), ("2120", -500_000), ("5100", 14_530)]);
    assert!(spend(&mut world).unwrap().contains(&"wallet.paid_escrow".to_owned()));
    assert_eq!(there(&world), (395_000, 395_000));
    check(&world);
}

/// Who may ask, and for what.
#[test]
fn a_top_up_is_asked_for_by_the_wallets_owner() {
    let mut world = World::new();
    let card = intent(WORTH, Currency::USD, "pm_card_visa");
    let forbidden = Refusal::Forbidden { who: "client", action: "use the client's wallet" };
    assert_eq!(world.perform(Actor::Payee(client()), card.clone()), Err(forbidden));
    for actor in [Actor::Client(payee()), Actor::Payee(payee())] {
        assert_eq!(world.perform(actor, card.clone()), Err(Refusal::NotAParty));
    }
    let field = |refused: Result<Vec<String>, Refusal>| match refused {
        Err(Refusal::Invalid { pointer, .. }) => pointer,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(world.by_client(intent(0, Currency::USD, "pm_card_visa"))), "/amount");
    assert_eq!(field(world.by_client(intent(1, Currency::USD, "4242424242424242"))), "/payment_method");
    assert_eq!(field(world.by_client(intent(1, Currency::USD, ""))), "/payment_method");
    let max = Minor::MAX_INPUT;
    let too_large = Err(Refusal::AmountTooLarge { max });
    assert_eq!(world.by_client(intent(max.get() + 1, Currency::USD, "pm_card_visa")), too_large);
    assert!(world.log.iter().all(|event| event.stream.aggregate_type != "funding"));
    world.by_client(card.clone()).unwrap();
    assert!(matches!(world.by_client(card), Err(Refusal::Defect(_))), "an id is used once");
}

/// J92: what the provider cannot charge exactly is rounded up, and all of it is the client's.
#[test]
fn a_top_up_is_an_amount_that_can_be_charged() {
    let mut world = World::new();
    world.currency = Currency::KWD;
    world.by_client(intent(10_629, Currency::KWD, "pm_card_visa")).unwrap();
    world.succeed(f(1)).unwrap();
    assert_eq!(books(&world), [("1110", 10_630), ("2120", -10_630)]);
}

/// D-14, D-16, D-19: declined, under way, given up and expired: nothing is in the wallet, nothing is booked, and a client
/// tries again with another payment.
#[test]
fn a_top_up_that_comes_to_nothing_leaves_nothing() {
    let mut world = asked();
    told(&mut world, PaymentStatus::Failed { code: "card_declined".to_owned() }).unwrap();
    assert_eq!((state(&world), there(&world)), ("failed", (0, 0)));

    let mut world = asked();
    told(&mut world, PaymentStatus::ActionRequired).unwrap();
    let scope = Scope::Stream(domain::funding::stream(f(1)));
    world.now += TimeDelta::hours(24) - TimeDelta::milliseconds(1);
    assert_eq!(world.system(Intent::Wake(scope.clone())), Ok(Vec::new()));
    assert_eq!(state(&world), "action_required");
    world.now += TimeDelta::milliseconds(1);
    world.system(Intent::Wake(scope.clone())).unwrap();
    assert_eq!((state(&world), world.times_of("funding.expired").as_slice()), ("expired", [world.now].as_slice()));

    let mut world = asked();
    told(&mut world, PaymentStatus::Processing).unwrap();
    world.now += TimeDelta::days(4);
    world.system(Intent::Wake(scope)).unwrap();
    let cancel = Intent::Money(MoneyIntent::CancelFunding { funding_id: f(1) });
    let under_way = Refusal::FundingWrongState { action: "cancelled", state: "processing" };
    assert_eq!(world.by_client(cancel), Err(under_way));
    assert!(books(&world).is_empty());
    assert!(world.succeed(f(1)).unwrap().contains(&"wallet.topped_up".to_owned()));
}

/// D-10, J93: what arrives after it was given up goes back, and never touches the wallet.
#[test]
fn a_late_top_up_goes_back() {
    let mut world = asked();
    let cancel = Intent::Money(MoneyIntent::CancelFunding { funding_id: f(1) });
    assert_eq!(world.perform(Actor::Client(payee()), cancel.clone()), Err(Refusal::NotAParty));
    assert_eq!(world.by_client(cancel).unwrap(), ["funding.cancelled"]);
    let events = world.succeed(f(1)).unwrap();
    assert_eq!(events, ["funding.succeeded", "funding.succeeded_after_cancel", "refund.requested"]);
    assert_eq!(books(&world), [("1110", 500_000), ("2260", -500_000)]);
    let refund_id = RefundId::derived(f(1).as_uuid(), "late");
    let AggregateState::Refund(refund) = world.state(&domain::refund::stream(refund_id)) else { panic!() };
    assert_eq!(refund.order().unwrap().contract_id, None);
    let refunds =
        |what: &ProviderOrder| matches!(what, ProviderOrder::Refund { amount, .. } if *amount == minor(WORTH));
    assert!(world.orders.iter().any(|order| refunds(&order.what)));
    assert_eq!(there(&world), (0, 0));
}

/// D-18, J82: another amount than was asked for is nobody's yet.
#[test]
fn another_amount_is_not_in_the_wallet() {
    let mut world = asked();
    assert_eq!(world.collect(f(1), WORTH - 1).unwrap(), ["funding.succeeded", "funding.receipt_suspended"]);
    assert_eq!((there(&world), state(&world)), ((0, 0), "under_review"));
    assert_eq!(books(&world), [("1110", 499_999), ("2900", -499_999)]);
    // What is in suspense is not the wallet's to give back.
    told(&mut world, returned()).unwrap();
    assert!(world.times_of("wallet.top_up_returned").is_empty());
    assert_eq!(there(&world), (0, 0));
}

/// J70: where the provider settles in another currency, the wallet has what was paid in.
#[test]
fn a_top_up_is_exchanged_at_the_provider() {
    let mut world = asked();
    let succeeded = FundingCommand::RecordSucceeded {
        payment_ref: "pi_1".to_owned(),
        charge_ref: "ch_1".to_owned(),
        captured: minor(WORTH),
        currency: Currency::USD,
        collected_at: world.now,
        settled: Some(Settled { amount: minor(450_000), currency: Currency::EUR }),
    };
    let events = world.fact(Command::Funding(f(1), succeeded)).unwrap();
    assert_eq!(events, ["funding.succeeded", "funding.exchanged", "wallet.topped_up"]);
    assert_eq!(there(&world), (WORTH, WORTH));
}

/// J59: a debit that is returned comes out of the wallet as far as it is there; what was spent is the client's debt.
#[test]
fn a_returned_top_up_comes_out_of_the_wallet() {
    let mut world = topped_up();
    assert_eq!(told(&mut world, returned()).unwrap(), ["funding.returned", "wallet.top_up_returned"]);
    assert_eq!((there(&world), state(&world)), ((0, 0), "returned"));
    assert_eq!(books(&world), [("1110", 500_000), ("1120", -500_000)]);
    assert_eq!(told(&mut world, returned()), Ok(Vec::new()), "told again");

    let mut world = topped_up();
    spend(&mut world).unwrap();
    let events = told(&mut world, returned()).unwrap();
    assert_eq!(events, ["funding.returned", "wallet.top_up_returned", "funding.late_return_recorded"]);
    assert_eq!(there(&world), (0, 0));
    let nets = world.balance();
    assert_eq!((nets.get("2120"), nets["1220"], nets["1120"]), (None, 105_000, -500_000));
    assert_eq!((nets["2105"], nets["2300"]), (-100_000, -5000), "what the wallet paid is held all the same");
    check(&world);

    let mut world = topped_up();
    withdraw(&mut world, WORTH).unwrap();
    told(&mut world, returned()).unwrap();
    assert_eq!((world.balance()["1220"], there(&world)), (i128::from(WORTH), (0, 0)));
}

/// J50, J51: what a bank contests cannot be spent, also what comes in meanwhile; won, it can.
#[test]
fn a_contested_top_up_cannot_be_spent() {
    let mut world = topped_up();
    spend(&mut world).unwrap();
    let mut dispute = Dispute::of(f(1), "dp_1", WORTH);
    dispute.told(&mut world).unwrap();
    assert_eq!(there(&world), (395_000, 395_000), "nothing has moved");
    let events = dispute.withdraws(WORTH).told(&mut world).unwrap();
    assert_eq!(events, ["chargeback.funds_withdrawn", "wallet.chargeback_held"]);
    assert_eq!(there(&world), (395_000, 0));
    let balance = Minor::ZERO;
    assert_eq!(withdraw(&mut world, 1), Err(Refusal::InsufficientWalletBalance { balance }));
    assert_eq!((world.balance()["1200"], world.balance()["5120"]), (500_000, 1500));

    let events = dispute.is(DisputeStatus::Won).reinstates(WORTH).told(&mut world).unwrap();
    assert_eq!(events, ["chargeback.funds_reinstated", "chargeback.won", "wallet.chargeback_held"]);
    assert_eq!(there(&world), (395_000, 395_000));
    assert_eq!(withdraw(&mut world, 395_000).unwrap()[0], "wallet.withdrawn");
    check(&world);
}

/// J55: a top-up that is lost to a bank comes out of the wallet as far as it is there; the rest is the platform's loss.
/// What the bank takes later of the same dispute goes the same way.
#[test]
fn a_lost_top_up_comes_out_of_the_wallet() {
    let mut world = topped_up();
    spend(&mut world).unwrap();
    let mut dispute = Dispute::of(f(1), "dp_1", WORTH);
    dispute.withdraws(WORTH).told(&mut world).unwrap();
    let events = dispute.is(DisputeStatus::Lost).told(&mut world).unwrap();
    assert_eq!(events, ["chargeback.lost", "wallet.chargeback_absorbed", "chargeback.loss_absorbed"]);
    assert_eq!(there(&world), (0, 0));
    let nets = world.balance();
    assert_eq!((nets.get("1200"), nets.get("2120"), nets["5200"]), (None, None, 105_000));
    assert!(matches!(dispute.state(&world), Chargeback::Opened { phase: Phase::Lost, .. }));
    check(&world);
    let events = dispute.withdraws(700).told(&mut world).unwrap();
    assert_eq!(events, ["chargeback.funds_withdrawn", "wallet.chargeback_absorbed", "chargeback.loss_absorbed"]);
    assert_eq!((world.balance().get("1200"), world.balance()["5200"]), (None, 105_700));
    assert_eq!(dispute.told(&mut world), Ok(Vec::new()), "told again");

    let mut world = topped_up();
    let mut dispute = Dispute::of(f(1), "dp_1", WORTH);
    let events = dispute.is(DisputeStatus::Lost).withdraws(WORTH).told(&mut world).unwrap();
    assert_eq!(events[events.len() - 1], "wallet.chargeback_absorbed", "all of it was there");
    assert_eq!((world.balance().get("5200"), there(&world)), (None, (0, 0)));
}

/// A question, and a warning, hold nothing: no money has moved, and no payee has any of it.
#[test]
fn a_question_about_a_top_up_holds_nothing() {
    let mut world = topped_up();
    let mut dispute = Dispute::of(f(1), "dp_1", WORTH);
    let events = dispute.is(DisputeStatus::WarningNeedsResponse).told(&mut world).unwrap();
    assert_eq!(events, ["chargeback.inquiry_received"]);
    assert_eq!(dispute.is(DisputeStatus::WarningClosed).told(&mut world).unwrap(), ["chargeback.inquiry_closed"]);
    let warning = FraudWarningReport {
        warning_ref: "issfr_1".to_owned(),
        charge_ref: format!("ch_{}", f(1)),
        funding_id: Some(f(1)),
    };
    let events = tell(&mut world, &ProviderReport::FraudWarning(warning)).unwrap();
    assert_eq!(events, ["chargeback.early_fraud_warning_received"]);
    assert_eq!(there(&world), (WORTH, WORTH));
}
