//! Connections, which may be closed without an answer.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

use super::guard::HangUp;
use crate::sandbox::webhooks::stopped;

/// How long open requests may take when the sandbox shuts down. Orders are carried out to their end regardless.
const GRACE: Duration = Duration::from_secs(5);
/// A client that sends half a request, or none, keeps a connection for this long.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);

/// Ends a connection without an answer.
#[derive(Debug)]
struct HungUp;

impl fmt::Display for HungUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("closed without an answer: a fault that was asked for")
    }
}

impl std::error::Error for HungUp {}

/// Serves until told to stop, then lets open requests end.
pub(in crate::sandbox) async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // The connection is gone, or there are no file descriptors left; the latter passes.
                    tracing::warn!(%error, "sandbox: a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        // Small answers must not wait for the client's acknowledgement; without it they are only slower.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let router = router.clone();
            async move {
                let response =
                    router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never: Infallible| match never {});
                if response.extensions().get::<HangUp>().is_some() { Err(HungUp) } else { Ok(response) }
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "sandbox: a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("sandbox: some connections did not end in time");
    }
}
