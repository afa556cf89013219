//! The 87 journal vectors of the specification can be written as entries, and what is no entry is refused.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;

use chrono::NaiveDate;
use ledger::{
    Account, Amount, Currency, DimensionKey, Dimensions, EntryError, JournalEntry, Minor, Posting, PostingError, Side,
    TrialBalance, render_entry, render_trial_balance,
};

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, 1).unwrap()
}

/// The dimensions of a line. The vectors' own column is a sketch (`C1/M1/F1`, often empty): what it says is kept, what
/// the chart demands beside that is filled in.
fn dimensions(account: Account, sketch: &str) -> Dimensions {
    use Account as A;
    use DimensionKey as K;
    let words: Vec<_> = sketch.split('/').filter(|word| !word.is_empty() && *word != "unallocated").collect();
    let word =
        |index: usize, default: &'static str| words.get(index).map_or(default.to_owned(), |word| (*word).to_owned());
    let dims = Dimensions::new();
    let dims = match account {
        A::BankOperating | A::RetainedEarnings => dims,
        A::BankClientMoney => dims.with(K::BankAccount, "safeguarded"),
        A::PspPending | A::PspAvailable => dims.with(K::Psp, "stripe").with(K::PspAccount, "acct_platform"),
        A::PspReserve | A::PspProcessingFees | A::PspPayoutFees => dims.with(K::Psp, "stripe"),
        A::PspDisputeFees => dims.with(K::Psp, "stripe").with(K::Chargeback, word(0, "")),
        A::FundsAtConnectedAccount => dims.with(K::Payee, word(0, "")).with(K::PspAccount, "acct_payee"),
        A::ChargebacksUnderContest => dims.with(K::Chargeback, word(0, "")).with(K::Funding, word(1, "")),
        // J17 does not say what the debt arose from.
        A::ReceivableFromPayee => dims.with(K::Payee, word(0, "")).with(K::Cause, word(1, "R4")),
        A::ReceivableFromClient => dims.with(K::Client, word(0, "")).with(K::Cause, word(1, "")),
        A::FxPosition => {
            let about = if sketch.starts_with('P') { K::Payout } else { K::Funding };
            dims.with(K::CurrencyPair, "EUR-USD").with(about, word(0, ""))
        }
        A::SuspenseDebits | A::SuspenseReceipts => dims.with(K::Break, word(0, "")),
        // A booking has one milestone; J90 to J92 do not name the funding.
        A::EscrowHeld => {
            dims.with(K::Contract, word(0, "")).with(K::Milestone, word(1, "M1")).with(K::Funding, word(2, "F1"))
        }
        A::EscrowDisputed => {
            let about = if word(2, "D2").starts_with("CB") { K::Chargeback } else { K::Dispute };
            dims.with(K::Contract, word(0, "")).with(K::Milestone, word(1, "")).with(about, word(2, "D2"))
        }
        A::EscrowUnallocated | A::DeferredInitiationFee | A::Goodwill => dims.with(K::Contract, word(0, "")),
        A::ClientWallet => dims.with(K::Client, word(0, "")),
        A::PayeePending => dims.with(K::Payee, word(0, "")).with(K::Contract, word(1, "C4")),
        A::PayeeAvailable => dims.with(K::Payee, word(0, "")),
        A::PayeeHeld => dims.with(K::Payee, word(0, "")).with(K::HoldReason, word(1, "")),
        A::PayoutsInTransit => dims.with(K::Payee, word(0, "")).with(K::Payout, word(1, "")),
        A::RefundsInTransit => {
            let to = if sketch.starts_with("payee") { K::Payee } else { K::Client };
            dims.with(to, word(0, "")).with(K::Refund, word(1, "R13"))
        }
        A::DeferredClientFee if words.len() > 1 => dims.with(K::Contract, word(0, "")).with(K::Milestone, word(1, "")),
        A::DeferredClientFee => dims.with(K::Contract, word(0, "")),
        A::DeferredClientFeeTax => {
            dims.with(K::Contract, "C1").with(K::Jurisdiction, &sketch[..2]).with(K::TaxRate, &sketch[3..])
        }
        A::OutputTax => dims.with(K::Jurisdiction, &sketch[..2]).with(K::TaxRate, &sketch[3..]),
        A::WithholdingTax => dims.with(K::Jurisdiction, word(0, "")),
        A::ArbitrationFeesHeld => dims.with(K::Dispute, word(0, "")).with(K::Party, word(1, "")),
        A::UnclaimedFunds | A::PremiumFeatures => dims.with(K::Party, word(0, "client")),
        A::PayeeServiceFees => dims.with(K::Contract, "C1").with(K::Payee, "payee"),
        A::ClientMarketplaceFees => dims.with(K::Contract, "C1").with(K::Client, "client"),
        A::InitiationFees => dims.with(K::Contract, "C1"),
        A::CancellationFees => dims.with(K::Booking, word(0, "")),
        A::WithdrawalFees => dims.with(K::Payee, "payee"),
        A::ArbitrationFees => dims.with(K::Dispute, "D1"),
        A::FxGain | A::FxLoss | A::RoundingDifferences => dims.with(K::Currency, "EUR"),
        A::ChargebackLosses => dims.with(K::Chargeback, word(0, "")),
        A::WriteOffs => dims.with(K::Payee, word(0, "")).with(K::Cause, word(1, "")),
    };
    for word in words.iter().flat_map(|word| word.split(' ')) {
        let kept = dims.iter().any(|(_, value)| value.split(' ').any(|part| part == word));
        assert!(kept, "{account}: {word} of {sketch} is kept");
    }
    dims
}

