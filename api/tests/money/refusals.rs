//! How the commands about money are refused: no key, no version, a stranger, another role, a wrong amount, a wrong
//! currency, a body that makes no sense.

use api::caller::Role;
use serde_json::{Value, json};

use super::support::{Contract, World, funding_of};
use super::{answer, escrow, now, wish};

/// Makes a body of an amount and a currency.
type MakeBody<'a> = &'a dyn Fn(Value, &str) -> Value;

/// Commands that need a version, with a body that is well-formed.
fn versioned(contract: &Contract) -> Vec<(String, Value)> {
    let part = json!({ "amount": 5, "remainder": { "kind": "keep" } });
    vec![
        (contract.at("/end"), json!({})),
        (contract.at("/end/accept"), json!({})),
        (contract.at("/end/dispute"), json!({})),
        (contract.at("/dormancy/request-release"), json!({})),
        (contract.work("/approve-partial"), part),
        (contract.work("/roll-forward/accept"), json!({})),
        (contract.work("/roll-forward/reject"), json!({})),
        (contract.work("/refund-requests"), json!({ "amount": 5 })),
        (contract.work("/grant-refund"), json!({ "amount": 5 })),
        (escrow(contract, "/reallocate"), json!({ "milestone_id": contract.milestone, "amount": 5 })),
    ]
}

/// Commands that need none.
fn unversioned(contract: &Contract) -> Vec<(String, Value)> {
    let gift = json!({ "amount": 5, "currency": "USD", "payment_method": "pm_card_visa" });
    vec![
        (contract.at("/fundings"), funding_of(contract, 5, "pm_card_visa")),
        (contract.at("/bonuses"), gift.clone()),
        (contract.at("/tips"), gift),
        ("/v1/refunds".to_owned(), json!({ "milestone_id": contract.milestone, "amount": 5 })),
    ]
}

/// D-157, D-159, D-165, D-173: every command asks for a key, and where two parties race for a version; it hides the
/// contract from strangers, and takes no member that it does not know.
#[tokio::test]
async fn every_command_is_refused_alike() {
    let world = World::new().await;
    let contract = world.funded().await;
    for (path, body) in versioned(&contract) {
        world.refused(428, "precondition_required", world.post(&world.client, &path, None, body.clone())).await;
        let version = world.version(&world.client, &path).await;
        for version in [version.as_str(), "\"1\""] {
            let stranger = world.post(&world.outsider, &path, Some(version), body.clone());
            assert_eq!(world.refused(404, "not_found", stranger).await.header("etag"), None, "{path}");
        }
        let nowhere = path.replace(&contract.id, "ctr_1").replace(&contract.milestone, "mst_1");
        let malformed = world.post(&world.client, &nowhere, Some(&version), body);
        world.refused(400, "not_a_valid_id", malformed).await;
    }
    let other_payee = world.other_role(&world.outsider, Role::Payee).await;
    for (path, body) in unversioned(&contract) {
        let stranger = if path == "/v1/refunds" { &other_payee } else { &world.outsider };
        world.refused(404, "not_found", world.post(stranger, &path, None, body)).await;
    }
    let staff = [
        (escrow(&contract, "/freeze"), json!({ "reason": "x" })),
        (escrow(&contract, "/unfreeze"), json!({})),
        (format!("/v1/parties/{}/balance/hold", world.payee.party_id), json!({ "currency": "USD", "reason": "kyc" })),
        (
            format!("/v1/parties/{}/balance/release", world.payee.party_id),
            json!({ "currency": "USD", "reason": "kyc" }),
        ),
    ];
    let wallet = ("/v1/wallets/me/withdrawals".to_owned(), json!({ "amount": 1, "currency": "USD" }));
    let of_parties = versioned(&contract).into_iter().chain(unversioned(&contract)).chain([wallet]);
    let giver = |path: &str| if path == "/v1/refunds" { &world.payee } else { &world.client };
    let all = of_parties.map(|one| (giver(&one.0), one)).chain(staff.into_iter().map(|one| (&world.admin, one)));
    for (who, (path, body)) in all {
        let bare = async { world.api.post(&path, &who.token, &[], &body).await.unwrap() };
        world.refused(400, "idempotency_key_required", bare).await;
        let mut unknown = body.clone();
        unknown["surprise"] = json!(1);
        let unknown = world.post(who, &path, Some("\"1\""), unknown);
        world.refused(422, "validation_failed", unknown).await;
    }
    for (verb, body) in [("/freeze", json!({ "reason": "x" })), ("/unfreeze", json!({}))] {
        let path = escrow(&contract, verb);
        world.refused(428, "precondition_required", world.post(&world.admin, &path, None, body.clone())).await;
        world.refused(412, "version_mismatch", world.post(&world.admin, &path, Some("\"99\""), body)).await;
    }
}

