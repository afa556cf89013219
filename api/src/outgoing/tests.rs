use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn stub(lookup: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> Lookup {
    Lookup::Stub(Arc::new(lookup))
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn client(config: OutgoingConfig) -> OutgoingClient {
    OutgoingClient::new(config, Duration::from_secs(5)).unwrap()
}

#[test]
fn a_url_is_looked_at_however_its_address_is_written() {
    let config = OutgoingConfig::default();
    let of = |url: &str| config.parse(url).map(|url| url.to_string());
    for (url, why) in [
        ("http://hooks.example.com/", UrlNotAllowed::Scheme),
        ("ftp://hooks.example.com/", UrlNotAllowed::Scheme),
        ("file:///etc/passwd", UrlNotAllowed::Scheme),
        ("gopher://127.0.0.1:6379/_x", UrlNotAllowed::Scheme),
        ("hooks.example.com", UrlNotAllowed::Malformed),
        ("https://", UrlNotAllowed::Malformed),
        ("https://user@hooks.example.com/", UrlNotAllowed::User),
        ("https://:secret@hooks.example.com/", UrlNotAllowed::User),
    ] {
        assert_eq!(of(url), Err(why), "{url}");
    }
    for (url, address) in [
        ("https://127.0.0.1/", "127.0.0.1"),
        ("https://2130706433/", "127.0.0.1"),
        ("https://0x7f.1/", "127.0.0.1"),
        ("https://0177.0.0.1/", "127.0.0.1"),
        ("https://127.1/", "127.0.0.1"),
        ("https://127.0.0.1./", "127.0.0.1"),
        ("https://①②⑦.0.0.1/", "127.0.0.1"),
        ("https://0/", "0.0.0.0"),
        ("https://169.254.169.254/latest/meta-data/", "169.254.169.254"),
        ("https://[::1]/", "::1"),
        ("https://[::ffff:169.254.169.254]/", "::ffff:169.254.169.254"),
        ("https://[fd00:ec2::254]:8443/", "fd00:ec2::254"),
        ("https://10.0.0.1:6443/", "10.0.0.1"),
        ("https:\\\\192.168.0.1\\", "192.168.0.1"),
    ] {
        assert_eq!(of(url), Err(UrlNotAllowed::Address(address.parse().unwrap())), "{url}");
    }
    let long = format!("https://hooks.example.com/{}", "a".repeat(MAX_URL));
    assert_eq!(of(&long), Err(UrlNotAllowed::Malformed));
    for good in ["https://hooks.example.com/a?b=c", "https://8.8.8.8/", "https://[2606:4700::1111]:8443/"] {
        assert_eq!(of(good).as_deref(), Ok(good));
    }
    let development = OutgoingConfig::development();
    assert!(development.parse("http://127.0.0.1:8080/").is_ok() && development.parse("http://[::1]/").is_ok());
    assert_eq!(
        development.parse("http://169.254.169.254/"),
        Err(UrlNotAllowed::Address("169.254.169.254".parse().unwrap())),
        "also a developer's machine may be in a cloud"
    );
}

/// D-168 (in part: the guard; there are no webhook endpoints yet): a name that leads to a cloud's metadata is refused, with
/// its code; so is one that leads there beside elsewhere.
#[tokio::test]
async fn a_name_is_refused_for_where_it_leads() {
    let lookup = stub(|host| match host {
        "metadata.example" => ips(&["169.254.169.254"]),
        "both.example" => ips(&["8.8.8.8", "10.0.0.7"]),
        "good.example" => ips(&["8.8.8.8", "2606:4700::1111"]),
        "private.example" => ips(&["10.0.0.7"]),
        _ => Vec::new(),
    });
    let guarded = client(OutgoingConfig { lookup: lookup.clone(), ..OutgoingConfig::default() });
    let refused = guarded.check("https://metadata.example/hook").await.unwrap_err();
    assert_eq!(refused, UrlNotAllowed::Address("169.254.169.254".parse().unwrap()));
    let problem = refused.problem("/url");
    assert!(!problem.detail().contains("169.254"), "what the name leads to here is not told");
    assert_eq!(problem.code().code(), "url_not_allowed");
    assert_eq!(problem.into_response().status(), StatusCode::UNPROCESSABLE_ENTITY);
    let refused = guarded.check("https://both.example/").await;
    assert_eq!(refused, Err(UrlNotAllowed::Address("10.0.0.7".parse().unwrap())));
    assert_eq!(guarded.check("https://nowhere.example/").await, Err(UrlNotAllowed::Unknown));
    assert!(guarded.check("https://good.example/").await.is_ok());
    let networks = vec!["10.0.0.0/29".parse().unwrap()];
    let inside = client(OutgoingConfig { allowed_networks: networks, lookup, ..OutgoingConfig::default() });
    assert!(inside.check("https://private.example/").await.is_ok(), "the operator's own network, allowed");
    assert!(inside.check("https://metadata.example/").await.is_err());
}

/// D-168 (in part: the guard, at delivery): what is looked at when a URL is named is looked at again with every connection.
#[tokio::test]
async fn a_name_that_is_rebound_is_refused_when_it_is_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let redirect =
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(redirect.as_bytes()).await.unwrap();
        }
    });
    let (looked, rebound_after) = (Arc::new(AtomicUsize::new(0)), 2);
    let lookups = Arc::clone(&looked);
    let lookup = stub(move |_| {
        let before = lookups.fetch_add(1, Ordering::SeqCst) < rebound_after;
        ips(&[if before { "127.0.0.1" } else { "127.0.0.2" }])
    });
    // What is the public's in this test: this machine under its first address.
    let allowed_networks = vec!["127.0.0.1".parse().unwrap()];
    let client = client(OutgoingConfig { allow_http: true, allowed_networks, lookup });
    let url = format!("http://rebound.example:{port}/hook");
    client.check(&url).await.unwrap();
    let answer = client.request(Method::POST, &url).unwrap().send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND, "a redirect is an answer, and not followed");
    let error = client.request(Method::POST, &url).unwrap().send().await.unwrap_err();
    assert!(error.is_connect());
    let reason = reason(error);
    assert!(reason.contains("127.0.0.2, which is not a public address") && !reason.contains("rebound"), "{reason}");
    assert_eq!((served.load(Ordering::SeqCst), looked.load(Ordering::SeqCst)), (1, 3));
    assert!(client.request(Method::GET, "http://127.0.0.2/").is_err(), "an address needs no looking up");
}
