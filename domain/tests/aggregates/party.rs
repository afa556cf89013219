//! Party.

use domain::actor::Actor;
use domain::event::DomainEvent;
use domain::party::{Party, PartyCommand as C, PayoutAccount};

use super::{SYSTEM, after, payee_id, table, table_of};

fn link(account: &str) -> C {
    let account = PayoutAccount { psp: "stripe".to_owned(), psp_account: account.to_owned() };
    C::LinkPayoutAccount { party_id: payee_id(), account }
}

#[test]
fn what_a_party_does_in_each_state() {
    let register = || C::Register { party_id: payee_id() };
    let registered = [(SYSTEM, register()), (Actor::Payee(payee_id()), link("acct_1"))];
    let states =
        [("unknown", Party::default()), ("registered", after(&registered[..1])), ("linked", after(&registered))];
    let commands = [("Register", register()), ("LinkPayoutAccount", link("acct_1"))];
    insta::assert_snapshot!(table(&states, &commands, DomainEvent::Party), @r"
    Register
      registered, linked: nothing
      unknown: party.registered
    LinkPayoutAccount by client, client as payee, outsider, staff, system
      always: refused not_found
    LinkPayoutAccount by payee
      linked: nothing
      registered: party.psp_account_linked
      unknown: refused not_found
    LinkPayoutAccount by payee as client
      registered, linked: refused forbidden
      unknown: refused not_found
    ");
    let accounts = [
        ("another account", link("acct_2")),
        ("no account", link("")),
        ("an address", link("jane@example.com")),
        ("64 characters", link(&"a".repeat(64))),
        ("65 characters", link(&"a".repeat(65))),
        ("the platform's own", link("platform")),
    ];
    let payee = Actor::Payee(payee_id());
    insta::assert_snapshot!(table_of(payee, &states, &accounts, DomainEvent::Party), @r"
    another account
      registered, linked: party.psp_account_linked
      unknown: refused not_found
    no account
      unknown: refused not_found
      registered, linked: refused validation_failed
    an address
      unknown: refused not_found
      registered, linked: refused validation_failed
    64 characters
      registered, linked: party.psp_account_linked
      unknown: refused not_found
    65 characters
      unknown: refused not_found
      registered, linked: refused validation_failed
    the platform's own
      unknown: refused not_found
      registered, linked: refused validation_failed
    ");
}
