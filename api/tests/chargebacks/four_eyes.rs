//! Commands of staff that others have to approve.

use adapters::postgres::approvals;
use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use api::cli::story::Answer;
use domain::actor::StaffRole;
use domain::approval::{Kind, KindRule, Rule};
use serde_json::{Value, json};

use super::support::{Contract, World};
use super::{balance, bank, chargeback, disputed, later, paid, paid_out_on};

async fn member(world: &World, role: StaffRole) -> MadeToken {
    make_token(&world.server.app().engine, Role::Staff(role), None, None, None).await.unwrap()
}

fn escrow(contract: &Contract, verb: &str) -> String {
    format!("/v1/escrows/{}{verb}", contract.id)
}

/// The path of the request that was answered with.
fn request(proposed: &Answer) -> String {
    proposed.header("location").unwrap().to_owned()
}

/// D-184, D-96, J58: finance proposes to write 900.00 off: 202, and nothing is done. It cannot approve that itself, in no
/// role; another does, and it is booked. Both are recorded with how they have shown who they are.
#[tokio::test]
async fn a_debt_is_written_off_by_two() {
    let world = World::new().await;
    let (contract, funding) = paid_out_on(&world, json!({})).await;
    let dispute = disputed(&world, &funding, json!({})).await;
    bank(&world, "lose", json!({ "dispute": dispute })).await;
    let cause = chargeback(&world, &contract).await["id"].clone();
    let finance = member(&world, StaffRole::Finance).await;
    let approver = member(&world, StaffRole::Moderator).await;
    let path = format!("/v1/parties/{}/balance/write-off", world.payee.party_id);
    let write_off = |amount: i64| json!({ "currency": "USD", "cause": cause, "amount": amount });

    for who in [&world.client, &world.payee, &world.outsider, &member(&world, StaffRole::Support).await] {
        world.refused(403, "forbidden", world.post(who, &path, None, write_off(1))).await;
    }
    let too_much = world.refused(422, "validation_failed", world.post(&finance, &path, None, write_off(90_001))).await;
    assert_eq!(too_much.body["errors"][0]["pointer"], "/amount");
    let nothing = json!({ "currency": "USD", "cause": "cbk_1", "amount": 1 });
    world.refused(404, "not_found", world.post(&finance, &path, None, nothing)).await;

    let proposed = world.post_with_key(&finance, &path, "write-off", None, write_off(90_000)).await;
    assert_eq!((proposed.status.as_u16(), &proposed.body["status"]), (202, &json!("pending")));
    assert_eq!(proposed.header("etag"), None, "nothing has become of the account");
    assert_eq!(proposed.body["command"]["amount"], 90_000);
    let again = world.post_with_key(&finance, &path, "write-off", None, write_off(90_000)).await;
    assert_eq!((again.header("idempotent-replayed"), request(&again)), (Some("true"), request(&proposed)));
    later(&world, 0).await;
    assert_eq!(balance(&world).await["debt"], 90_000);

    let approve = format!("{}/approve", request(&proposed));
    let as_moderator = world.other_role(&finance, Role::Staff(StaffRole::Moderator)).await;
    for who in [&finance, &as_moderator] {
        world.refused(403, "four_eyes_violation", world.post(who, &approve, None, json!({}))).await;
    }
    let done = world.post_with_key(&approver, &approve, "yes", None, json!({})).await.success().unwrap().body;
    assert_eq!(done["status"], "executed");
    assert_eq!((&done["requested_by"], &done["acr"]), (&json!(finance.party_id), &json!("machine")));
    assert_eq!(
        (&done["approvals"][0]["by"], &done["approvals"][0]["acr"]),
        (&json!(approver.party_id), &json!("machine"))
    );
    let repeated = world.post_with_key(&approver, &approve, "yes", None, json!({})).await;
    assert_eq!((repeated.header("idempotent-replayed"), &repeated.body), (Some("true"), &done));
    later(&world, 0).await;
    assert_eq!((&balance(&world).await["debt"], world.count("payee.debt_written_off").await), (&json!(0), 1));
    let events = world.api.events(&world.admin.token, 0).await.unwrap();
    let written_off = events.iter().find(|event| event.r#type == "payee.debt_written_off").unwrap();
    assert_eq!(json!(written_off.event_id), done["event_id"]);
    let late = world.refused(409, "approval_wrong_state", world.post(&approver, &approve, None, json!({}))).await;
    assert_eq!(late.body["state"], "executed");
    world.books().await;
}

/// Of two who approve at once one carries it out and the other is told that it is done; of two proposals of the same the
/// second one is refused by the escrow's own rules, and says so. The list shows both, page by page and by what they are.
#[tokio::test]
async fn of_two_approvals_at_once_one_counts() {
    let world = World::new().await;
    let contract = world.funded().await;
    let order = json!({ "reason": "court_order" });
    world.act(&world.admin, escrow(&contract, "/freeze"), order).await.success().unwrap();
    let proposals = [
        world.act(&world.admin, escrow(&contract, "/unfreeze"), json!({})).await,
        world.act(&world.admin, escrow(&contract, "/unfreeze"), json!({})).await,
    ];
    let (one, other) = (member(&world, StaffRole::Moderator).await, member(&world, StaffRole::Finance).await);
    let approve = format!("{}/approve", request(&proposals[0]));
    let (first, second) =
        tokio::join!(world.post(&one, &approve, None, json!({})), world.post(&other, &approve, None, json!({})));
    let mut told = [(first.status.as_u16(), first.body), (second.status.as_u16(), second.body)];
    told.sort_by_key(|(status, _)| *status);
    assert_eq!((told[0].0, &told[0].1["status"]), (200, &json!("executed")), "{told:?}");
    assert_eq!((told[1].0, &told[1].1["code"]), (409, &json!("approval_wrong_state")), "{told:?}");
    assert_eq!((world.count("escrow.unfrozen").await, world.count("approval.granted").await), (1, 1));

    let late = world.post(&one, &format!("{}/approve", request(&proposals[1])), None, json!({})).await;
    assert_eq!((&late.body["status"], &late.body["failure_code"]), (&json!("failed"), &json!("escrow_not_frozen")));
    assert_eq!(world.count("escrow.unfrozen").await, 1);

    world.settled().await;
    let list = async |query: &str| -> Value {
        world.get(&world.admin, &format!("/v1/approvals?{query}")).await.success().unwrap().body
    };
    let ids = |page: &Value| -> Vec<String> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("/v1/approvals/{}", one["id"].as_str().unwrap()))
            .collect()
    };
    let newest = list("limit=1").await;
    assert_eq!(ids(&newest), [request(&proposals[1])]);
    let rest = list(&format!("limit=1&cursor={}", newest["next_cursor"].as_str().unwrap())).await;
    assert_eq!((ids(&rest), &rest["next_cursor"]), (vec![request(&proposals[0])], &Value::Null));
    let admin = world.admin.party_id;
    for (query, found) in [
        ("status=failed".to_owned(), vec![request(&proposals[1])]),
        ("kind=write_off_debt".to_owned(), vec![]),
        (format!("kind=unfreeze_escrow&status=executed&requested_by={admin}"), vec![request(&proposals[0])]),
        (format!("requested_by={}", one.party_id), vec![]),
    ] {
        assert_eq!(ids(&list(&query).await), found, "{query}");
    }
    for (query, field) in [("kind=x", "kind"), ("requested_by=x", "requested_by"), ("limit=0", "limit")] {
        let path = format!("/v1/approvals?{query}");
        let wrong = world.get(&world.admin, &path);
        assert_eq!(world.refused(422, "validation_failed", wrong).await.body["errors"][0]["pointer"], field);
    }
    let shown = world.get(&other, &request(&proposals[0])).await.success().unwrap();
    assert_eq!((&shown.body["status"], shown.header("etag")), (&json!("executed"), Some("\"3\"")));
}

