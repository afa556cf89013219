//! Requests that come too slowly, or are too large before their body.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Site;

/// Longest that the server may take to give up, with time to spare for a busy machine.
const SOON: Duration = Duration::from_secs(30);

async fn connect(site: &Site) -> TcpStream {
    let url = site.world.server.base_url();
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Sends this, and reads until the server ends the connection.
async fn told(site: &Site, text: &str) -> String {
    let mut stream = connect(site).await;
    stream.write_all(text.as_bytes()).await.unwrap();
    all_of(&mut stream).await
}

async fn all_of(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    // The end may be a reset, when the server does not read to the end.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("the connection is ended");
    String::from_utf8(bytes).unwrap()
}

pub(super) async fn headers_that_do_not_come_end_the_connection(site: &Site) {
    for begun in ["", "GET /version HTTP/1.1\r\nhost: earnest\r\nx-forwarded-"] {
        let answer = told(site, begun).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

pub(super) async fn a_body_that_pauses_is_not_waited_for(site: &Site) {
    for path in ["/v1/auth/login", "/v1/psp/webhooks/stripe"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: earnest\r\ncontent-type: application/json\r\n");
        let answer = told(site, &format!("{head}content-length: 20\r\n\r\n{{")).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(
            answer.contains("\"code\":\"request_timeout\"") && answer.contains("\"request_id\":"),
            "{path}: {answer}"
        );
    }
}

pub(super) async fn a_body_that_trickles_is_cut_off(site: &Site) {
    let head = "POST /v1/auth/login HTTP/1.1\r\nhost: earnest\r\ncontent-type: application/json\r\n";
    let (mut reading, mut writing) = connect(site).await.into_split();
    writing.write_all(format!("{head}content-length: 1000\r\n\r\n").as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        // Until the server closes.
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let answer = all_of(&mut reading).await;
    trickle.abort();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"code\":\"unavailable\""), "{answer}");
}

pub(super) async fn too_many_or_too_long_headers_are_refused(site: &Site) {
    let many: String = (0..150).map(|number| format!("x-{number}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(200_000));
    for headers in [many, long] {
        let answer = told(site, &format!("GET /version HTTP/1.1\r\nhost: earnest\r\n{headers}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let some: String = (0..90).map(|number| format!("x-{number}: 1\r\n")).collect();
    let answer =
        told(site, &format!("GET /version HTTP/1.1\r\nhost: earnest\r\nconnection: close\r\n{some}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
