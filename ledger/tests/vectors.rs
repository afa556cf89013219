//! The 87 journal vectors of the specification can be written as entries, and what is no entry is refused.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;

use chrono::NaiveDate;
use ledger::{
    Account, Amount, Currency, DimensionKey, Dimensions, EntryError, JournalEntry, Minor, Posting, PostingError, Side,
};

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, 1).unwrap()
}

/// Every dimension that the account demands; the vectors' own column is a sketch.
fn demanded(account: Account) -> Dimensions {
    account.required_dimensions().iter().fold(Dimensions::new(), |dims, key| dims.with(*key, format!("x_{key}")))
}

fn posting(side: Side, account: Account, minor: i64, currency: Currency) -> Posting {
    let amount = Amount::new(Minor::new(minor).unwrap(), currency).unwrap();
    Posting::new(side, account, amount, demanded(account)).unwrap()
}

#[test]
fn all_vectors_are_entries() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("data/journals.json")).unwrap();
    let journals = vectors["journals"].as_array().unwrap();
    assert_eq!(journals.len(), 87);
    for journal in journals {
        let postings: Vec<_> = journal["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| {
                let side = if line["side"] == "Dr" { Side::Debit } else { Side::Credit };
                let account = Account::from_code(line["account"].as_str().unwrap()).unwrap();
                let currency: Currency = line["currency"].as_str().unwrap().parse().unwrap();
                posting(side, account, line["minor"].as_i64().unwrap(), currency)
            })
            .collect();
        for entry in entries(journal["id"].as_str().unwrap(), postings) {
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<JournalEntry>(&text).unwrap(), entry);
        }
    }
}

/// A vector shown as "two events" is two entries; each has to balance by itself.
fn entries(id: &str, postings: Vec<Posting>) -> Vec<JournalEntry> {
    let entry = |postings: Vec<Posting>| JournalEntry::new("vector", date(), postings).unwrap();
    let line = |side, account, minor| posting(side, account, minor, Currency::USD);
    let parts = match id {
        // 420.00 are the escrow's part of the loss, 630.00 the payee account's.
        "J56" => vec![
            vec![
                line(Side::Debit, Account::EscrowDisputed, 40_000),
                line(Side::Debit, Account::DeferredClientFee, 2000),
                line(Side::Credit, Account::ChargebacksUnderContest, 42_000),
            ],
            vec![
                line(Side::Debit, Account::PayeeAvailable, 45_000),
                line(Side::Debit, Account::ReceivableFromPayee, 9000),
                line(Side::Debit, Account::PayeeServiceFees, 6000),
                line(Side::Debit, Account::ClientMarketplaceFees, 3000),
                line(Side::Credit, Account::ChargebacksUnderContest, 63_000),
            ],
        ],
        // 300.00 from the wallet, 750.00 by card.
        "J95" => vec![
            vec![line(Side::Debit, Account::ClientWallet, 30_000), line(Side::Credit, Account::EscrowHeld, 30_000)],
            vec![
                line(Side::Debit, Account::PspPending, 75_000),
                line(Side::Credit, Account::EscrowHeld, 70_000),
                line(Side::Credit, Account::DeferredClientFee, 5000),
            ],
        ],
        "J98" => {
            let (withdrawn, held) = postings.split_at(3);
            vec![withdrawn.to_vec(), held.to_vec()]
        }
        _ => return vec![entry(postings)],
    };
    let sums = |postings: &[Posting]| {
        let mut sums: BTreeMap<(Account, Side), i64> = BTreeMap::new();
        for posting in postings {
            *sums.entry((posting.account(), posting.side())).or_default() += posting.amount().minor().get();
        }
        sums
    };
    assert_eq!(sums(&parts.concat()), sums(&postings), "{id}: the parts are the whole");
    parts.into_iter().map(entry).collect()
}

#[test]
fn what_does_not_balance_is_refused() {
    let lines = vec![
        posting(Side::Debit, Account::PspPending, 100, Currency::USD),
        posting(Side::Credit, Account::PspAvailable, 99, Currency::USD),
    ];
    let refused = JournalEntry::new("x", date(), lines);
    assert_eq!(refused, Err(EntryError::Unbalanced { currency: Currency::USD, difference: 1 }));
    let one = vec![posting(Side::Debit, Account::PspPending, 100, Currency::USD)];
    assert_eq!(JournalEntry::new("x", date(), one), Err(EntryError::TooFewPostings));
}

#[test]
fn two_currencies_meet_only_in_the_fx_position() {
    let mut lines = vec![
        posting(Side::Debit, Account::PspPending, 100, Currency::USD),
        posting(Side::Credit, Account::PspAvailable, 100, Currency::USD),
        posting(Side::Debit, Account::FxPosition, 90, Currency::EUR),
        posting(Side::Credit, Account::EscrowHeld, 90, Currency::EUR),
    ];
    let refused = JournalEntry::new("x", date(), lines.clone());
    assert_eq!(refused, Err(EntryError::MixedCurrencies { currency: Currency::USD }));
    lines[1] = posting(Side::Credit, Account::FxPosition, 100, Currency::USD);
    assert!(JournalEntry::new("x", date(), lines).is_ok());
}

#[test]
fn dimensions_are_those_of_the_account() {
    let amount = Amount::new(Minor::new(1).unwrap(), Currency::USD).unwrap();
    let make = |dims| Posting::new(Side::Debit, Account::PayeeAvailable, amount, dims);
    let missing = PostingError::MissingDimension { account: Account::PayeeAvailable, key: DimensionKey::Payee };
    assert_eq!(make(Dimensions::new()), Err(missing));
    let unexpected = PostingError::UnexpectedDimension { account: Account::PayeeAvailable, key: DimensionKey::Refund };
    let with_payee = Dimensions::new().with(DimensionKey::Payee, "pty_1");
    assert_eq!(make(with_payee.clone().with(DimensionKey::Refund, "r")), Err(unexpected));
    for bad in ["", "a;b", "a=b", "a\u{0}b", &"x".repeat(200)] {
        let refused = make(Dimensions::new().with(DimensionKey::Payee, bad));
        assert_eq!(refused, Err(PostingError::BadValue { key: DimensionKey::Payee }), "{bad:?}");
    }
    assert!(make(with_payee).is_ok());
}

#[test]
fn json_cannot_bring_in_what_the_constructor_refuses() {
    let line = |side: &str, account: &str, minor: &str| {
        format!(
            r#"{{"side":"{side}","account":"{account}","minor":{minor},"currency":"USD","dims":{{"psp":"s","psp_account":"p"}}}}"#
        )
    };
    let entry = |lines: [String; 2]| {
        let text =
            format!(r#"{{"rule":"x","rule_version":1,"value_date":"2026-12-01","lines":[{}]}}"#, lines.join(","));
        serde_json::from_str::<JournalEntry>(&text)
    };
    assert!(entry([line("D", "1110", "5"), line("C", "1120", "5")]).is_ok());
    assert!(entry([line("D", "1110", "5"), line("C", "1120", "6")]).is_err(), "unbalanced");
    assert!(entry([line("D", "1110", "0"), line("C", "1120", "0")]).is_err(), "zero");
    assert!(entry([line("D", "1110", "5.5"), line("C", "1120", "5.5")]).is_err(), "fraction");
    assert!(entry([line("D", "9999", "5"), line("C", "1120", "5")]).is_err(), "unknown account");
    assert!(entry([line("D", "2100", "5"), line("C", "1120", "5")]).is_err(), "missing dimension");
    assert!(entry([line("Dr", "1110", "5"), line("C", "1120", "5")]).is_err(), "unknown side");
}
