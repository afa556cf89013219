//! Whose things are whose: another party finds nothing, whatever it asks for.

use api::access::rule::{Owner, Rule};
use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::support::{Contract, World, funding_of};
use super::{ask, granted, knock};

/// One of every thing that belongs to parties.
struct Things {
    contract: Contract,
    released: Contract,
    funding: String,
    amendment: String,
    wish: String,
    refund: String,
    payout: String,
    key: String,
}

impl Things {
    async fn new(world: &World) -> Self {
        let (client, payee) = (&world.client, &world.payee);
        let released = world.released().await;
        world.at(World::begin() + TimeDelta::days(6)).await;
        let small = json!({ "amount": 10_000, "currency": "USD" });
        let payout = world.post(payee, "/v1/payouts", None, small).await.text("/id").unwrap();
        let back = json!({ "milestone_id": released.milestone, "amount": 1000 });
        let refund = world.post(payee, "/v1/refunds", None, back).await.text("/id").unwrap();
        let contract = world.funded().await;
        let fundings = world.get(client, &contract.at("/timeline?limit=500")).await;
        let funding = fundings.body.to_string();
        let at = funding.find("fnd_").expect("a funding");
        let wish = world.act(client, contract.work("/refund-requests"), json!({ "amount": 1000 })).await;
        let wish = wish.text("/refund_request/id").unwrap();
        let more = json!({ "kind": "add_milestone", "amount": 50_000 });
        let proposed = world.act(client, contract.at("/amendments"), json!({ "changes": [more] })).await;
        let key = json!({ "name": "machine", "scopes": ["contracts:read"] });
        let key = world.post(client, "/v1/api-keys", None, key).await.text("/id").unwrap();
        world.settled().await;
        Self {
            funding: funding[at..at + 30].to_owned(),
            amendment: proposed.text("/amendment/id").unwrap(),
            contract,
            released,
            wish,
            refund,
            payout,
            key,
        }
    }

    /// The path, with the id of what its route is about.
    fn path(&self, world: &World, rule: &Rule) -> String {
        let id = match rule.path.split('/').find(|part| part.ends_with('s') && *part != "contracts") {
            _ if rule.path.contains("/contracts/") => self.contract.id.clone(),
            Some("amendments") => self.amendment.clone(),
            Some("fundings") => self.funding.clone(),
            Some("escrows") => self.contract.id.clone(),
            Some("milestones") => self.contract.milestone.clone(),
            Some("refund-requests") => self.wish.clone(),
            Some("refunds") => self.refund.clone(),
            Some("parties") => world.payee.party_id.to_string(),
            Some("payouts") => self.payout.clone(),
            Some("api-keys") => self.key.clone(),
            _ if !rule.path.contains('{') => String::new(),
            other => panic!("{}: what is {other:?}?", rule.path),
        };
        rule.path.replace("{id}", &id).replace("{amendment_id}", &self.amendment).replace("{currency}", "USD")
    }

    /// A body that makes sense.
    fn body(&self, rule: &Rule) -> Value {
        let contract = &self.contract;
        let change = json!({ "kind": "change_amount", "milestone_id": contract.milestone, "amount": 120_000 });
        let gift = json!({ "amount": 500, "currency": "USD", "payment_method": "pm_card_visa" });
        let mut quote = funding_of(contract, 100_000, "pm_card_visa");
        quote.as_object_mut().unwrap().remove("payment_method");
        quote["contract_id"] = json!(contract.id);
        match rule.path.rsplit('/').next().unwrap() {
            "fundings" => funding_of(contract, 100_000, "pm_card_visa"),
            "payments" => json!({ "milestone_id": contract.milestone, "payment_method": "pm_card_visa" }),
            "fundings:quote" => quote,
            "bonuses" | "tips" => gift,
            "counter-offer" | "amendments" => json!({ "changes": [change] }),
            "pause" | "decline" => json!({ "reason": "r" }),
            "cancel" if rule.path.contains("contracts") => json!({ "reason": "r" }),
            "request-changes" => json!({ "note_ref": "n" }),
            "approve-partial" => json!({ "amount": 5 }),
            "reallocate" => json!({ "milestone_id": contract.milestone, "amount": 5 }),
            "refunds" => json!({ "milestone_id": self.released.milestone, "amount": 5 }),
            "payout-account" => json!({ "country": "US" }),
            "{currency}" => json!({ "bank_account_token": "btok_us_verified" }),
            "payout-schedule" => json!({ "currency": "USD", "every": "daily" }),
            _ => json!({}),
        }
    }
}

