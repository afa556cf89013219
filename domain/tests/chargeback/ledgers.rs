//! The books of a world, by account and by sub-ledger, and what they have to be.

use std::collections::BTreeMap;

use domain::aggregate::AggregateState;
use domain::refund::Refund;
use domain::wallet::{ClientWallet, WalletId};
use ledger::account::Floor;
use ledger::{Account, JournalEntry, Side};

use super::bank::{earnings, holdings};
use super::money::world::World;
use super::money::{client, lines};

/// Lines of entries that belong together: sums by side and account, in the order of the accounts.
pub fn joined(entries: &[JournalEntry]) -> Vec<(String, String, i64)> {
    let mut sums: BTreeMap<(String, String), i64> = BTreeMap::new();
    for (side, account, amount, currency) in entries.iter().flat_map(lines) {
        assert_eq!(currency, "USD");
        *sums.entry((account, side.to_owned())).or_default() += amount;
    }
    sums.into_iter().map(|((account, side), amount)| (side, account, amount)).collect()
}

/// The same of a journal of the specification.
pub fn vector(id: &str) -> Vec<(String, String, i64)> {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../ledger/tests/data/journals.json")).unwrap();
    let journal = vectors["journals"].as_array().unwrap().iter().find(|journal| journal["id"] == id).unwrap();
    let mut sums: BTreeMap<(String, String), i64> = BTreeMap::new();
    for line in journal["lines"].as_array().unwrap() {
        let text = |field: &str| line[field].as_str().unwrap().to_owned();
        *sums.entry((text("account"), text("side"))).or_default() += line["minor"].as_i64().unwrap();
    }
    sums.into_iter().map(|((account, side), amount)| (side, account, amount)).collect()
}

/// Nets by account and dimensions, on the account's normal side.
fn sub_ledgers(world: &World) -> BTreeMap<(Account, String), i128> {
    let mut nets = BTreeMap::new();
    let events = world.appends.iter().flat_map(|append| &append.events);
    for posting in events.filter_map(|event| event.journal.as_ref()).flat_map(JournalEntry::postings) {
        let account = posting.account();
        let sign = if account.normal_side() == Side::Debit { 1 } else { -1 };
        *nets.entry((account, posting.dimensions().to_string())).or_insert(0) += sign * posting.signed();
    }
    nets
}

