//! A payee's account at the provider: made, linked, restricted, told of in any order.

use chrono::TimeDelta;
use domain::actor::{Actor, StaffRole, SystemPart};
use domain::id::{OnboardingLinkId, PartyId};
use domain::intent::{Intent, PayoutIntent};
use domain::jurisdiction::Jurisdiction;
use domain::party::{PayoutAccount, Restriction};
use domain::payee::HoldReason;
use domain::ports::provider::{AccountReport, OnboardingLinkReport, ProviderOrder, ProviderReport};
use domain::process;
use domain::refusal::Refusal;
use ledger::Currency;

use super::desk::{Desk, finance, p};
use super::money::world::World;
use super::money::{assert_journal, client, minor, payee, staff, uuid};

/// D-43, J16, J18, J19: what clears for a restricted payee is held; it becomes available when the provider clears him.
#[test]
fn earnings_of_a_restricted_payee_are_held_until_he_is_cleared() {
    let mut desk = Desk::released(&[100_000]);
    desk.receive(1, 3075, 101_925);
    let status = desk.restricted();
    let events = desk.tell_account(status);
    let told = ["party.psp_requirements_changed", "party.restricted", "party.payout_destination_changed"];
    assert_eq!(events, told);
    desk.world.now += TimeDelta::days(5);
    desk.wake();
    let commit: Vec<_> =
        desk.world.appends.last().unwrap().events.iter().map(|event| event.event_type.to_string()).collect();
    assert_eq!(commit, ["payee.earnings_cleared", "payee.earnings_held", "party.hold_noted"]);
    assert_journal(&desk.world.entry("payee.earnings_cleared"), "J16", &[]);
    assert_journal(&desk.world.entry("payee.earnings_held"), "J18", &[]);
    assert_eq!(desk.request(1, 1), Err(Refusal::PartyRestricted { reason: "requirements" }));
    desk.check();

    let status = desk.in_order("fp_1");
    let events = desk.tell_account(status);
    let cleared = ["party.psp_requirements_changed", "party.restriction_lifted", "payee.earnings_hold_released"];
    assert_eq!(events, cleared);
    assert_journal(&desk.world.entry("payee.earnings_hold_released"), "J19", &[]);
    desk.check();
    desk.request(1, 90_000).unwrap();
}

/// While one reason is left, nothing is let go; what staff holds for the same reason stays held.
#[test]
fn the_last_reason_lets_go_and_not_what_staff_holds() {
    let mut desk = Desk::released(&[100_000, 50_000]);
    let status = desk.restricted();
    desk.tell_account(status);
    desk.staff(finance(), PayoutIntent::Restrict { party_id: payee() }).unwrap();
    desk.world.now += TimeDelta::days(5);
    desk.wake();
    let status = desk.in_order("fp_1");
    let events = desk.tell_account(status);
    assert_eq!(events, ["party.psp_requirements_changed", "party.restriction_lifted"]);
    assert_eq!(desk.account().held.get(&HoldReason::Kyc), Some(&minor(135_000)));
    let events = desk.staff(finance(), PayoutIntent::LiftRestriction { party_id: payee() }).unwrap();
    assert_eq!(events, ["party.restriction_lifted", "payee.earnings_hold_released"]);
    assert_eq!(desk.account().available, minor(135_000));

    let hold = domain::intent::MoneyIntent::HoldEarnings {
        payee_id: payee(),
        currency: ledger::Currency::USD,
        amount: Some(minor(10_000)),
        reason: HoldReason::Kyc,
    };
    desk.world.perform(finance(), Intent::Money(hold)).unwrap();
    for status in [desk.restricted(), desk.in_order("fp_1")] {
        desk.tell_account(status);
    }
    assert_eq!(desk.account().held.get(&HoldReason::Kyc), Some(&minor(10_000)));
}

