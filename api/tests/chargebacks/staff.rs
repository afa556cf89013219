//! What staff does about a chargeback: it concedes, or says something beside what the log proves. And payments that are
//! contested and returned, or exchanged.

use api::caller::Role;
use domain::actor::StaffRole;
use serde_json::{Value, json};

use super::support::{Contract, World};
use super::{bank, booked, chargeback, disputed, escrow, lines, milestone, paid, stands};

/// `POST` or `GET` at the built-in provider.
async fn at_provider(world: &World, path: &str, body: Option<Value>) -> Value {
    let url = format!("{}{path}", world.server.sandbox_url().unwrap());
    let http = reqwest::Client::new();
    let request = match body {
        Some(body) => http.post(url).json(&body),
        None => http.get(url),
    };
    let answer = request.bearer_auth(world.server.sandbox_key().unwrap()).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

async fn path_of(world: &World, contract: &Contract) -> String {
    format!("/v1/chargebacks/{}", chargeback(world, contract).await["id"].as_str().unwrap())
}

/// J52: the platform concedes; the provider is told, and what is lost is lost when it says so. Nothing can be said, and
/// nothing conceded, after that.
pub async fn conceded(world: &World) {
    let (contract, funding) = paid(world).await;
    let dispute = disputed(world, &funding, json!({})).await;
    let path = path_of(world, &contract).await;
    let accept = format!("{path}/accept");
    let proposed = world.post_with_key(&world.admin, &accept, "concede", None, json!({})).await;
    world.approved_by_another(proposed).await;
    let again = world.post_with_key(&world.admin, &accept, "concede", None, json!({})).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    world.settled().await;
    assert_eq!(at_provider(world, &format!("/v1/disputes/{dispute}"), None).await["status"], "lost");
    assert_eq!(chargeback(world, &contract).await["status"], "lost");
    let gone = lines(&[("D", "2110", 100_000), ("D", "2300", 5000), ("C", "1200", 105_000)]);
    assert_eq!(booked(world, &contract, "escrow.chargeback_absorbed").await, gone);
    assert_eq!(stands(world, &contract).await, [json!("planned"), json!("funding_lost")]);
    let late = world.post(&world.admin, &accept, None, json!({}));
    assert_eq!(world.refused(409, "chargeback_wrong_state", late).await.body["state"], "lost");
    world.books().await;

    // An inquiry is not conceded: the payment is refunded.
    let (contract, funding) = paid(world).await;
    let inquiry = disputed(world, &funding, json!({ "kind": "inquiry" })).await;
    let accept = format!("{}/accept", path_of(world, &contract).await);
    let refused =
        world.refused(409, "chargeback_wrong_state", world.post(&world.admin, &accept, None, json!({}))).await;
    assert_eq!(refused.body["state"], "inquiry");
    bank(world, "win", json!({ "dispute": inquiry })).await;
}

/// PM8: staff's words go to the bank beside what the log proves, can be replaced until then, and are in no event.
pub async fn said(world: &World) {
    let (contract, funding) = paid(world).await;
    let dispute = disputed(world, &funding, json!({})).await;
    let path = path_of(world, &contract).await;
    let evidence = format!("{path}/evidence");
    let words = |text: &str| json!({ "texts": { "customer_name": "Ada Example", "refund_refusal_explanation": text } });
    let version = world.version(&world.admin, &path).await;
    world.post(&world.admin, &evidence, Some(&version), words("first")).await.success().unwrap();
    let stale = world.post(&world.admin, &evidence, Some(&version), words("lost update"));
    world.refused(412, "version_mismatch", stale).await;
    let version = world.version(&world.admin, &path).await;
    let mut body = words("second");
    body["files"] = json!({ "customer_communication": "file_1" });
    let drafted = world.post(&world.admin, &evidence, Some(&version), body).await.success().unwrap();
    let digest = drafted.body["statement_digest"].as_str().unwrap().to_owned();
    world.settled().await;
    let shown = world.get(&world.admin, &evidence).await.success().unwrap().body;
    assert_eq!(shown["statement"]["texts"]["refund_refusal_explanation"], "second");
    assert_eq!(shown["statement"]["files"], json!({ "customer_communication": "file_1" }));
    let auditor = world.other_role(&world.admin, Role::Staff(StaffRole::Auditor)).await;
    assert_eq!(world.get(&auditor, &evidence).await.success().unwrap().body["statement"], Value::Null);

    let submit = format!("{path}/submit");
    let submitted = world.post(&world.admin, &submit, None, json!({})).await.success().unwrap();
    assert_eq!(submitted.body["statement_digest"], json!(digest));
    world.settled().await;
    let told = at_provider(world, &format!("/v1/disputes/{dispute}"), None).await;
    let sent = &told["evidence"];
    assert_eq!(
        (&sent["customer_name"], &sent["refund_refusal_explanation"]),
        (&json!("Ada Example"), &json!("second"))
    );
    assert_eq!(sent["customer_communication"], "file_1");
    assert!(sent["product_description"].as_str().unwrap().contains(&contract.id), "{sent}");
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let log = serde_json::to_string(&events).unwrap();
    assert!(!log.contains("Ada Example") && log.contains(&digest), "the log has the digest, and no word");
    // I9: nor has any table the words, but that of the provider's notices, which are kept as they come and repeat what the
    // provider was told; who was shown them is told once, and the auditor was not.
    let mut tables = world.tables_with(&["Ada Example"]).await;
    tables.retain(|table| table != "psp_inbox");
    assert_eq!(tables, Vec::<String>::new());
    let read: Vec<_> = events.iter().filter(|event| event.r#type == "subject.pii_accessed").collect();
    let [read] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(read.actor.id, world.admin.party_id.to_string());
    assert_eq!((&read.data["purpose"], &read.data["fields"]), (&json!("chargeback"), &json!(["evidence_statement"])));
    assert_eq!(read.data["subject_id"], json!(world.client.party_id.to_string()));
    assert_eq!(read.auth.as_ref().and_then(|auth| auth.credential.as_deref()), Some("operator_token"));

    let version = world.version(&world.admin, &path).await;
    let late = world.post(&world.admin, &evidence, Some(&version), words("late"));
    world.refused(409, "chargeback_wrong_state", late).await;
    bank(world, "win", json!({ "dispute": dispute })).await;
}

/// J59, J94: a bank debit that is returned while it is contested, and given back after all, is held by nobody, and nobody
/// owes it.
pub async fn returned_while_contested(world: &World) {
    let (contract, funding) = paid(world).await;
    let dispute = disputed(world, &funding, json!({})).await;
    bank(world, "return", json!({ "funding_id": funding })).await;
    let owed = lines(&[("D", "1220", 105_000), ("C", "1120", 105_000)]);
    assert_eq!(booked(world, &contract, "funding.late_return_recorded").await, owed);
    bank(world, "win", json!({ "dispute": dispute })).await;
    let settled = lines(&[("D", "2100", 100_000), ("D", "2300", 5000), ("C", "1220", 105_000)]);
    assert_eq!(booked(world, &contract, "escrow.late_return_settled").await, settled);
    assert_eq!(stands(world, &contract).await, [json!("planned"), json!("funding_returned")]);
    assert_eq!(escrow(world, &contract).await["milestones"][0]["lost"], 100_000);
    world.fund(&contract, "pm_card_visa").await.success().unwrap();
    world.settled().await;
    assert_eq!(milestone(world, &contract).await["status"], "funded");
    world.books().await;
}

/// J50, J52, J71, J72: 1,000.00 euros that settle as 1,078.00 dollars are contested for 1,092.50: the loss of 14.50 is known,
/// and the rest of the loss is the escrow's, in euros.
pub async fn exchanged(world: &World) {
    let settles = async |rate: &str| {
        let body = json!({ "currency": "eur", "settles_in": "usd", "rate": rate });
        at_provider(world, "/_sandbox/settlement", Some(body)).await;
    };
    settles("1.078").await;
    let body = json!({ "payee_id": world.payee.party_id, "currency": "EUR", "milestones": [{ "amount": 100_000 }] });
    let drafted = world.post(&world.client, "/v1/contracts", None, body).await.success().unwrap();
    let contract = Contract { id: drafted.text("/id").unwrap(), milestone: drafted.text("/milestones/0/id").unwrap() };
    let offer = json!({ "fee_schedule": "zero" });
    world.act(&world.client, contract.at("/offer"), offer).await.success().unwrap();
    world.act(&world.payee, contract.at("/accept"), json!({})).await.success().unwrap();
    let pay = json!({
        "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }],
        "currency": "EUR", "payment_method": "pm_card_visa",
    });
    let funding = world.act(&world.client, contract.at("/fundings"), pay).await.success().unwrap();
    let funding = funding.text("/id").unwrap();
    world.settled().await;

    settles("1.0925").await;
    let dispute = disputed(world, &funding, json!({})).await;
    let taken = lines(&[
        ("D", "1200", 100_000),
        ("D", "1300", 109_250),
        ("D", "5120", 1500),
        ("C", "1120", 110_750),
        ("C", "1300", 100_000),
    ]);
    assert_eq!(booked(world, &contract, "chargeback.funds_withdrawn").await, taken);
    let realised = lines(&[("D", "5300", 1450), ("C", "1300", 1450)]);
    assert_eq!(booked(world, &contract, "funding.fx_result_realised").await, realised);
    let shown = chargeback(world, &contract).await;
    assert_eq!((&shown["moved"][0]["currency"], &shown["moved"][0]["contested"]), (&json!("EUR"), &json!(100_000)));
    // What Stripe tells of an exchanged dispute is dollars only: a part could not be known as such.
    let part = json!({ "dispute": dispute, "amount": 1 });
    let refused = world.post(&world.admin, "/v1/test_helpers/psp/win", None, part);
    assert_eq!(world.refused(422, "validation_failed", refused).await.body["errors"][0]["pointer"], "/amount");
    bank(world, "lose", json!({ "dispute": dispute })).await;
    let gone = lines(&[("D", "2110", 100_000), ("C", "1200", 100_000)]);
    assert_eq!(booked(world, &contract, "escrow.chargeback_absorbed").await, gone);

    // A debit that is returned: J94 in euros, out of the position.
    settles("1.08").await;
    let pay = json!({
        "allocations": [{ "milestone_id": contract.milestone, "amount": 100_000 }],
        "currency": "EUR", "payment_method": "pm_card_visa",
    });
    let funding = world.act(&world.client, contract.at("/fundings"), pay).await.success().unwrap();
    world.settled().await;
    bank(world, "return", json!({ "funding_id": funding.text("/id").unwrap() })).await;
    let moved =
        lines(&[("D", "1120", 100_000), ("D", "1300", 108_000), ("C", "1120", 108_000), ("C", "1300", 100_000)]);
    assert_eq!(booked(world, &contract, "funding.returned").await, moved);
    let gone = lines(&[("D", "2100", 100_000), ("C", "1120", 100_000)]);
    assert_eq!(booked(world, &contract, "escrow.funding_returned").await, gone);
    settles("1").await;
    world.books().await;
}

/// Lists by contract, payment, reason, deadline and beginning; what is no instant or no id is refused.
pub async fn listed(world: &World) {
    let (contract, funding) = paid(world).await;
    let dispute = disputed(world, &funding, json!({ "reason": "duplicate" })).await;
    let one = chargeback(world, &contract).await;
    let found = async |query: &str| {
        let list = world.get(&world.admin, &format!("/v1/chargebacks?{query}")).await.success().unwrap();
        let ids = list.body["data"].as_array().unwrap().iter().map(|one| one["id"].clone());
        ids.collect::<Vec<_>>()
    };
    let due = one["evidence_due_by"].as_str().unwrap();
    let later = "2999-01-01T00:00:00Z";
    for query in [
        format!("contract_id={}", contract.id),
        format!("funding_id={funding}"),
        "reason=duplicate".to_owned(),
        format!("funding_id={funding}&due_before={later}&status=needs_response"),
        format!("contract_id={}&created_from=2020-01-01T00:00:00Z&created_before={later}", contract.id),
    ] {
        assert_eq!(found(&query).await, [one["id"].clone()], "{query}");
    }
    for query in [
        format!("funding_id={funding}&due_before={due}"),
        format!("funding_id={funding}&created_from={later}"),
        format!("funding_id={funding}&created_before=2020-01-01T00:00:00Z"),
        format!("funding_id={funding}&reason=fraudulent"),
        format!("contract_id={}&status=lost", contract.id),
    ] {
        assert_eq!(found(&query).await, Vec::<Value>::new(), "{query}");
    }
    let first = world.get(&world.admin, "/v1/chargebacks?limit=1").await.success().unwrap();
    let next = format!("limit=1&cursor={}", first.text("/next_cursor").unwrap());
    assert_ne!(found(&next).await, [first.body["data"][0]["id"].clone()], "the page after it");
    for (query, pointer) in [
        ("due_before=tomorrow", "due_before"),
        ("created_from=1", "created_from"),
        ("created_before=-", "created_before"),
        ("contract_id=1", "contract_id"),
        ("funding_id=1", "funding_id"),
        ("cursor=1", "cursor"),
    ] {
        let path = format!("/v1/chargebacks?{query}");
        let refused = world.refused(422, "validation_failed", world.get(&world.admin, &path)).await;
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{}", refused.body);
    }
    bank(world, "win", json!({ "dispute": dispute })).await;
}
