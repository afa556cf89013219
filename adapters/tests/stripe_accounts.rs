//! Payees' accounts, and what comes back from them, by Stripe's adapter, against an HTTP server that answers what the test
//! says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]
#![allow(
    clippy::large_futures,
    clippy::needless_pass_by_value,
    reason = "a test has stack enough, and hands JSON over"
)]

mod stripe_support;

use chrono::DateTime;
use domain::id::{OnboardingLinkId, PartyId, PayoutId, TransferReversalId};
use domain::jurisdiction::Jurisdiction;
use domain::party::{AccountEnd, AccountStatus, BankDestination, Requirements, Shortfall};
use domain::ports::PaymentProvider;
use domain::ports::history::{Found, ProviderHistory};
use domain::ports::provider::{ProviderError, ProviderObject, ProviderOrder, ProviderReport, TransferReversalReport};
use ledger::{Currency, Minor};
use serde_json::{Value, json};
use stripe_support::{Answer, Server, error, fields, ok, with};
use uuid::Uuid;

fn party_id() -> PartyId {
    PartyId::from_uuid(Uuid::from_u128(1))
}

fn account(more: Value) -> Value {
    let account = json!({
        "id": "acct_1", "object": "account", "capabilities": { "transfers": "active" }, "payouts_enabled": true,
        "country": "US", "default_currency": "usd", "metadata": { "party_id": party_id() },
        "external_accounts": { "object": "list", "has_more": false, "url": "/v1/accounts/acct_1/external_accounts",
            "data": [bank("usd", "fp_1", true), bank("usd", "fp_2", false), bank("eur", "fp_3", true)] },
        "requirements": { "currently_due": ["tos_acceptance.ip", "external_account"], "past_due": [],
            "current_deadline": 1_700_000_000, "disabled_reason": null },
    });
    with(account, more)
}

fn bank(currency: &str, fingerprint: &str, default: bool) -> Value {
    json!({
        "id": format!("ba_{fingerprint}"), "object": "bank_account", "account": "acct_1", "country": "US",
        "currency": currency, "default_for_currency": default, "fingerprint": fingerprint, "last4": "6789",
        "status": "new",
    })
}

fn balance(amount: i64) -> Answer {
    ok(json!({ "object": "balance", "available": [{ "amount": amount, "currency": "usd" }], "pending": [] }))
}

fn read() -> ProviderOrder {
    ProviderOrder::ReadAccount { party_id: party_id(), account: "acct_1".to_owned() }
}

fn status(report: ProviderReport) -> (Option<PartyId>, AccountStatus) {
    let ProviderReport::Account(report) = report else { panic!("{report:?}") };
    assert_eq!(report.psp, "stripe");
    (report.party_id, report.status)
}

#[tokio::test]
async fn an_account_is_made_for_the_platform_to_pay() {
    let due = json!({ "capabilities": { "transfers": "inactive" }, "payouts_enabled": false });
    let server = Server::start([ok(account(due))]).await;
    let country = Jurisdiction::new("US-CA").unwrap();
    let order = ProviderOrder::CreateAccount { party_id: party_id(), country, request: 0 };
    let (party, status) = status(server.provider().carry_out(&order, "key").await.unwrap());
    assert_eq!((party, status.psp_account.as_str(), status.end), (Some(party_id()), "acct_1", None));
    assert!(!status.requirements.transfers_enabled && !status.requirements.payouts_enabled);
    let [request] = server.seen().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/accounts"));
    let party = party_id().to_string();
    assert_eq!(
        request.fields,
        fields(&[
            ("capabilities[transfers][requested]", "true"),
            ("controller[fees][payer]", "application"),
            ("controller[losses][payments]", "application"),
            ("controller[requirement_collection]", "application"),
            ("controller[stripe_dashboard][type]", "none"),
            ("country", "US"),
            ("metadata[party_id]", &party),
            ("settings[payouts][debit_negative_balances]", "false"),
            ("settings[payouts][schedule][interval]", "manual"),
        ])
    );
    assert_eq!(request.header("idempotency-key"), Some("key"));
}