/// The tenant says what needs whom: two others, or nobody; what waits keeps the rule that it was proposed under, and lapses
/// at its instant. Parties learn of none of it, and staff that only reads decides on none.
#[tokio::test]
async fn the_tenant_says_what_needs_another() {
    let world = World::new().await;
    let contract = world.funded().await;
    let pool = world.server.app().pool().clone();
    let freeze = || world.act(&world.admin, escrow(&contract, "/freeze"), json!({ "reason": "court_order" }));
    let unfreeze = || world.act(&world.admin, escrow(&contract, "/unfreeze"), json!({}));
    freeze().await.success().unwrap();
    let roles = vec![StaffRole::Moderator, StaffRole::Finance];
    let two = KindRule { above_units: 0, rule: Rule { approvers: 2, roles, hours: 24 } };
    approvals::set_rule(&pool, Kind::UnfreezeEscrow, Some(&two)).await.unwrap();
    let proposed = unfreeze().await;
    let waiting = unfreeze().await;
    assert_eq!(proposed.body["rule"], json!({ "approvers": 2, "roles": ["moderator", "finance"], "hours": 24 }));
    approvals::set_rule(&pool, Kind::UnfreezeEscrow, None).await.unwrap();
    approvals::set_rule(&pool, Kind::FreezeEscrow, Some(&two)).await.unwrap();
    assert_eq!(approvals::rules(&pool).await.unwrap().rules[&Kind::FreezeEscrow], two);

    let at = |verb: &str| format!("{}{verb}", request(&proposed));
    for who in [&world.client, &world.payee, &world.outsider] {
        world.refused(403, "forbidden", world.get(who, "/v1/approvals")).await;
        world.refused(403, "forbidden", world.get(who, &at(""))).await;
        for verb in ["/approve", "/reject", "/withdraw"] {
            world.refused(403, "forbidden", world.post(who, &at(verb), None, json!({}))).await;
        }
    }
    let auditor = member(&world, StaffRole::Auditor).await;
    world.settled().await;
    world.get(&auditor, &at("")).await.success().unwrap();
    for verb in ["/approve", "/reject", "/withdraw"] {
        world.refused(403, "forbidden", world.post(&auditor, &at(verb), None, json!({}))).await;
        // Whoever can never do it is not told whether it is there.
        let nowhere = format!("/v1/approvals/apr_00000000000000000000000000{verb}");
        world.refused(403, "forbidden", world.post(&auditor, &nowhere, None, json!({}))).await;
    }
    world.refused(404, "not_found", world.get(&auditor, "/v1/approvals/apr_00000000000000000000000000")).await;
    world.refused(400, "not_a_valid_id", world.get(&auditor, "/v1/approvals/apr_1")).await;
    world.refused(422, "validation_failed", world.get(&auditor, "/v1/approvals?state=pending")).await;

    // One is not enough, and the same one twice is still one.
    let (one, other) = (member(&world, StaffRole::Moderator).await, member(&world, StaffRole::Finance).await);
    for who in [&one, &one] {
        let told = world.post(who, &at("/approve"), None, json!({})).await.success().unwrap().body;
        assert_eq!((&told["status"], told["approvals"].as_array().unwrap().len()), (&json!("pending"), 1));
    }
    assert_eq!(world.count("escrow.unfrozen").await, 0);
    let done = world.post(&other, &at("/approve"), None, json!({})).await.success().unwrap().body;
    assert_eq!((&done["status"], world.count("escrow.unfrozen").await), (&json!("executed"), 1));

    // Now a freeze needs two others, and lifting one nobody.
    let frozen = freeze().await;
    assert_eq!((frozen.status.as_u16(), world.count("escrow.frozen").await), (202, 1));
    for who in [&one, &other] {
        world.post(who, &format!("{}/approve", request(&frozen)), None, json!({})).await.success().unwrap();
    }
    assert_eq!(world.count("escrow.frozen").await, 2);
    assert_eq!(unfreeze().await.status.as_u16(), 200);

    later(&world, 1).await;
    let lapsed = world.get(&one, &request(&waiting)).await.success().unwrap().body;
    assert_eq!((&lapsed["status"], world.count("approval.lapsed").await), (&json!("lapsed"), 1));
    let approve = format!("{}/approve", request(&waiting));
    let late = world.post(&one, &approve, None, json!({}));
    assert_eq!(world.refused(409, "approval_wrong_state", late).await.body["state"], "lapsed");
}