fn posting(side: Side, account: Account, minor: i64, currency: Currency, sketch: &str) -> Posting {
    let amount = Amount::new(Minor::new(minor).unwrap(), currency).unwrap();
    Posting::new(side, account, amount, dimensions(account, sketch)).unwrap()
}

/// Every vector by its id, each as the entries it is posted as.
fn vectors() -> BTreeMap<String, Vec<JournalEntry>> {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("data/journals.json")).unwrap();
    let vector = |journal: &serde_json::Value| {
        let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let postings: Vec<_> = journal["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| {
                let side = if line["side"] == "Dr" { Side::Debit } else { Side::Credit };
                let account = Account::from_code(&word(&line["account"])).unwrap();
                let currency: Currency = word(&line["currency"]).parse().unwrap();
                posting(side, account, line["minor"].as_i64().unwrap(), currency, &word(&line["dim"]))
            })
            .collect();
        let (id, owner) = (word(&journal["id"]), word(&journal["owner"]));
        let entries = entries(&id, postings);
        assert_eq!(entries.len(), if owner.contains("two events") { 2 } else { 1 }, "{id}");
        (id, entries)
    };
    vectors["journals"].as_array().unwrap().iter().map(vector).collect()
}

#[test]
fn all_vectors_are_entries() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 87);
    for entry in vectors.values().flatten() {
        let text = serde_json::to_string(entry).unwrap();
        assert_eq!(serde_json::from_str::<JournalEntry>(&text).unwrap(), *entry);
    }
}

