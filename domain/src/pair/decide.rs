//! Rules of a pair.

use super::{Pair, PairCommand, PairEvent};

pub(super) fn decide(pair: &Pair, command: &PairCommand) -> Vec<PairEvent> {
    let PairCommand::Bill { pair: id, contract_id, release_id, gross } = command;
    if pair.last_release_id == Some(*release_id) || gross.is_zero() {
        return Vec::new();
    }
    vec![PairEvent::Billed {
        client_id: id.client_id,
        payee_id: id.payee_id,
        currency: id.currency,
        contract_id: *contract_id,
        release_id: *release_id,
        gross: *gross,
    }]
}
