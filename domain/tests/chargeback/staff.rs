//! What staff does about a chargeback: it concedes, or says something beside what the log proves; and when it cannot.

use domain::actor::{Actor, StaffRole, SystemPart};
use domain::chargeback::ChargebackCommand as C;
use domain::chargeback::statement::{FileField, Statement, TEXT_MAX, TextField};
use domain::command::Command;
use domain::id::ChargebackId;
use domain::intent::Intent;
use domain::ports::provider::{DisputeStatus, ProviderOrder};
use domain::refusal::Refusal;
use domain::rules::Rules;

use super::bank::{Dispute, chargeback};
use super::evidence::bundle_of;
use super::ledgers::check;
use super::money::world::World;
use super::money::{client, f, payee, staff};
use super::money_taken_back::f0;

/// Leads a dispute to a state.
type Lead<'a> = &'a dyn Fn(&mut World, &mut Dispute);

fn by(world: &mut World, actor: Actor, id: ChargebackId, command: C) -> Result<Vec<String>, Refusal> {
    world.perform(actor, Intent::Fact(Command::Chargeback(id, command)))
}

fn by_staff(world: &mut World, id: ChargebackId, command: C) -> Result<Vec<String>, Refusal> {
    by(world, staff(StaffRole::Finance), id, command)
}

fn words(digit: &str) -> C {
    C::DraftEvidence { statement: digit.repeat(64) }
}

/// J52: conceded, the provider is told, and what is lost is lost when the provider says so. Whatever else it says is so, too.
#[test]
fn what_is_conceded_is_lost_when_the_provider_says_so() {
    for (status, state) in
        [(DisputeStatus::Lost, "lost"), (DisputeStatus::UnderReview, "under_review"), (DisputeStatus::Won, "won")]
    {
        let (mut world, mut dispute) = f0();
        dispute.withdraws(105_000).told(&mut world).unwrap();
        assert_eq!(by_staff(&mut world, dispute.id(), C::Accept).unwrap(), ["chargeback.accepted"]);
        let order = world.orders.last().unwrap().what.clone();
        let close = ProviderOrder::CloseDispute { chargeback_id: dispute.id(), dispute_ref: "dp_1".to_owned() };
        assert_eq!((&order, order.action(), order.moves_money()), (&close, "close_dispute", false));
        assert_eq!(dispute.state(&world).state_name(), "accepted");
        assert_eq!(world.balance().get("1200"), Some(&105_000), "nothing is lost yet");
        check(&world);
        assert_eq!(dispute.told(&mut world), Ok(Vec::new()), "a report from before it is no news");
        if status == DisputeStatus::Won {
            dispute.reinstates(105_000);
        }
        dispute.is(status).told(&mut world).unwrap();
        assert_eq!(dispute.state(&world).state_name(), state);
        check(&world);
    }
}

/// What waits for an answer can be conceded, once; what is asked, answered or over cannot. Words can be written as long as
/// the bank waits for an answer.
#[test]
fn only_what_waits_is_conceded_or_talked_about() {
    let answer = |world: &mut World, dispute: &Dispute| {
        let evidence = Box::new(bundle_of(world, "dp_1"));
        by_staff(world, dispute.id(), C::SubmitEvidence { evidence }).unwrap();
    };
    let told = |status: DisputeStatus| {
        move |world: &mut World, dispute: &mut Dispute| {
            dispute.is(status).told(world).unwrap();
        }
    };
    let inquiry = told(DisputeStatus::WarningNeedsResponse);
    let closed = told(DisputeStatus::WarningClosed);
    let reviewed = told(DisputeStatus::UnderReview);
    let won = told(DisputeStatus::Won);
    let lost = told(DisputeStatus::Lost);
    let open = told(DisputeStatus::NeedsResponse);
    let accepted = |world: &mut World, dispute: &mut Dispute| {
        dispute.told(world).unwrap();
        by_staff(world, dispute.id(), C::Accept).unwrap();
    };
    let answered = |world: &mut World, dispute: &mut Dispute| {
        dispute.told(world).unwrap();
        answer(world, dispute);
    };
    let cases: [(Lead<'_>, &'static str, bool, bool); 8] = [
        (&open, "needs_response", true, true),
        (&inquiry, "inquiry", false, true),
        (&closed, "inquiry_closed", false, false),
        (&answered, "answered", false, false),
        (&reviewed, "under_review", false, false),
        (&accepted, "accepted", false, false),
        (&won, "won", false, false),
        (&lost, "lost", false, false),
    ];
    for (lead, state, concedes, talks) in cases {
        let (mut world, mut dispute) = f0();
        lead(&mut world, &mut dispute);
        let said = by_staff(&mut world, dispute.id(), words("a")).map(|_| ());
        let refused = |action| Err(Refusal::ChargebackWrongState { action, state });
        assert_eq!(said, if talks { Ok(()) } else { refused("answered") }, "{state}");
        let conceded = by_staff(&mut world, dispute.id(), C::Accept).map(|_| ());
        assert_eq!(conceded, if concedes { Ok(()) } else { refused("accepted") }, "{state}");
    }
}