/// A vector shown as "two events" is two entries; each has to balance by itself.
fn entries(id: &str, postings: Vec<Posting>) -> Vec<JournalEntry> {
    let entry = |postings: Vec<Posting>| JournalEntry::new("vector", date(), postings).unwrap();
    let line = |side, account, minor, sketch: &str| posting(side, account, minor, Currency::USD, sketch);
    let parts = match id {
        // 420.00 are the escrow's part of the loss, 630.00 the payee account's.
        "J56" => vec![
            vec![
                line(Side::Debit, Account::EscrowDisputed, 40_000, "C1/M1/CB1"),
                line(Side::Debit, Account::DeferredClientFee, 2000, "C1/M1"),
                line(Side::Credit, Account::ChargebacksUnderContest, 42_000, "CB1/F1"),
            ],
            vec![
                line(Side::Debit, Account::PayeeAvailable, 45_000, "payee"),
                line(Side::Debit, Account::ReceivableFromPayee, 9000, "payee/CB1"),
                line(Side::Debit, Account::PayeeServiceFees, 6000, ""),
                line(Side::Debit, Account::ClientMarketplaceFees, 3000, ""),
                line(Side::Credit, Account::ChargebacksUnderContest, 63_000, "CB1/F1"),
            ],
        ],
        // 300.00 from the wallet, 750.00 by card.
        "J95" => vec![
            vec![
                line(Side::Debit, Account::ClientWallet, 30_000, "client"),
                line(Side::Credit, Account::EscrowHeld, 30_000, "C1/M1/W1"),
            ],
            vec![
                line(Side::Debit, Account::PspPending, 75_000, ""),
                line(Side::Credit, Account::EscrowHeld, 70_000, "C1/M1/F1"),
                line(Side::Credit, Account::DeferredClientFee, 5000, "C1/M1"),
            ],
        ],
        // What the provider did, then what it means for the escrow.
        "J50" | "J98" => halves(&postings, 3),
        "J51" => halves(&postings, 2),
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

fn halves(postings: &[Posting], first: usize) -> Vec<Vec<Posting>> {
    let (first, second) = postings.split_at(first);
    vec![first.to_vec(), second.to_vec()]
}

#[test]
fn entries_are_shown_as_an_accountant_writes_them() {
    let vectors = vectors();
    let text = |id: &str| vectors[id].iter().map(render_entry).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text("J14"), @r"
    Dr 2100 Escrow held                                        1,000.00 USD
    Dr 2300 Deferred client marketplace fee                       50.00 USD
    Dr 2310 Deferred contract-initiation fee                       4.95 USD
    Dr 2305 Deferred tax on client fee                            10.99 USD
       Cr 2200 Payee payable, pending clearance                  880.00 USD
       Cr 4100 Payee service fees                                100.00 USD
       Cr 4110 Client marketplace fees                            50.00 USD
       Cr 4120 Contract-initiation fees                            4.95 USD
       Cr 2400 Output VAT / sales tax payable                     30.99 USD
    ");
    insta::assert_snapshot!(text("J50"), @r"
    Dr 1200 Chargebacks under contest                          1,050.00 USD
    Dr 5120 PSP dispute fees                                      15.00 USD
       Cr 1120 PSP balance, available                          1,065.00 USD

    Dr 2100 Escrow held                                        1,000.00 USD
       Cr 2110 Escrow under dispute or chargeback hold         1,000.00 USD
    ");
    insta::assert_snapshot!(text("J64"), @r"
    Dr 2100 Escrow held                                              120.00 USD
    Dr 2300 Deferred client marketplace fee                            6.00 USD
       Cr 2200 Payee payable, pending clearance                       34.00 USD
       Cr 4130 Cancellation and no-show fees, platform share           6.00 USD
       Cr 2260 Refunds in transit                                     86.00 USD
    ");
    insta::assert_snapshot!(text("J70"), @r"
    Dr 1300 FX position                                        1,000.00 EUR
       Cr 2100 Escrow held                                     1,000.00 EUR
    Dr 1110 PSP balance, pending                               1,078.00 USD
       Cr 1300 FX position                                     1,078.00 USD
    ");
    insta::assert_snapshot!(text("J91"), @r"
    Dr 2100 Escrow held                                          33.334 KWD
    Dr 2300 Deferred client marketplace fee                       1.667 KWD
       Cr 2200 Payee payable, pending clearance                  30.001 KWD
       Cr 4100 Payee service fees                                 3.333 KWD
       Cr 4110 Client marketplace fees                            1.667 KWD
    ");
}

/// D-118: funded by card, released, cleared, paid out.
#[test]
fn the_books_of_one_contract_end_with_what_the_platform_earned() {
    let vectors = vectors();
    let mut books = TrialBalance::new();
    let mut shown = Vec::new();
    for ids in [["J01", "J02", "J03"].as_slice(), &["J10", "J16", "J20", "J21", "J22"]] {
        for entry in ids.iter().flat_map(|id| &vectors[*id]) {
            books.add(entry);
        }
        assert!(books.is_balanced());
        shown.push(render_trial_balance(&books));
    }
    insta::assert_snapshot!(shown[0], @r"
    Trial balance, USD                                      debit         credit
    1120 PSP balance, available                          1,019.25
    2100 Escrow held                                                    1,000.00
    2300 Deferred client marketplace fee                                   50.00
    5100 PSP processing fees                                30.75
                                                         1,050.00       1,050.00
    ");
    insta::assert_snapshot!(shown[1], @r"
    Trial balance, USD                                      debit         credit
    1120 PSP balance, available                            119.25
    4100 Payee service fees                                               100.00
    4110 Client marketplace fees                                           50.00
    5100 PSP processing fees                                30.75
                                                           150.00         150.00
    ");
}

/// J70 to J72: each currency has its own table, and long names and numbers keep their columns.
#[test]
fn each_currency_has_its_own_table() {
    let vectors = vectors();
    let mut books = TrialBalance::new();
    for entry in ["J70", "J64", "J80"].iter().flat_map(|id| &vectors[*id]) {
        books.add(entry);
    }
    let most = Minor::MAX_INPUT.get();
    let lines = vec![
        posting(Side::Debit, Account::PspPending, most, Currency::USD, ""),
        posting(Side::Credit, Account::ClientWallet, most, Currency::USD, "client"),
    ];
    books.add(&JournalEntry::new("vector", date(), lines).unwrap());
    insta::assert_snapshot!(render_trial_balance(&books), @r"
    Trial balance, EUR                                      debit         credit
    1300 FX position                                     1,000.00
    2100 Escrow held                                                    1,000.00
                                                         1,000.00       1,000.00
    Trial balance, USD                                                 debit                credit
    1010 Bank, operating                                                                  2,000.00
    1110 PSP balance, pending                          10,000,000,001,077.99
    1120 PSP balance, available                                     2,000.00
    1300 FX position                                                                      1,078.00
    2100 Escrow held                                                  120.00
    2120 Client wallet (credit balance)                                       9,999,999,999,999.99
    2200 Payee payable, pending clearance                                                    34.00
    2260 Refunds in transit                                                                  86.00
    2300 Deferred client marketplace fee                                6.00
    4130 Cancellation and no-show fees, platform share                                        6.00
                                                       10,000,000,003,203.99 10,000,000,003,203.99
    ");
}

/// L1.
#[test]
fn what_does_not_balance_is_refused() {
    let lines = vec![
        posting(Side::Debit, Account::PspPending, 100, Currency::USD, ""),
        posting(Side::Credit, Account::PspAvailable, 99, Currency::USD, ""),
    ];
    let refused = JournalEntry::new("x", date(), lines);
    assert_eq!(refused, Err(EntryError::Unbalanced { currency: Currency::USD, difference: 1 }));
    let one = vec![posting(Side::Debit, Account::PspPending, 100, Currency::USD, "")];
    assert_eq!(JournalEntry::new("x", date(), one), Err(EntryError::TooFewPostings));
}

/// L8.
#[test]
fn two_currencies_meet_only_in_the_fx_position() {
    let mut lines = vec![
        posting(Side::Debit, Account::PspPending, 100, Currency::USD, ""),
        posting(Side::Credit, Account::PspAvailable, 100, Currency::USD, ""),
        posting(Side::Debit, Account::FxPosition, 90, Currency::EUR, "F9"),
        posting(Side::Credit, Account::EscrowHeld, 90, Currency::EUR, "C3/M1/F9"),
    ];
    let refused = JournalEntry::new("x", date(), lines.clone());
    assert_eq!(refused, Err(EntryError::MixedCurrencies { currency: Currency::USD }));
    lines[1] = posting(Side::Credit, Account::FxPosition, 100, Currency::USD, "F9");
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
fn an_account_that_is_about_one_of_two_things_names_exactly_one() {
    let amount = Amount::new(Minor::new(1).unwrap(), Currency::USD).unwrap();
    let make = |dims| Posting::new(Side::Debit, Account::WriteOffs, amount, dims);
    let (payee, client) = (DimensionKey::Payee, DimensionKey::Client);
    assert!(make(Dimensions::new().with(payee, "pty_1")).is_ok());
    assert!(make(Dimensions::new().with(client, "pty_1")).is_ok());
    let none = make(Dimensions::new().with(DimensionKey::Cause, "cb_1")).unwrap_err();
    assert_eq!(
        none,
        PostingError::MissingOneOf { account: Account::WriteOffs, keys: &[DimensionKey::Payee, DimensionKey::Client] }
    );
    assert_eq!(none.to_string(), "a posting to 5210 Write-offs (bad debt) needs one of the dimensions payee, client");
    let both = make(Dimensions::new().with(payee, "pty_1").with(client, "pty_2"));
    assert_eq!(both, Err(PostingError::UnexpectedDimension { account: Account::WriteOffs, key: client }));
}

/// What each account demands is enough, and leaving out any of it is refused.
#[test]
fn every_account_refuses_a_posting_that_lacks_a_dimension() {
    let amount = Amount::new(Minor::new(1).unwrap(), Currency::USD).unwrap();
    for account in Account::ALL {
        let make = |keys: &[DimensionKey]| {
            let dims = keys.iter().fold(Dimensions::new(), |dims, key| dims.with(*key, "x"));
            Posting::new(Side::Debit, *account, amount, dims)
        };
        let mut demanded = account.required_dimensions().to_vec();
        demanded.extend(account.one_of_dimensions().first());
        assert!(make(&demanded).is_ok(), "{account}");
        for index in 0..demanded.len() {
            let mut fewer = demanded.clone();
            fewer.remove(index);
            assert!(make(&fewer).is_err(), "{account} without {}", demanded[index]);
        }
        for key in DimensionKey::ALL.iter().filter(|key| !account.takes(**key)) {
            let more = [demanded.as_slice(), &[*key]].concat();
            assert_eq!(make(&more), Err(PostingError::UnexpectedDimension { account: *account, key: *key }));
        }
    }
}

/// L1.
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
    assert!(entry([line("D", "5100", "5"), line("C", "1120", "5")]).is_err(), "dimension not allowed");
    assert!(entry([line("D", "1110", "-5"), line("C", "1120", "-5")]).is_err(), "below zero");
    let euro = line("C", "1120", "5").replace("USD", "EUR");
    assert!(entry([line("D", "1110", "5"), euro]).is_err(), "mixed currency");
    let unknown = line("C", "1120", "5").replace("USD", "XXX");
    assert!(entry([line("D", "1110", "5"), unknown]).is_err(), "unknown currency");
    let one =
        format!(r#"{{"rule":"x","rule_version":1,"value_date":"2026-12-01","lines":[{}]}}"#, line("D", "1110", "5"));
    assert!(serde_json::from_str::<JournalEntry>(&one).is_err(), "one line");
}