/// The provider does not want the party: said as it is. A word that is older than what is known changes nothing.
#[test]
fn an_older_word_changes_nothing() {
    let mut desk = Desk::d118();
    let earlier = desk.in_order("fp_1");
    desk.world.now += TimeDelta::hours(1);
    let mut rejected = desk.restricted();
    rejected.requirements.disabled_reason = Some("rejected.fraud".to_owned());
    assert!(desk.tell_account(rejected.clone()).contains(&"party.restricted".to_owned()));
    assert_eq!(desk.tell_account(earlier), Vec::<String>::new());
    assert_eq!(desk.tell_account(rejected), Vec::<String>::new(), "told again");
    assert_eq!(desk.request(1, 1), Err(Refusal::PartyRestricted { reason: "rejected" }));
    assert_eq!(Restriction::Rejected.word(), "rejected");
    let mut other = desk.in_order("fp_1");
    other.psp_account = "acct_other".to_owned();
    assert_eq!(desk.tell_account(other), Vec::<String>::new(), "of an account that is not used");
}

/// The same state can come back: each word has an identity of its own, and the same word has one.
#[test]
fn each_word_on_an_account_is_recorded_once() {
    let mut desk = Desk::d118();
    let id = |status| {
        let report = AccountReport { psp: "stripe".to_owned(), party_id: Some(payee()), status };
        process::facts(&ProviderReport::Account(report))[0].command_id
    };
    let first = desk.in_order("fp_1");
    desk.world.now += TimeDelta::hours(1);
    let later = desk.in_order("fp_1");
    assert_eq!(id(first.clone()), id(first.clone()));
    assert_ne!(id(first), id(later));
    let nobodys = AccountReport { psp: "stripe".to_owned(), party_id: None, status: desk.in_order("fp_1") };
    assert_eq!(process::facts(&ProviderReport::Account(nobodys)), Vec::new());
}

fn request(party_id: PartyId) -> Intent {
    let (psp, country) = ("stripe".to_owned(), Jurisdiction::new("GB").unwrap());
    Intent::Payouts(PayoutIntent::RequestPspAccount { party_id, psp, country })
}

fn link(party_id: PartyId, number: u128) -> Intent {
    let link_id = OnboardingLinkId::from_uuid(uuid(number));
    Intent::Payouts(PayoutIntent::RequestOnboardingLink { party_id, link_id })
}

/// An account is made at the provider, told of, linked; a link to the provider's pages is ordered, and never kept.
#[test]
fn a_payee_is_led_to_the_provider() {
    let mut world = World::new();
    let party = PartyId::from_uuid(uuid(77));
    let own = Actor::Payee(party);
    assert_eq!(world.perform(own, request(party)), Err(Refusal::NotFound { what: "party" }));
    world.system(Intent::RegisterParty { party_id: party }).unwrap();
    assert_eq!(world.perform(Actor::Payee(payee()), request(party)), Err(Refusal::NotAParty));
    let forbidden = Refusal::Forbidden { who: "payee", action: "ask for an account at the provider" };
    assert_eq!(world.perform(Actor::Client(party), request(party)), Err(forbidden));
    let forbidden = Refusal::Forbidden { who: "staff", action: "ask for an account at the provider" };
    assert_eq!(world.perform(staff(StaffRole::Auditor), request(party)), Err(forbidden));
    assert_eq!(world.perform(own, link(party, 1)), Err(Refusal::PayoutAccountRequired));
    assert_eq!(world.perform(own, request(party)).unwrap(), ["party.psp_account_requested"]);
    assert_eq!(world.perform(own, request(party)), Err(Refusal::PayoutAccountExists));
    let country = Jurisdiction::new("GB").unwrap();
    assert_eq!(
        world.orders.last().unwrap().what,
        ProviderOrder::CreateAccount { party_id: party, country, request: 0 }
    );

    let mut status = Desk::d118().restricted();
    status.psp_account = "acct_77".to_owned();
    status.destinations.clear();
    let report = AccountReport { psp: "stripe".to_owned(), party_id: Some(party), status };
    let fact = process::facts(&ProviderReport::Account(report)).remove(0);
    let events = world.fact(fact.command.clone()).unwrap();
    assert_eq!(events, ["party.psp_account_linked", "party.psp_requirements_changed", "party.restricted"]);
    assert_eq!(world.fact(fact.command), Ok(Vec::new()), "told again");
    assert_eq!(world.perform(own, link(party, 1)).unwrap(), ["party.onboarding_link_requested"]);
    let before = world.orders.len();
    world.perform(own, link(party, 2)).unwrap();
    assert_eq!(world.orders.len(), before, "whoever asks for a link has it made: it is nobody else's to see");
    let link_id = OnboardingLinkId::from_uuid(uuid(1));
    let what = ProviderOrder::CreateOnboardingLink { link_id, party_id: party, account: "acct_77".to_owned() };

    let report = OnboardingLinkReport {
        link_id: OnboardingLinkId::from_uuid(uuid(1)),
        url: "https://connect.example/secret".to_owned(),
        expires_at: world.now,
    };
    assert!(!format!("{report:?}").contains("secret"));
    let told = ProviderReport::OnboardingLink(report);
    assert!(!serde_json::to_string(&told).unwrap().contains("secret"));
    assert_eq!(process::facts(&told), Vec::new());
    assert!(process::settles(&told, &what));
}