/// Parties, staff that only reads and the engine itself neither concede nor have words; and of what is unknown there is
/// nothing to say.
#[test]
fn only_staff_that_decides_about_money_does_so() {
    let (mut world, dispute) = f0();
    for command in [C::Accept, words("a")] {
        let unknown = by_staff(&mut world, dispute.id(), command);
        assert_eq!(unknown, Err(Refusal::NotFound { what: "chargeback" }));
    }
    dispute.told(&mut world).unwrap();
    for (command, action) in [(C::Accept, "accept a chargeback"), (words("a"), "answer a chargeback")] {
        for party in [Actor::Client(client()), Actor::Payee(payee())] {
            assert_eq!(by(&mut world, party, dispute.id(), command.clone()), Err(Refusal::NotAParty));
        }
        for actor in [staff(StaffRole::Auditor), staff(StaffRole::Support), Actor::System(SystemPart::Timer)] {
            let refused = by(&mut world, actor, dispute.id(), command.clone());
            assert_eq!(refused, Err(Refusal::Forbidden { who: "staff", action }));
        }
    }
}

/// D-117: who names a cycle that is over does not concede the one that came after it.
#[test]
fn a_person_means_the_cycle_that_it_names() {
    let (mut world, mut dispute) = f0();
    dispute.withdraws(105_000).told(&mut world).unwrap();
    dispute.is(DisputeStatus::Won).reinstates(105_000).told(&mut world).unwrap();
    dispute.is(DisputeStatus::NeedsResponse).withdraws(105_000).told(&mut world).unwrap();
    let second = dispute.state(&world).next().unwrap();
    let refused = Refusal::ChargebackWrongState { action: "accepted", state: "won" };
    assert_eq!(by_staff(&mut world, dispute.id(), C::Accept), Err(refused));
    by_staff(&mut world, second, C::Accept).unwrap();
    assert_eq!(chargeback(&world, second).state_name(), "accepted");
}

/// The newest words go with the evidence, also when the bank had only asked when they were written; events have their digest.
#[test]
fn the_newest_words_go_with_the_evidence() {
    let mut world = World::f0(&[100_000]);
    let mut dispute = Dispute::of(f(1), "dp_1", 105_000);
    dispute.is(DisputeStatus::WarningNeedsResponse).told(&mut world).unwrap();
    for digit in ["a", "b"] {
        assert_eq!(by_staff(&mut world, dispute.id(), words(digit)).unwrap(), ["chargeback.evidence_drafted"]);
    }
    dispute.is(DisputeStatus::NeedsResponse).told(&mut world).unwrap();
    let evidence = Box::new(bundle_of(&world, "dp_1"));
    by_staff(&mut world, dispute.id(), C::SubmitEvidence { evidence }).unwrap();
    let order = world.orders.last().unwrap().what.clone();
    let ProviderOrder::SubmitEvidence { statement, words: None, .. } = &order else { panic!("{order:?}") };
    assert_eq!(statement.as_deref(), Some("b".repeat(64).as_str()));
    let stored = serde_json::to_string(&order).unwrap();
    assert_eq!(serde_json::from_str::<ProviderOrder>(&stored).unwrap(), order);
}

/// The limits are those of Stripe: 20,000 characters of a text, 150,000 of all, counted as characters. The same words have
/// another digest with another salt.
#[test]
fn words_have_limits_and_a_salted_digest() {
    let statement = |texts: &[(TextField, String)], files: &[(FileField, &str)]| Statement {
        salt: "salt".to_owned(),
        texts: texts.iter().cloned().collect(),
        files: files.iter().map(|(field, name)| (*field, (*name).to_owned())).collect(),
    };
    let fields = [
        TextField::AccessActivityLog,
        TextField::CancellationRebuttal,
        TextField::CustomerName,
        TextField::ProductDescription,
        TextField::RefundPolicyDisclosure,
        TextField::RefundRefusalExplanation,
        TextField::ShippingAddress,
    ];
    let full: Vec<_> = fields.into_iter().map(|field| (field, "ü".repeat(TEXT_MAX))).collect();
    let and = |rest: usize| [full.clone(), vec![(TextField::UncategorizedText, "x".repeat(rest))]].concat();
    assert_eq!(statement(&and(10_000), &[]).check(), Ok(()), "150,000 characters");
    assert_eq!(statement(&[], &[(FileField::Receipt, "file_1")]).check(), Ok(()));
    let long = "x".repeat(TEXT_MAX + 1);
    for (wrong, pointer) in [
        (statement(&[], &[]), "/texts"),
        (statement(&and(10_001), &[]), "/texts"),
        (statement(&[(TextField::ServiceDate, long)], &[]), "/texts/service_date"),
        (statement(&[(TextField::ServiceDate, "  ".to_owned())], &[]), "/texts/service_date"),
        (statement(&[], &[(FileField::Receipt, "a b")]), "/files/receipt"),
    ] {
        let Err(Refusal::Invalid { pointer: found, .. }) = wrong.check() else { panic!("{wrong:?}") };
        assert_eq!(found, pointer);
    }
    let said = statement(&[(TextField::CustomerName, "Ada Example".to_owned())], &[]);
    let other = Statement { salt: "other".to_owned(), ..said.clone() };
    assert_ne!(said.digest(), other.digest());
    assert_eq!(said.digest().unwrap().len(), 64);
    assert!(!format!("{said:?}").contains("Ada"), "no words in logs");
}