/// D-165: what can be read is there for the parties, and for nobody else.
#[tokio::test]
async fn strangers_read_nothing() {
    let world = World::new().await;
    let contract = world.accepted().await;
    let funding = world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.settled().await;
    let balance = format!("/v1/parties/{}/balance", world.payee.party_id);
    let payment = funding.header("location").unwrap().to_owned();
    for path in [escrow(&contract, ""), payment.clone(), balance.clone()] {
        world.refused(404, "not_found", world.get(&world.outsider, &path)).await;
        assert_eq!(world.get(&world.admin, &path).await.status, 200);
    }
    world.refused(404, "not_found", world.get(&world.payee, &payment)).await;
    world.refused(404, "not_found", world.get(&world.client, &balance)).await;
    for path in ["/v1/escrows/ctr_1", "/v1/refunds/rfd_1", "/v1/fundings/fnd_1", "/v1/parties/pty_1/balance"] {
        world.refused(400, "not_a_valid_id", world.get(&world.client, path)).await;
    }
    let absent = "00000000000000000000000000";
    for path in
        [format!("/v1/escrows/ctr_{absent}"), format!("/v1/refunds/rfd_{absent}"), format!("/v1/fundings/fnd_{absent}")]
    {
        world.refused(404, "not_found", world.get(&world.admin, &path)).await;
    }
}

/// A party in the other role, or one that claims to be in it.
#[tokio::test]
async fn wrong_roles_are_refused() {
    let world = World::new().await;
    let contract = world.funded().await;
    let clerk = world.other_role(&world.payee, Role::Client).await;
    let boss = world.other_role(&world.client, Role::Payee).await;
    let of_client = [contract.at("/end"), contract.work("/refund-requests")];
    for path in of_client {
        for who in [&world.payee, &clerk, &boss] {
            world.refused(403, "forbidden", world.act(who, &path, json!({}))).await;
        }
    }
    let part = json!({ "amount": 5 });
    world.refused(403, "forbidden", world.act(&world.payee, contract.work("/approve-partial"), part)).await;
    let of_payee = ["/end/accept", "/end/dispute", "/dormancy/request-release"].map(|path| contract.at(path));
    for path in of_payee.into_iter().chain([contract.work("/grant-refund")]) {
        for who in [&world.client, &clerk, &boss] {
            world.refused(403, "forbidden", world.act(who, &path, json!({}))).await;
        }
    }
    let (_, id) = wish(&world, &contract, json!({})).await;
    for verb in ["accept", "reject"] {
        let path = format!("/v1/refund-requests/{id}/{verb}");
        let version = world.version(&world.client, &contract.work("")).await;
        world.refused(403, "forbidden", world.post(&world.client, &path, Some(&version), json!({}))).await;
        world.refused(404, "not_found", world.post(&world.outsider, &path, Some(&version), json!({}))).await;
        world.refused(428, "precondition_required", world.post(&world.payee, &path, None, json!({}))).await;
        world.refused(412, "version_mismatch", world.post(&world.payee, &path, Some("\"1\""), json!({}))).await;
        let malformed = format!("/v1/refund-requests/rfd_1/{verb}");
        world.refused(400, "not_a_valid_id", world.post(&world.payee, &malformed, Some(&version), json!({}))).await;
    }
    let back = json!({ "milestone_id": contract.milestone, "amount": 5 });
    world.refused(403, "forbidden", world.post(&world.client, "/v1/refunds", None, back)).await;
    let out = json!({ "amount": 1, "currency": "USD" });
    world.refused(403, "forbidden", world.post(&boss, "/v1/wallets/me/withdrawals", None, out.clone())).await;
    world.refused(403, "forbidden", world.post(&world.admin, "/v1/wallets/me/withdrawals", None, out)).await;
    world
        .refused(422, "insufficient_wallet_balance", async {
            world
                .post(&world.client, "/v1/wallets/me/withdrawals", None, json!({ "amount": 1, "currency": "USD" }))
                .await
        })
        .await;
    answer(&world, &contract, &id, "accept").await.success().unwrap();
}

