//! Bonuses and tips.

use chrono::TimeDelta;
use serde_json::json;

use super::support::World;
use super::{at, booked, lines, now, status};

/// D-138, J62: a bonus of 50.00 a moment before the window closes costs 52.50 and gives 45.00; at its end it is refused.
#[tokio::test]
async fn a_bonus_is_paid_within_its_window() {
    let world = World::new().await;
    let contract = world.released().await;
    let ended = World::begin();
    let give = async || {
        let body = json!({ "amount": 5000, "currency": "USD", "payment_method": "pm_card_visa" });
        world.post(&world.client, &contract.at("/bonuses"), None, body).await
    };
    world.at(ended + TimeDelta::days(365) - TimeDelta::seconds(1)).await;
    let made = give().await.success().unwrap();
    assert_eq!((made.status.as_u16(), status(&made), &made.body["purpose"]), (201, "created", &json!("bonus")));
    let figures = ["/amount", "/gratuity/amount", "/gratuity/client_fee", "/gratuity/payee_fee", "/gratuity/net"];
    assert_eq!(at(&made, figures), [5250, 5000, 250, 500, 4500].map(|figure| json!(figure)));
    world.settled().await;
    let paid = now(&world, &world.client, made.header("location").unwrap()).await;
    assert_eq!((status(&paid), &paid.body["gratuity"]), ("succeeded", &made.body["gratuity"]));
    let booking = [("D", "1110", 5250), ("C", "2200", 4500), ("C", "4100", 500), ("C", "4110", 250)];
    assert_eq!(lines(&world, "payee.bonus_paid").await, booked(&booking));
    let balance = now(&world, &world.payee, "/v1/balances/me").await;
    assert_eq!(at(&balance, ["/data/0/pending", "/data/0/available"]), [json!(4500), json!(90_000)]);
    world.at(ended + TimeDelta::days(365)).await;
    let late = world.refused(422, "bonus_window_closed", give()).await;
    assert_eq!(late.body["closed_at"], json!(ended + TimeDelta::days(365)));
    world.close().await;
}

/// D-139, J63: a tip of 10.00 costs 10.00 and gives 10.00.
#[tokio::test]
async fn a_tip_is_free_of_fees() {
    let world = World::new().await;
    let contract = world.released().await;
    let body = json!({ "amount": 1000, "currency": "USD", "payment_method": "pm_card_visa" });
    let made = world.post(&world.client, &contract.at("/tips"), None, body.clone()).await.success().unwrap();
    assert_eq!(at(&made, ["/purpose", "/amount", "/gratuity/net"]), [json!("tip"), json!(1000), json!(1000)]);
    world.settled().await;
    let booking = [("D", "1110", 1000), ("C", "2200", 1000)];
    assert_eq!(lines(&world, "payee.tip_paid").await, booked(&booking));
    // The payee may know of the gift, not of the payment.
    world.refused(404, "not_found", world.get(&world.payee, made.header("location").unwrap())).await;
    for gift in ["/bonuses", "/tips"] {
        world.refused(403, "forbidden", world.post(&world.payee, &contract.at(gift), None, body.clone())).await;
    }
    world.close().await;
}
