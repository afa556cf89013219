//! Requests that come too slowly. Each kind has a door of its own to the same server, where only the time in question is
//! short: on a slow machine the answer comes later, but it is the same.

use std::net::SocketAddr;
use std::time::Duration;

use api::edge::{Edge, EdgeConfig, connections};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Site;

/// Longest that the server may take to give up, with time to spare for a busy machine.
const SOON: Duration = Duration::from_secs(100);

/// What is short at a door.
const SHORT: Duration = Duration::from_millis(300);

/// Another door to the same server, until the test ends.
async fn door(site: &Site, edge: EdgeConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let edge = Edge::new(edge, false);
    let router = api::router::router(site.world.server.app().clone(), &edge);
    tokio::spawn(async move {
        let (_open, stopped) = watch::channel(false);
        connections::serve(listener, router, edge, stopped).await;
    });
    address
}

/// Sends this, and reads until the server ends the connection.
pub(super) async fn told(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer before it has read all of it.
    let _ = stream.write_all(text.as_bytes()).await;
    all_of(&mut stream).await
}

async fn all_of(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    // The end may be a reset, when the server does not read to the end.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("the connection is ended");
    String::from_utf8(bytes).unwrap()
}

pub(super) async fn headers_that_do_not_come_end_the_connection(site: &Site) {
    let address = door(site, EdgeConfig { header_timeout: SHORT, ..EdgeConfig::unlimited() }).await;
    for begun in ["", "GET /version HTTP/1.1\r\nhost: earnest\r\nx-forwarded-"] {
        let answer = told(address, begun).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    // Who asked once and then nothing does not keep the connection either.
    let answer = told(address, "GET /version HTTP/1.1\r\nhost: earnest\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

pub(super) async fn a_body_that_pauses_is_not_waited_for(site: &Site) {
    let address = door(site, EdgeConfig { body_timeout: SHORT, ..EdgeConfig::unlimited() }).await;
    for path in ["/v1/auth/login", "/v1/psp/webhooks/stripe", "/sign-in"] {
        let kind = if path == "/sign-in" { "application/x-www-form-urlencoded" } else { "application/json" };
        let head = format!("POST {path} HTTP/1.1\r\nhost: earnest\r\ncontent-type: {kind}\r\n");
        let answer = told(address, &format!("{head}content-length: 20\r\n\r\n{{")).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        let said = if path == "/sign-in" {
            ["</html>", "request-id:"]
        } else {
            ["\"code\":\"request_timeout\"", "\"request_id\":"]
        };
        assert!(said.iter().all(|said| answer.contains(said)), "{path}: {answer}");
    }
}

pub(super) async fn a_body_that_trickles_is_cut_off(site: &Site) {
    let address = door(site, EdgeConfig { request_timeout: SHORT, ..EdgeConfig::unlimited() }).await;
    let head = "POST /v1/auth/login HTTP/1.1\r\nhost: earnest\r\ncontent-type: application/json\r\n";
    let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
    writing.write_all(format!("{head}content-length: 100000\r\n\r\n").as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        // Until the server closes.
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let answer = all_of(&mut reading).await;
    trickle.abort();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"code\":\"unavailable\""), "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
}
