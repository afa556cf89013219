//! Money that comes by several ways.

use serde_json::json;

use super::support::{World, comes_back, mandate};
use super::{events, help, journal, seen, status};

/// One contract is paid by bank debit, by wallet and by card together: three lots, each held for its milestone, and what
/// goes back goes by the way it came. A wallet that pays does not wait for a card that is declined.
#[tokio::test]
async fn wallet_card_and_debit_pay_one_contract() {
    let world = World::new().await;
    let first = world.funded().await;
    world.act(&world.payee, first.work("/grant-refund"), json!({})).await.success().unwrap();
    world.settled().await;
    let refund = seen(&world, "/v1/refunds").await["data"][0]["id"].as_str().unwrap().to_owned();
    comes_back(&world, &refund).await;
    let before = world.books().await;

    let parts = json!([{ "amount": 40_000 }, { "amount": 35_000 }, { "amount": 25_000 }]);
    let contract = world.accepted_with(parts).await;
    let shown = seen(&world, &contract.at("")).await;
    let milestone = |index: usize| shown["milestones"][index]["id"].as_str().unwrap().to_owned();
    let by = async |index: usize, amount: i64, way: serde_json::Value| {
        let mut body =
            json!({ "allocations": [{ "milestone_id": milestone(index), "amount": amount }], "currency": "USD" });
        body.as_object_mut().unwrap().extend(way.as_object().unwrap().clone());
        let made = world.post(&world.client, &contract.at("/fundings"), None, body).await.success().unwrap();
        world.settled().await;
        made.text("/id").unwrap()
    };
    let declined = by(1, 35_000, json!({ "payment_method": "pm_card_visa_chargeDeclined" })).await;
    let wallet = by(0, 40_000, json!({ "paid_from": "wallet" })).await;
    assert_eq!(
        (status(&world, &declined).await.as_str(), status(&world, &wallet).await.as_str()),
        ("failed", "succeeded")
    );
    let card = by(1, 35_000, json!({ "payment_method": "pm_card_visa" })).await;
    let debit = by(2, 25_000, json!({ "payment_method": "pm_usBankAccount_success", "mandate": mandate() })).await;
    assert_eq!(status(&world, &debit).await, "processing");
    help(&world, "succeed", json!({ "funding_id": debit })).await;
    world.settled().await;
    for funding in [&card, &debit] {
        assert_eq!(status(&world, funding).await, "succeeded");
    }
    let escrow = seen(&world, &format!("/v1/escrows/{}", contract.id)).await;
    assert_eq!(
        (&escrow["held"], escrow["hold_limits"].as_array().unwrap().len()),
        (&json!(100_000), 2),
        "the wallet's money has no limit"
    );
    let after = world.books().await;
    let moved = |account: &str| after.get(account).unwrap_or(&0) - before.get(account).unwrap_or(&0);
    assert_eq!((moved("2100"), moved("2300"), moved("2120")), (-100_000, -5000, 42_000), "J01 twice, J05 once");

    // What came from the wallet goes back to it at once; what came by card goes to the card.
    let path = format!("/v1/milestones/{}/grant-refund", milestone(0));
    world.act(&world.payee, &path, json!({})).await.success().unwrap();
    assert_eq!(world.books().await["2120"], before["2120"], "the wallet has its 420.00 again");
    let path = format!("/v1/milestones/{}/grant-refund", milestone(1));
    world.act(&world.payee, &path, json!({})).await.success().unwrap();
    let initiated = events(&world, "escrow.refund_initiated").await;
    let last = initiated.last().unwrap();
    assert_eq!(journal(last), ["D 2100 35000", "D 2300 1750", "C 2260 36750"]);
    assert_eq!(last["data"]["funding_id"].as_str().unwrap_or(&card), card);
    world.close().await;
}
