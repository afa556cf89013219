
#![allow(missing_docs)]
use adapters::embedded::testing::TestCluster;
use api::sandbox::*;
use axum::{Router, routing::post};
use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speed() {
    let db = TestCluster::shared().unwrap().empty_database().await.unwrap();
    let hits = Arc::new(AtomicUsize::new(0));
    let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", l.local_addr().unwrap());
    let h = hits.clone();
    tokio::spawn(async move { axum::serve(l, Router::new().route("/", post(move || { let h = h.clone(); async move { h.fetch_add(1, Ordering::SeqCst); } }))).await });
    let mut c = SandboxConfig::new("127.0.0.1:0".parse().unwrap(), db.owner_options.clone(), "sk_test_x");
    c.webhooks = vec![WebhookTarget { url, secret: "whsec_x".into(), connect: false }];
    let s = start(c).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let n = 3000usize; let t0 = std::time::Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..64 { let http = http.clone(); let base = s.base_url(); let next = next.clone();
        set.spawn(async move { loop { let i = next.fetch_add(1, Ordering::SeqCst); if i >= n { break; }
            let r = http.post(format!("{base}v1/payment_intents")).bearer_auth("sk_test_x").header("Idempotency-Key", format!("k{i}")).form(&[("amount","5000"),("currency","usd"),("confirm","true"),("payment_method","pm_card_visa"),("metadata[a]","b")]).send().await.unwrap();
            assert_eq!(r.status(), 200); r.bytes().await.unwrap(); } }); }
    while set.join_next().await.is_some() {}
    let e = t0.elapsed(); println!("{n} intents in {e:?}: {:.0}/s, hooks {} so far", n as f64 / e.as_secs_f64(), hits.load(Ordering::SeqCst));
    while hits.load(Ordering::SeqCst) < 4*n { tokio::time::sleep(std::time::Duration::from_millis(50)).await; }
    let e = t0.elapsed(); println!("all {} hooks after {e:?}", 4*n);
}