/// A contract that nothing was paid into, and one that is over.
#[tokio::test]
async fn wrong_states_are_refused() {
    let world = World::new().await;
    let (unpaid, over) = (world.accepted().await, world.released().await);
    for (who, verb) in [(&world.client, "/refund-requests"), (&world.payee, "/grant-refund")] {
        world.refused(409, "milestone_not_funded", world.act(who, unpaid.work(verb), json!({}))).await;
        world.refused(409, "milestone_already_approved", world.act(who, over.work(verb), json!({}))).await;
    }
    let part = json!({ "amount": 5 });
    let early = world.act(&world.client, unpaid.work("/approve-partial"), part.clone());
    world.refused(409, "milestone_not_funded", early).await;
    let late = world.act(&world.client, over.work("/approve-partial"), part);
    world.refused(409, "milestone_already_approved", late).await;
    for contract in [&unpaid, &over] {
        let end = if contract.id == over.id { "/end" } else { "/dormancy/request-release" };
        let who = if end == "/end" { &world.client } else { &world.payee };
        world.refused(409, "contract_wrong_state", world.act(who, contract.at(end), json!({}))).await;
        let accept = world.act(&world.payee, contract.at("/end/accept"), json!({}));
        world.refused(409, "contract_wrong_state", accept).await;
    }
    let offered = world.offered().await;
    let gift = json!({ "amount": 5, "currency": "USD", "payment_method": "pm_card_visa" });
    for path in ["/bonuses", "/tips"] {
        let path = offered.at(path);
        let early = world.post(&world.client, &path, None, gift.clone());
        world.refused(409, "contract_wrong_state", early).await;
    }
    let early = json!({ "milestone_id": unpaid.milestone, "amount": 5 });
    let nothing = world.refused(422, "exceeds_released", world.post(&world.payee, "/v1/refunds", None, early)).await;
    assert_eq!(nothing.body["released"], 0);
}