/// A chargeback is conceded by two; a stale version of what it is about is told at the proposal.
#[tokio::test]
async fn a_proposal_is_judged_as_its_command_would_be() {
    let world = World::new().await;
    let (contract, funding) = paid(&world).await;
    world.refused(409, "escrow_not_frozen", world.act(&world.admin, escrow(&contract, "/unfreeze"), json!({}))).await;
    let unfreeze = escrow(&contract, "/unfreeze");
    let stale = world.post(&world.admin, &unfreeze, Some("\"99\""), json!({}));
    world.refused(412, "version_mismatch", stale).await;
    disputed(&world, &funding, json!({})).await;
    let id = chargeback(&world, &contract).await["id"].as_str().unwrap().to_owned();
    let proposed = world.post(&world.admin, &format!("/v1/chargebacks/{id}/accept"), None, json!({})).await;
    let withdraw = format!("{}/withdraw", request(&proposed));
    let another = member(&world, StaffRole::Finance).await;
    world.refused(403, "forbidden", world.post(&another, &withdraw, None, json!({}))).await;
    let gone = world.post(&world.admin, &withdraw, None, json!({})).await.success().unwrap();
    assert_eq!(gone.body["status"], "withdrawn");
    let proposed = world.post(&world.admin, &format!("/v1/chargebacks/{id}/accept"), None, json!({})).await;
    let reject = format!("{}/reject", request(&proposed));
    world.refused(403, "four_eyes_violation", world.post(&world.admin, &reject, None, json!({}))).await;
    let rejected = world.post(&another, &reject, None, json!({})).await.success().unwrap();
    assert_eq!(rejected.body["rejection"]["by"], json!(another.party_id));
    assert_eq!((world.count("chargeback.accepted").await, world.count("approval.rejected").await), (0, 1));
    world.settled().await;
    assert_eq!(chargeback(&world, &contract).await["status"], "needs_response");
}