#[tokio::test]
async fn an_account_tells_what_is_demanded_and_where_it_pays_to() {
    let server = Server::start([ok(account(json!({}))), balance(-12_000)]).await;
    let (party, status) = status(server.provider().carry_out(&read(), "key").await.unwrap());
    assert_eq!(party, Some(party_id()));
    let wanted = Requirements {
        currently_due: vec!["external_account".to_owned(), "tos_acceptance.ip".to_owned()],
        past_due: Vec::new(),
        due_by: DateTime::from_timestamp(1_700_000_000, 0),
        transfers_enabled: true,
        payouts_enabled: true,
        disabled_reason: None,
        country: Some("US".to_owned()),
        default_currency: Some(Currency::USD),
    };
    assert_eq!(status.requirements, wanted);
    let destination = |currency, fingerprint: &str| BankDestination { currency, fingerprint: fingerprint.to_owned() };
    let mut told = status.destinations;
    told.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    assert_eq!(told, [destination(Currency::USD, "fp_1"), destination(Currency::EUR, "fp_3")]);
    assert_eq!(status.shortfalls, [Shortfall { currency: Currency::USD, amount: Minor::new(12_000).unwrap() }]);
    let [_, balance] = server.seen().try_into().unwrap();
    assert_eq!((balance.path.as_str(), balance.header("stripe-account")), ("/v1/balance", Some("acct_1")));
}

/// `process-managers.md` C.2.10: a value that is not known is no report; what a balance has is no shortfall.
#[tokio::test]
async fn what_is_not_known_is_no_report() {
    let odd = json!({ "capabilities": { "transfers": "sideways" } });
    let server =
        Server::start([ok(account(odd)), balance(0), ok(account(json!({}))), ok(json!({ "object": "balance" }))]);
    let provider = server.await.provider();
    for _ in 0..2 {
        let outcome =
            provider.look_up(&ProviderObject::Account { account: "acct_1".to_owned(), deauthorized: false }).await;
        assert!(matches!(outcome, Err(ProviderError::Unusable(_))), "{outcome:?}");
    }
    let server = Server::start([ok(account(json!({}))), balance(5)]).await;
    let (_, status) = status(server.provider().carry_out(&read(), "key").await.unwrap());
    assert_eq!(status.shortfalls, []);
}

fn refusal(status: u16, code: &str) -> Answer {
    error(status, json!({ "type": "invalid_request_error", "code": code, "message": "No." }))
}

/// `process-managers.md` C.2: an account has ended when Stripe has told that access was taken away and lets us see it no
/// more, or when it lets us see it no more although our key is good. What proves less ends nobody's account: a key that is
/// wrong, has expired, or may not do this, and a platform that does not answer.
#[tokio::test]
async fn only_what_is_about_this_account_ends_it() {
    let gone = || refusal(403, "account_invalid");
    let platform = || ok(with(account(json!({})), json!({ "id": "acct_platform" })));
    let busy = || error(500, json!({ "type": "api_error", "message": "No." }));
    let closed = Some(AccountEnd::Closed);
    for (deauthorized, answers, ended, calls) in [
        (true, vec![gone()], Some(AccountEnd::Deauthorized), 1),
        (true, vec![refusal(401, "account_invalid")], None, 1),
        (false, vec![gone(), platform()], closed, 2),
        (false, vec![gone(), refusal(401, "api_key_expired")], None, 2),
        (false, vec![gone(), refusal(403, "account_invalid")], None, 2),
        (false, vec![gone(), busy()], None, 2),
        (false, vec![refusal(401, "api_key_expired")], None, 1),
        (false, vec![refusal(403, "more_permissions_required")], None, 1),
    ] {
        let server = Server::start(answers).await;
        let object = ProviderObject::Account { account: "acct_1".to_owned(), deauthorized };
        let told = server.provider().look_up(&object).await;
        match told {
            Ok(report) => {
                let (party, status) = status(report);
                assert_eq!((party, status.psp_account.as_str(), status.end), (None, "acct_1", ended));
                assert!(ended.is_some());
            }
            Err(ProviderError::NotAuthorized(_) | ProviderError::Unknown(_)) => assert_eq!(ended, None),
            Err(other) => panic!("{other}"),
        }
        let paths: Vec<_> = server.seen().into_iter().map(|seen| seen.path).collect();
        assert_eq!(paths[..], ["/v1/accounts/acct_1", "/v1/account"][..calls]);
    }
    // An order only says that our key is not taken.
    let server = Server::start([gone()]).await;
    let ordered = server.provider().carry_out(&read(), "key").await;
    assert!(matches!(ordered, Err(ProviderError::NotAuthorized(_))), "{ordered:?}");
}