/// D-68, D-69, D-173: amounts and currencies that make no sense, with a pointer; the largest amount goes through JSON
/// whole.
#[tokio::test]
async fn bad_amounts_and_currencies_are_refused() {
    let world = World::new().await;
    let contract = world.funded().await;
    let largest = 999_999_999_999_999_i64;
    let huge = world.drafted_with(json!([{ "amount": largest }])).await;
    assert_eq!(now(&world, &world.client, &huge.at("")).await.body["milestones"][0]["amount"], largest);
    let gift = |amount: Value, currency: &str| json!({ "amount": amount, "currency": currency, "payment_method": "pm_card_visa" });
    let held = |amount: Value, currency: &str| json!({ "amount": amount, "currency": currency });
    let part = |amount: Value, currency: &str| json!({ "amount": amount, "currency": currency });
    let back = |amount: Value, currency: &str| json!({ "milestone_id": contract.milestone, "amount": amount, "currency": currency });
    let pay = |amount: Value, currency: &str| {
        let allocations = json!([{ "milestone_id": contract.milestone, "amount": amount }]);
        json!({ "allocations": allocations, "currency": currency, "payment_method": "pm_card_visa" })
    };
    let commands: [(&api::cli::operator::MadeToken, String, MakeBody<'_>, &str); 7] = [
        (&world.client, contract.at("/fundings"), &pay, "/allocations/0/amount"),
        (&world.client, contract.at("/bonuses"), &gift, "/amount"),
        (&world.client, contract.at("/tips"), &gift, "/amount"),
        (&world.client, contract.work("/refund-requests"), &held, "/amount"),
        (&world.payee, contract.work("/grant-refund"), &held, "/amount"),
        (&world.client, contract.work("/approve-partial"), &part, "/amount"),
        (&world.payee, "/v1/refunds".to_owned(), &back, "/amount"),
    ];
    for (who, path, body, pointer) in commands {
        let version = world.version(who, &contract.work("")).await;
        let ask = async |body: Value| world.post(who, &path, Some(&version), body).await;
        let wrong = [
            (body(json!(0), "USD"), "validation_failed"),
            (body(json!(-5), "USD"), "validation_failed"),
            (body(json!(10.5), "USD"), "validation_failed"),
            (body(json!(1_000_000_000_000_001_i64), "USD"), "amount_too_large"),
        ];
        for (body, code) in wrong {
            let problem = world.refused(422, code, ask(body)).await;
            assert_eq!(problem.body["errors"][0]["pointer"], pointer, "{path}: {}", problem.body);
        }
        let problem = world.refused(422, "validation_failed", ask(body(json!(5), "QQQ"))).await;
        assert_eq!(problem.body["errors"][0]["pointer"], "/currency", "{path}");
        let euros = world.refused(422, "currency_mismatch", ask(body(json!(5), "EUR"))).await;
        assert_eq!((&euros.body["expected"], &euros.body["received"]), (&json!("USD"), &json!("EUR")));
    }
    for (who, verb) in [(&world.client, "/refund-requests"), (&world.payee, "/grant-refund")] {
        let more = world.act(who, contract.work(verb), json!({ "amount": 100_001 }));
        assert_eq!(world.refused(422, "exceeds_held", more).await.body["held"], 100_000);
    }
    let whole = world.act(&world.client, contract.work("/approve-partial"), json!({ "amount": 100_000 }));
    assert_eq!(world.refused(422, "validation_failed", whole).await.body["errors"][0]["pointer"], "/amount");
}

/// D-173: the rest of what can be wrong with a body.
#[tokio::test]
async fn bad_bodies_are_refused_with_a_pointer() {
    let world = World::new().await;
    let contract = world.funded().await;
    let card = "pm_card_visa";
    let none = json!([]);
    let pay = |body: Value| (&world.client, contract.at("/fundings"), body);
    let keep = |remainder: Value| json!({ "amount": 5, "remainder": remainder });
    let freeze = |body: Value| (&world.admin, escrow(&contract, "/freeze"), body);
    let cases = [
        (pay(json!({ "allocations": none, "currency": "USD", "payment_method": card })), "/allocations"),
        (pay(json!({ "deposit": 0, "currency": "USD", "payment_method": card })), "/deposit"),
        (pay(json!({ "deposit": 5, "currency": "USD" })), "/payment_method"),
        (
            pay(json!({ "deposit": 5, "currency": "USD", "paid_from": "wallet", "payment_method": card })),
            "/payment_method",
        ),
        (pay(json!({ "deposit": 5, "currency": "USD", "paid_from": "purse" })), "/paid_from"),
        ((&world.client, contract.work("/approve"), json!({ "remainder": { "kind": "refund_request" } })), "/amount"),
        ((&world.client, contract.work("/approve"), keep(json!("keep"))), "/remainder"),
        ((&world.client, contract.work("/approve"), keep(json!({ "kind": "burn" }))), "/remainder/kind"),
        (
            (&world.client, contract.work("/approve"), keep(json!({ "kind": "roll_forward" }))),
            "/remainder/milestone_id",
        ),
        (
            (
                &world.client,
                contract.work("/approve-partial"),
                keep(json!({ "kind": "keep", "milestone_id": contract.milestone })),
            ),
            "/remainder/milestone_id",
        ),
        (freeze(json!({ "reason": "Court order" })), "/reason"),
        (freeze(json!({ "reason": "" })), "/reason"),
        (freeze(json!({ "reason": "x", "legal_ref": "" })), "/legal_ref"),
        ((&world.payee, "/v1/refunds".to_owned(), json!({ "milestone_id": "mst_1", "amount": 5 })), "/milestone_id"),
        (
            (&world.client, escrow(&contract, "/reallocate"), json!({ "milestone_id": "mst_1", "amount": 5 })),
            "/milestone_id",
        ),
        (
            (
                &world.client,
                escrow(&contract, "/reallocate"),
                json!({ "milestone_id": contract.milestone, "amount": 0 }),
            ),
            "/amount",
        ),
        (
            (
                &world.admin,
                format!("/v1/parties/{}/balance/hold", world.payee.party_id),
                json!({ "currency": "USD", "reason": "mood" }),
            ),
            "/reason",
        ),
    ];
    for ((who, path, body), pointer) in cases {
        let subject = if path.starts_with("/v1/refunds") { contract.work("") } else { path.clone() };
        let version = world.version(who, &subject).await;
        let problem = world.refused(422, "validation_failed", world.post(who, &path, Some(&version), body)).await;
        assert_eq!(problem.body["errors"][0]["pointer"], pointer, "{path}: {}", problem.body);
    }
}