/// I4, I5, L1, L4, L5: everything balances, nothing is below its floor for any dimensions, and what the aggregates say is
/// what the books say.
pub fn check(world: &World) {
    let nets = sub_ledgers(world);
    for ((account, dimensions), net) in &nets {
        assert!(account.floor() != Floor::NonNegative || *net >= 0, "{account} {dimensions}: {net}");
    }
    // Debits and credits were checked with the entries; the whole is looked at once more.
    let _ = world.balance();
    let of =
        |account: Account| nets.iter().filter(|((known, _), _)| *known == account).map(|(_, net)| *net).sum::<i128>();

    let held = holdings(world);
    assert!(held.is_conserved(), "{held:?}");
    let sum = |of: fn(&domain::escrow::Holding) -> ledger::Minor| {
        held.milestones.values().map(|holding| i128::from(of(holding).get())).sum::<i128>()
    };
    assert_eq!(of(Account::EscrowHeld), sum(|holding| holding.held), "2100");
    assert_eq!(of(Account::EscrowDisputed), sum(|holding| holding.disputed), "2110");
    assert_eq!(of(Account::EscrowUnallocated), i128::from(held.unallocated_amount().get()), "2105");
    let deferred = held.milestones.values().map(|holding| i128::from(holding.fees.deferred().get())).sum::<i128>();
    let deferred = deferred + i128::from(held.unallocated_fees.deferred().get());
    assert_eq!(of(Account::DeferredClientFee), deferred, "2300");
    for (id, holding) in &held.milestones {
        let AggregateState::Milestone(milestone) = world.state(&domain::milestone::stream(*id)) else { panic!() };
        let known = milestone.progress().map_or(0, |progress| progress.held.get());
        let lost = milestone.progress().map_or(0, |progress| progress.lost.get());
        assert_eq!(known, holding.held.get() + holding.disputed.get(), "{milestone:?}");
        assert_eq!(lost, holding.lost.get(), "{milestone:?}");
    }

    let account = earnings(world);
    assert_eq!(of(Account::PayeePending), i128::from(account.pending_total().get()), "2200");
    assert_eq!(of(Account::PayeeAvailable), i128::from(account.available.get()), "2210");
    assert_eq!(of(Account::PayeeHeld), i128::from(account.held_total().get()), "2220");
    assert_eq!(of(Account::ReceivableFromPayee), i128::from(account.debt_total().get()), "1210");

    let owed: i128 = held.fundings.values().map(|funding| i128::from(funding.owed.get())).sum();
    let purse = wallet(world);
    let claims = || purse.claims.iter().flat_map(|(id, claims)| claims.iter().map(move |claim| (id, claim)));
    let claimed: i128 = claims()
        .filter(|(_, claim)| claim.chargeback_id.is_none())
        .map(|(_, claim)| i128::from(claim.amount.get()))
        .sum();
    assert_eq!(of(Account::ReceivableFromClient), owed + claimed + of_no_escrow(world), "1220");
    assert_eq!(of(Account::ClientWallet), i128::from(purse.balance.get()), "2120");
    // B.6: what the client has twice is not left in the wallet, nor does a refund wait for the wallet to have it.
    for (id, claim) in claims() {
        let here = purse.refunded_of(*id).min(purse.balance);
        assert!(here.is_zero(), "{here} of {id} are here, and {claim:?}");
    }
    for event in world.log.iter().filter(|event| event.event_type == "refund.manual_required") {
        let AggregateState::Refund(refund) = world.state(&event.stream) else { panic!() };
        if let Refund::RequiresManual { order, reason } = refund.as_ref()
            && let Some(funding) = order.funding_id.and_then(|id| held.fundings.get(&id))
        {
            assert!(funding.reclaimed.is_zero(), "{reason}: {order:?} waits, and {funding:?}");
        }
    }
    // Who owes has nothing available.
    assert!(account.available.is_zero() || account.debt_total().is_zero(), "{account:?}");
    for (id, funding) in &held.fundings {
        // What was returned as a whole is held by nobody, unless a bank contests it still.
        let gone = funding.sent_back.get() + funding.charged_back.get() >= funding.paid.get();
        let contested = held.chargebacks.values().any(|hold| hold.funding_id == *id && !hold.parts.is_empty());
        assert!(!gone || funding.owed.is_zero() || contested || held.remaining_of(*id).is_zero(), "{id}: {held:?}");
    }

    let contested: i128 = chargebacks(world).iter().map(|case| i128::from(case.out().get())).sum();
    assert_eq!(of(Account::ChargebacksUnderContest), contested, "1200");
}

/// The client's wallet.
fn wallet(world: &World) -> ClientWallet {
    let id = WalletId { party_id: client(), currency: world.currency };
    match world.state(&domain::wallet::stream(id)) {
        AggregateState::Wallet(wallet) => wallet,
        other => panic!("{other:?}"),
    }
}

/// What clients owe of returned payments that no escrow had.
fn of_no_escrow(world: &World) -> i128 {
    let payloads = |event_type: &'static str| {
        let events = world.log.iter().filter(move |event| event.event_type == event_type);
        events.map(|event| serde_json::from_str::<serde_json::Value>(&event.payload).unwrap())
    };
    let apart: Vec<_> = payloads("funding.returned").filter(|event| event["escrowed"] == false).collect();
    let of_apart = |owed: &serde_json::Value| apart.iter().any(|event| event["funding_id"] == owed["funding_id"]);
    let owed = payloads("funding.late_return_recorded").filter(of_apart);
    owed.map(|event| i128::from(event["amount"].as_i64().unwrap())).sum()
}

/// Every cycle that there is.
pub fn chargebacks(world: &World) -> Vec<domain::chargeback::Case> {
    let streams: std::collections::BTreeSet<_> = world
        .log
        .iter()
        .filter(|event| event.stream.aggregate_type == "chargeback")
        .map(|event| &event.stream)
        .collect();
    let case = |stream| match world.state(stream) {
        AggregateState::Chargeback(state) => {
            // As read models keep it: also the state of a further cycle is read as it was written.
            let case = state.case().cloned();
            let state = AggregateState::Chargeback(state);
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(AggregateState::from_json("chargeback", &text).unwrap(), state);
            case
        }
        other => panic!("{other:?}"),
    };
    streams.into_iter().filter_map(case).collect()
}

/// What the books say lies at the provider: pending, available, and at the payee's account.
pub fn at_provider(world: &World) -> i128 {
    let balance = world.balance();
    ["1110", "1120", "1130"].iter().filter_map(|code| balance.get(code)).sum()
}