/// B.12: a payee names another bank account by the provider's token. It is ordered from the provider, and changes nothing
/// until the provider tells of it.
#[test]
fn another_bank_account_is_ordered_by_its_token() {
    let mut desk = Desk::d118();
    let set = |token: &str| {
        let (currency, token) = (Currency::USD, token.to_owned());
        Intent::Payouts(PayoutIntent::RequestDestination { party_id: payee(), currency, token })
    };
    assert_eq!(desk.world.by_payee(set("btok_1")).unwrap(), ["party.payout_destination_requested"]);
    let what = desk.world.orders.last().unwrap().what.clone();
    let (account, token) = ("acct_1".to_owned(), "btok_1".to_owned());
    let set_first =
        ProviderOrder::SetDestination { party_id: payee(), account, currency: Currency::USD, token, request: 0 };
    assert_eq!(what, set_first);
    assert!(!what.moves_money());
    assert_eq!(desk.request(1, 1).map(|_| ()), Ok(()), "nothing has changed yet");
    for token in ["", "DE89 3704", &"a".repeat(65)] {
        let refused = desk.world.by_payee(set(token)).unwrap_err();
        assert_eq!(refused.code(), "validation_failed", "{token}");
    }
    let stranger = desk.world.perform(Actor::Payee(client()), set("btok_1"));
    assert_eq!(stranger, Err(Refusal::NotAParty));
    let as_client = desk.world.perform(Actor::Client(payee()), set("btok_1"));
    assert_eq!(as_client, Err(Refusal::Forbidden { who: "payee", action: "choose a bank account" }));
    let mut world = World::new();
    let party = PartyId::from_uuid(uuid(77));
    world.system(Intent::RegisterParty { party_id: party }).unwrap();
    let (currency, token) = (Currency::USD, "btok_1".to_owned());
    let without = Intent::Payouts(PayoutIntent::RequestDestination { party_id: party, currency, token });
    assert_eq!(world.perform(Actor::Payee(party), without), Err(Refusal::PayoutAccountRequired));
}