#[tokio::test]
async fn links_and_bank_accounts_are_ordered() {
    let link =
        json!({ "object": "account_link", "created": 1, "expires_at": 1_700_000_300, "url": "https://example.com/s" });
    let server = Server::start([ok(link), ok(bank("usd", "fp_9", true)), ok(account(json!({}))), balance(0)]).await;
    let provider = server.provider().returning_to(Some("https://example.com/done".to_owned()));
    let link_id = OnboardingLinkId::from_uuid(Uuid::from_u128(2));
    let order = ProviderOrder::CreateOnboardingLink { link_id, party_id: party_id(), account: "acct_1".to_owned() };
    let ProviderReport::OnboardingLink(told) = provider.carry_out(&order, "key").await.unwrap() else { panic!() };
    assert_eq!((told.link_id, told.url.as_str()), (link_id, "https://example.com/s"));
    let set = ProviderOrder::SetDestination {
        party_id: party_id(),
        account: "acct_1".to_owned(),
        currency: Currency::USD,
        token: "btok_1".to_owned(),
        request: 0,
    };
    status(provider.carry_out(&set, "key-2").await.unwrap());
    let seen = server.seen();
    assert_eq!(
        seen[0].fields,
        fields(&[
            ("account", "acct_1"),
            ("refresh_url", "https://example.com/done"),
            ("return_url", "https://example.com/done"),
            ("type", "account_onboarding"),
        ])
    );
    assert_eq!(seen[1].path, "/v1/accounts/acct_1/external_accounts");
    assert_eq!(seen[1].fields, fields(&[("default_for_currency", "true"), ("external_account", "btok_1")]));
    assert_eq!(seen[1].header("idempotency-key"), Some("key-2"));
}

#[tokio::test]
async fn a_transfer_comes_back() {
    let (reversal_id, payout_id) =
        (TransferReversalId::from_uuid(Uuid::from_u128(3)), PayoutId::from_uuid(Uuid::from_u128(4)));
    let reversal = json!({
        "id": "trr_1", "object": "transfer_reversal", "amount": 9_000, "created": 1_700_000_000, "currency": "usd",
        "metadata": { "reversal_id": reversal_id, "payout_id": payout_id }, "transfer": "tr_1",
    });
    let list = |data: Value, more: bool| {
        ok(json!({ "object": "list", "data": data, "has_more": more, "url": "/v1/transfers/tr_1/reversals" }))
    };
    let refused =
        error(400, json!({ "type": "invalid_request_error", "code": "balance_insufficient", "message": "No." }));
    let answers =
        [ok(reversal.clone()), refused, list(json!([reversal]), false), list(json!([]), false), list(json!([]), true)];
    let server = Server::start(answers).await;
    let provider = server.provider();
    let order = ProviderOrder::ReverseTransfer {
        reversal_id,
        payout_id,
        transfer_ref: "tr_1".to_owned(),
        amount: Minor::new(9_000).unwrap(),
        currency: Currency::USD,
        account: "acct_1".to_owned(),
    };
    let told = ProviderReport::TransferReversal(TransferReversalReport {
        reversal_ref: "trr_1".to_owned(),
        reversal_id: Some(reversal_id),
        payout_id: Some(payout_id),
        amount: Minor::new(9_000).unwrap(),
        currency: Currency::USD,
    });
    assert_eq!(provider.carry_out(&order, "key").await, Ok(told.clone()));
    let code = "balance_insufficient".to_owned();
    assert_eq!(provider.carry_out(&order, "key").await, Err(ProviderError::Refused { code }));
    let since = DateTime::UNIX_EPOCH;
    assert_eq!(provider.find(&order, since).await, Ok(Found::Reports(vec![told])));
    assert_eq!(provider.find(&order, since).await, Ok(Found::Absent));
    assert!(matches!(provider.find(&order, since).await, Ok(Found::Uncertain(_))));
    let seen = server.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/v1/transfers/tr_1/reversals"));
    assert_eq!((seen[0].fields["amount"].as_str(), seen[0].header("stripe-account")), ("9000", None));
}
