//! What asks a person to show again who it is: a machine's key is refused, and nothing is written.

use api::access::rule::Strength;
use api::access::table::TABLE;
use api::caller::Role;
use api::cli::operator::{MadeToken, make_token};
use api::identity::scope::ScopeSet;
use chrono::TimeDelta;
use domain::actor::StaffRole;
use serde_json::{Value, json};

use super::support::World;
use super::{ask, granted, key};

/// Keys of machines with every scope that a key can have: for a client, a payee, and finance.
struct Machines {
    client: MadeToken,
    payee: MadeToken,
    finance: MadeToken,
}

impl Machines {
    async fn new(world: &World, exempt: bool) -> Self {
        let role = Role::Staff(StaffRole::Finance);
        let finance = make_token(&world.server.app().engine, role, None, None, None).await.unwrap();
        let all = async |of: &MadeToken, role| {
            let words = ScopeSet::of_role(role).words();
            let words: Vec<_> =
                words.into_iter().filter(|word| !["keys:manage", "users:self"].contains(word)).collect();
            key(world, of, &words, exempt).await
        };
        Self {
            client: all(&world.client, Role::Client).await,
            payee: all(&world.payee, Role::Payee).await,
            finance: all(&finance, role).await,
        }
    }
}

/// Requests about 1,000.00 USD each, by route.
async fn large(world: &World) -> Vec<(&'static str, String, Value)> {
    let amount = json!({ "amount": 100_000, "currency": "USD" });
    let gift = json!({ "amount": 100_000, "currency": "USD", "payment_method": "pm_card_visa" });
    let (released, held) = (world.released().await, world.funded().await);
    let second = world.released().await;
    world.at(World::begin() + TimeDelta::days(6)).await;
    let (payee, admin) = (&world.payee, &world.admin);
    let policy = json!({ "currency": "USD", "approval_above": 90_000, "minimum": 0 });
    let put = TABLE.iter().find(|rule| rule.path == "/v1/parties/{id}/payout-policy").unwrap();
    let path = format!("/v1/parties/{}/payout-policy", payee.party_id);
    ask(world, put, &path, Some(&admin.token), None, &policy).await.success().unwrap();
    let payout = world.post(payee, "/v1/payouts", None, amount.clone()).await.text("/id").unwrap();
    let paid = world.get(&world.client, &second.at("/timeline?limit=500")).await.body.to_string();
    let at = paid.find("fnd_").unwrap();
    let dispute = json!({ "funding_id": &paid[at..at + 30], "reason": "product_not_received" });
    world.post(admin, "/v1/test_helpers/psp/dispute", None, dispute).await.success().unwrap();
    world.settled().await;
    let chargeback = world.get(admin, "/v1/chargebacks?limit=1").await.text("/data/0/id").unwrap();
    let back = json!({ "milestone_id": released.milestone, "amount": 100_000 });
    vec![
        ("/v1/contracts/{id}/bonuses", held.at("/bonuses"), gift.clone()),
        ("/v1/contracts/{id}/tips", held.at("/tips"), gift.clone()),
        ("/v1/milestones/{id}/approve", held.work("/approve"), json!({})),
        ("/v1/milestones/{id}/approve-partial", held.work("/approve-partial"), json!({ "amount": 100_000 })),
        ("/v1/refunds", "/v1/refunds".to_owned(), back),
        ("/v1/wallets/me/top-ups", "/v1/wallets/me/top-ups".to_owned(), gift.clone()),
        ("/v1/wallets/me/withdrawals", "/v1/wallets/me/withdrawals".to_owned(), amount.clone()),
        ("/v1/payouts", "/v1/payouts".to_owned(), amount.clone()),
        ("/v1/payouts/{id}/approve", format!("/v1/payouts/{payout}/approve"), json!({})),
        ("/v1/payouts/{id}/retry", format!("/v1/payouts/{payout}/retry"), json!({})),
        ("/v1/chargebacks/{id}/submit", format!("/v1/chargebacks/{chargeback}/submit"), json!({})),
        ("/v1/chargebacks/{id}/accept", format!("/v1/chargebacks/{chargeback}/accept"), json!({})),
        ("/v1/treasury/top-ups", "/v1/treasury/top-ups".to_owned(), amount.clone()),
        ("/v1/treasury/sweeps", "/v1/treasury/sweeps".to_owned(), amount),
    ]
}

/// D-44: from the threshold on every route that the table marks refuses who has not shown lately who it is; whoever's maker
/// has exempted it is not refused for that. Below a threshold that the tenant has raised nothing is asked.
#[tokio::test]
async fn a_machine_does_not_move_much() {
    let world = World::new().await;
    let requests = large(&world).await;
    let marked: Vec<_> = granted().filter(|(_, grant)| grant.strength == Strength::RecentAbove).collect();
    let mut missing: Vec<_> = marked.iter().map(|(rule, _)| rule.path).collect();
    missing.retain(|path| requests.iter().all(|(route, ..)| route != path));
    assert!(missing.is_empty(), "no request about much for {missing:?}");
    let (strict, exempt) = (Machines::new(&world, false).await, Machines::new(&world, true).await);
    let of = |machines: &Machines, roles: &[&str]| match roles {
        roles if roles.contains(&"finance") => machines.finance.token.clone(),
        roles if roles.contains(&"client") => machines.client.token.clone(),
        _ => machines.payee.token.clone(),
    };
    let head = world.head().await;
    for (rule, grant) in &marked {
        let (_, path, body) = requests.iter().find(|(route, ..)| *route == rule.path).unwrap();
        let roles = grant.roles.words();
        // A version that is over: whoever is let through is refused for that, where there is one.
        let refused = ask(&world, rule, path, Some(&of(&strict, &roles)), Some("\"999\""), body).await;
        assert_eq!(refused.status.as_u16(), 401, "{path}: {}", refused.body);
        assert_eq!(refused.body["code"], "insufficient_user_authentication");
        assert_eq!(refused.body["max_age"], 300);
    }
    for (rule, grant) in granted().filter(|(_, grant)| grant.strength == Strength::Recent) {
        // Keys have no scope for what is about the account and about keys.
        if ["users:self", "keys:manage"].contains(&grant.scope.unwrap_or_default()) {
            continue;
        }
        let token = of(&strict, &grant.roles.words());
        let path = rule.path.replace(['{', '}'], "");
        let refused = ask(&world, rule, &path, Some(&token), Some("\"999\""), &json!({})).await;
        assert_eq!(refused.body["code"], "insufficient_user_authentication", "{path}");
    }
    assert_eq!(world.head().await, head, "nothing was written");
    for (rule, grant) in &marked {
        let (_, path, body) = requests.iter().find(|(route, ..)| *route == rule.path).unwrap();
        let answer = ask(&world, rule, path, Some(&of(&exempt, &grant.roles.words())), Some("\"999\""), body).await;
        assert_ne!(answer.status.as_u16(), 401, "{path}: {}", answer.body);
    }
}