/// Every route to a thing of parties answers 404 to a party that has no part in it, whatever its version, and writes nothing;
/// whose thing it is finds it by the same request. A role that may not at all is told so alike, whether the thing is there or
/// not.
pub(super) async fn other_parties_find_nothing(world: &World) {
    let things = Things::new(world).await;
    let engine = &world.server.app().engine;
    let payee = make_token(engine, Role::Payee, None, None, None).await.unwrap();
    let strangers = [("client", &world.outsider), ("payee", &payee)];
    let owners = [("client", &world.client), ("payee", &world.payee)];
    let of_parties: Vec<_> =
        granted().filter(|(_, grant)| matches!(grant.owner, Owner::Party | Owner::Parties)).collect();
    let head = world.head().await;
    for (rule, grant) in &of_parties {
        let (path, body) = (things.path(world, rule), things.body(rule));
        for (role, stranger) in strangers {
            if !grant.roles.words().contains(&role) {
                let there = ask(world, rule, &path, Some(&stranger.token), Some("\"1\""), &body).await;
                let (.., nowhere) = knock(world, rule, Some(&stranger.token)).await;
                assert_eq!(there.status.as_u16(), 403, "{} {path} as a {role}: {}", rule.method, there.body);
                assert_eq!(untraced(there.body), untraced(nowhere.body), "{} {path} as a {role}", rule.method);
                continue;
            }
            for version in ["\"1\"", "\"3\""] {
                let answer = ask(world, rule, &path, Some(&stranger.token), Some(version), &body).await;
                assert_eq!(answer.status.as_u16(), 404, "{} {path} as another {role}: {}", rule.method, answer.body);
                assert_eq!(answer.body["code"], "not_found");
                assert_eq!(answer.header("etag"), None);
            }
        }
    }
    assert_eq!(world.head().await, head, "nothing was written");
    // With a version that is over: what is found is refused for that, and changes nothing.
    for (rule, grant) in &of_parties {
        let (path, body) = (things.path(world, rule), things.body(rule));
        let mut found = Vec::new();
        for (role, owner) in owners {
            if grant.roles.words().contains(&role) {
                found.push(status(world, rule, &path, owner, &body).await);
            }
        }
        assert!(found.iter().any(|status| *status != 404), "{} {path} finds nothing at all", rule.method);
    }
    // Lists show everybody its own.
    for (rule, grant) in granted().filter(|(rule, grant)| grant.owner == Owner::Caller && rule.method == "GET") {
        for (role, stranger) in strangers {
            if !grant.roles.words().contains(&role) || rule.path == "/v1/users/me" {
                continue;
            }
            let list = ask(world, rule, rule.path, Some(&stranger.token), None, &json!({})).await;
            assert_eq!((list.status.as_u16(), &list.body["data"]), (200, &json!([])), "{} as a {role}", rule.path);
        }
    }
}

async fn status(world: &World, rule: &Rule, path: &str, who: &MadeToken, body: &Value) -> u16 {
    ask(world, rule, path, Some(&who.token), Some("\"999\""), body).await.status.as_u16()
}

/// A problem without the id of its request.
fn untraced(mut problem: Value) -> Value {
    problem.as_object_mut().unwrap().remove("request_id").expect("an id");
    problem
}
