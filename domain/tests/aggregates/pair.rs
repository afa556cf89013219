//! What a pair has billed together. It has one state, and its one command is never refused: it comes with a release.

use domain::event::DomainEvent;
use domain::id::{ContractId, ReleaseId};
use domain::pair::{Pair, PairCommand as C, PairId};
use ledger::Currency;

use super::{SYSTEM, after, client_id, id, minor, payee_id, table};

fn bill(release: u128, gross: i64) -> C {
    C::Bill {
        pair: PairId { client_id: client_id(), payee_id: payee_id(), currency: Currency::USD },
        contract_id: ContractId::from_uuid(id(3)),
        release_id: ReleaseId::from_uuid(id(release)),
        gross: minor(gross),
    }
}

/// D-61: every release is billed once, by whoever it was caused.
#[test]
fn what_a_pair_bills() {
    let billed = after(&[(SYSTEM, bill(7, 40_000))]);
    let states = [("nothing yet", Pair::default()), ("400.00", billed)];
    let commands = [("Bill", bill(7, 40_000)), ("Bill another release", bill(8, 1)), ("Bill nothing", bill(8, 0))];
    insta::assert_snapshot!(table(&states, &commands, DomainEvent::Pair), @r"
    Bill
      400.00: nothing
      nothing yet: pair.billed
    Bill another release
      nothing yet, 400.00: pair.billed
    Bill nothing
      nothing yet, 400.00: nothing
    ");
}