/// B.12: the provider does not take a bank account. The payee is told by the code; the bank account that was used stays in
/// use; a second request with the same token is another one, and a later success takes the refusal away.
#[test]
fn a_bank_account_that_is_not_taken_is_told() {
    let mut desk = Desk::d118();
    let status = desk.in_order("fp_1");
    desk.tell_account(status);
    let ask = |desk: &mut Desk| {
        let (currency, token) = (Currency::USD, "btok_1".to_owned());
        let set = Intent::Payouts(PayoutIntent::RequestDestination { party_id: payee(), currency, token });
        assert_eq!(desk.world.by_payee(set).unwrap(), ["party.payout_destination_requested"]);
        desk.world.orders.last().unwrap().what.clone()
    };
    let refused = |desk: &mut Desk, order: &ProviderOrder| {
        let [fact] = process::refused(order, "resource_missing").try_into().unwrap();
        (fact.command_id, desk.world.fact(fact.command).unwrap())
    };
    let code = |desk: &Desk| desk.standing().asked[&Currency::USD].refused.clone();
    let first = ask(&mut desk);
    let (first_id, events) = refused(&mut desk, &first);
    assert_eq!(events, ["party.payout_destination_refused"]);
    assert_eq!(refused(&mut desk, &first), (first_id, Vec::new()), "told again");
    assert_eq!(code(&desk).as_deref(), Some("resource_missing"));
    assert_eq!(desk.standing().destinations[&Currency::USD].fingerprint, "fp_1");
    assert_eq!(desk.request(1, 1).map(|_| ()), Ok(()), "the one that was used stays in use");

    let second = ask(&mut desk);
    assert_eq!(code(&desk), None, "it is asked for anew");
    let third = ask(&mut desk);
    assert_eq!(refused(&mut desk, &second).1, ["party.payout_destination_refused"], "its gate is opened");
    assert_eq!(refused(&mut desk, &second).1, Vec::<String>::new(), "told again");
    assert_eq!(code(&desk), None, "a later request decides on what is shown");
    assert_eq!(desk.request(2, 1).unwrap_err().code(), "destination_cooling");
    let (third_id, events) = refused(&mut desk, &third);
    assert_eq!(events, ["party.payout_destination_refused"]);
    assert_ne!(third_id, first_id, "it is another fact");
    desk.world.now += TimeDelta::hours(1);
    let status = desk.in_order("fp_2");
    assert_eq!(desk.tell_account(status), ["party.payout_destination_changed"]);
    assert_eq!(code(&desk), None);

    // Of an account that is not used any more nothing is told.
    let fourth = ask(&mut desk);
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_2".to_owned() };
    desk.world.by_payee(Intent::LinkPayoutAccount { party_id: payee(), account, status: None }).unwrap();
    assert_eq!(refused(&mut desk, &fourth).1, Vec::<String>::new());
}

/// An account that is there is linked with what the provider says of it, in one commit.
#[test]
fn an_account_is_linked_with_its_state() {
    let mut world = World::new();
    let party = PartyId::from_uuid(uuid(77));
    world.system(Intent::RegisterParty { party_id: party }).unwrap();
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_77".to_owned() };
    let mut status = Desk::d118().restricted();
    status.psp_account = "acct_77".to_owned();
    status.requirements.country = Some("GB".to_owned());
    status.requirements.default_currency = Some(Currency::GBP);
    let link = |status| Intent::LinkPayoutAccount { party_id: party, account: account.clone(), status };
    let appends = world.appends.len();
    let events = world.perform(Actor::Payee(party), link(Some(Box::new(status.clone())))).unwrap();
    let expected = [
        "party.psp_account_linked",
        "party.psp_requirements_changed",
        "party.restricted",
        "party.payout_destination_changed",
    ];
    assert_eq!(events, expected);
    assert_eq!(world.appends.len(), appends + 1);
    assert_eq!(world.perform(Actor::Payee(party), link(Some(Box::new(status)))), Ok(Vec::new()), "linked again");
    let client = world.perform(Actor::Client(party), link(None));
    assert_eq!(client, Err(Refusal::Forbidden { who: "payee", action: "link a payout account" }));
}

/// PM5: the provider does not let the payee's account receive: the reservation is released, and nothing lies there. What the
/// platform lacks, or another reason, is no such refusal.
#[test]
fn a_transfer_that_the_account_cannot_receive_releases_the_money() {
    let mut desk = Desk::d118();
    desk.request(1, 90_000).unwrap();
    let order = desk.world.orders.last().unwrap().what.clone();
    assert!(matches!(order, ProviderOrder::MoveToPayee { .. }));
    for code in ["balance_insufficient", "parameter_invalid"] {
        assert_eq!(process::refused(&order, code), Vec::new(), "{code}");
    }
    let [fact] = process::refused(&order, "insufficient_capabilities_for_transfer").try_into().unwrap();
    desk.world.fact(fact.command).unwrap();
    assert!(matches!(desk.payout(1), domain::payout::Payout::Failed { .. }));
    desk.request(2, 90_000).unwrap();
    assert_eq!(desk.payout(2).withdrawal().unwrap().transfer_amount, desk.payout(2).withdrawal().unwrap().amount);
}

/// Another account at the provider cools down, too, and what is told of the former one says nothing of it.
#[test]
fn another_account_cools_down() {
    let mut desk = Desk::d118();
    let status = desk.restricted();
    desk.tell_account(status);
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_2".to_owned() };
    let link = Intent::LinkPayoutAccount { party_id: payee(), account, status: None };
    desk.world.by_payee(link).unwrap();
    let available_at = desk.world.now + TimeDelta::hours(72);
    assert_eq!(desk.request(1, 1), Err(Refusal::DestinationCooling { available_at }));
    desk.world.now = available_at;
    desk.request(1, 1).unwrap();
    assert_eq!(desk.payout(1).withdrawal().unwrap().place.psp_account, "acct_2");
    assert_eq!(desk.payout(1).withdrawal().unwrap().payout_id, p(1));
}

/// A payout that fails for somebody who is not registered here, or a word about them, is no defect.
#[test]
fn facts_about_strangers_change_nothing() {
    let mut world = World::new();
    let status = Desk::d118().in_order("fp_1");
    let report = AccountReport { psp: "stripe".to_owned(), party_id: Some(client()), status };
    let fact = process::facts(&ProviderReport::Account(report)).remove(0);
    assert_eq!(world.perform(Actor::System(SystemPart::Psp), Intent::Fact(fact.command)), Ok(Vec::new()));
}

/// D-43, J19: what was held because of the former account is let go with the word that the new one is in order, and not
/// before.
#[test]
fn what_was_held_is_let_go_when_another_account_is_in_order() {
    let mut desk = Desk::released(&[100_000]);
    desk.receive(1, 3075, 101_925);
    let status = desk.restricted();
    desk.tell_account(status);
    desk.world.now += TimeDelta::days(5);
    desk.wake();
    assert_eq!(desk.account().held.get(&HoldReason::Kyc), Some(&minor(90_000)));
    for account in ["acct_2", "acct_3"] {
        let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: account.to_owned() };
        let link = Intent::LinkPayoutAccount { party_id: payee(), account, status: None };
        assert_eq!(desk.world.by_payee(link).unwrap(), ["party.psp_account_linked"], "nothing is let go yet");
    }
    let mut status = desk.in_order("fp_1");
    status.psp_account = "acct_3".to_owned();
    let mut incomplete = desk.restricted();
    incomplete.psp_account = "acct_3".to_owned();
    incomplete.destinations.clear();
    assert_eq!(desk.tell_account(incomplete), ["party.psp_requirements_changed", "party.restricted"]);
    assert_eq!(desk.account().held.get(&HoldReason::Kyc), Some(&minor(90_000)));
    let events = desk.tell_account(status);
    assert!(events.contains(&"payee.earnings_hold_released".to_owned()), "{events:?}");
    assert_eq!((desk.account().available, desk.account().held.get(&HoldReason::Kyc)), (minor(90_000), None));
    desk.check();
}

/// D-43: the same where the new account is in order from the first word on.
#[test]
fn what_was_held_is_let_go_when_the_first_word_is_good() {
    let mut desk = Desk::released(&[100_000]);
    let status = desk.restricted();
    desk.tell_account(status);
    desk.world.now += TimeDelta::days(5);
    desk.wake();
    let mut status = desk.in_order("fp_1");
    status.psp_account = "acct_2".to_owned();
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_2".to_owned() };
    let status = Some(Box::new(status));
    let events = desk.world.by_payee(Intent::LinkPayoutAccount { party_id: payee(), account, status }).unwrap();
    let expected = [
        "party.psp_account_linked",
        "party.psp_requirements_changed",
        "party.restriction_lifted",
        "party.payout_destination_changed",
        "payee.earnings_hold_released",
    ];
    assert_eq!(events, expected);
}

/// PM11: whom the provider does not want is not paid through another account, either; staff may say otherwise, but not for
/// the account that was rejected.
#[test]
fn a_rejected_payee_does_not_get_around_it_by_another_account() {
    let mut desk = Desk::d118();
    let mut rejected = desk.restricted();
    rejected.requirements.disabled_reason = Some("rejected.fraud".to_owned());
    desk.tell_account(rejected);
    let lift = PayoutIntent::LiftRestriction { party_id: payee() };
    assert_eq!(desk.staff(finance(), lift.clone()), Err(Refusal::NotRestricted), "that is the provider's to say");
    let mut status = desk.in_order("fp_2");
    status.psp_account = "acct_2".to_owned();
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "acct_2".to_owned() };
    let status = Some(Box::new(status));
    desk.world.by_payee(Intent::LinkPayoutAccount { party_id: payee(), account, status }).unwrap();
    desk.world.now += TimeDelta::hours(72);
    assert_eq!(desk.request(1, 1), Err(Refusal::PartyRestricted { reason: "rejected" }));
    assert_eq!(desk.staff(Actor::Payee(payee()), lift.clone()), Err(Refusal::NotAParty));
    assert_eq!(desk.staff(finance(), lift).unwrap(), ["party.restriction_lifted"]);
    desk.request(1, 1).unwrap();
}

/// What the provider itself takes back it may take back: the account that it had rejected is in order.
#[test]
fn the_provider_takes_a_rejection_back() {
    let mut desk = Desk::d118();
    let mut rejected = desk.restricted();
    rejected.requirements.disabled_reason = Some("rejected.other".to_owned());
    desk.tell_account(rejected);
    let status = desk.in_order("fp_1");
    assert_eq!(desk.tell_account(status), ["party.psp_requirements_changed", "party.restriction_lifted"]);
    desk.request(1, 1).unwrap();
}

/// Money of payees goes to payees: nobody links the platform's own account.
#[test]
fn the_platforms_own_account_is_nobodys() {
    let mut desk = Desk::d118();
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: "platform".to_owned() };
    let refused = desk.world.by_payee(Intent::LinkPayoutAccount { party_id: payee(), account, status: None });
    assert_eq!(refused, Err(Refusal::invalid("/psp_account", "is the platform's own")));
}

/// An account that the provider does not make: the party is told why, and asks again; that is another order.
#[test]
fn an_account_that_is_not_made_is_asked_for_again() {
    let mut world = World::new();
    let party = PartyId::from_uuid(uuid(77));
    let own = Actor::Payee(party);
    world.system(Intent::RegisterParty { party_id: party }).unwrap();
    let ask = |world: &mut World| {
        assert_eq!(world.perform(own, request(party)).unwrap(), ["party.psp_account_requested"]);
        world.orders.last().unwrap().clone()
    };
    let standing = |world: &World| match world.state(&domain::party::stream(party)) {
        domain::aggregate::AggregateState::Party(state) => state.payee_standing().standing,
        other => panic!("{other:?}"),
    };
    let mut last = None;
    for _ in 0..2 {
        let order = ask(&mut world);
        assert_eq!(standing(&world).account_refused, None);
        let [fact] = process::refused(&order.what, "country_unsupported").try_into().unwrap();
        assert_eq!(world.fact(fact.command.clone()).unwrap(), ["party.psp_account_refused"]);
        assert_eq!(world.fact(fact.command.clone()).unwrap(), Vec::<String>::new(), "told again");
        assert_eq!(standing(&world).account_refused.as_deref(), Some("country_unsupported"));
        let key = order.what.idempotency_key("main", order.order_id, 1);
        let this = Some((order.order_id, key, fact.command_id));
        assert_ne!(this, last, "each is an order, a key and a fact of its own");
        last = this;
    }
    // A late word on a request of before changes nothing.
    let first = ProviderOrder::CreateAccount { party_id: party, country: Jurisdiction::new("GB").unwrap(), request: 0 };
    ask(&mut world);
    let [late] = process::refused(&first, "country_unsupported").try_into().unwrap();
    assert_eq!(world.fact(late.command).unwrap(), Vec::<String>::new());
    assert_eq!(world.perform(own, request(party)), Err(Refusal::PayoutAccountExists), "it is being made");
}
