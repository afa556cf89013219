//! Connections: accepted, bounded in the time and the size of what they send before a route sees it, and ended in order.
//!
//! # Invariants
//! - Headers that do not come in time end the connection, and so does a connection on which nothing is asked for as long.
//!   More than 100 headers (hyper's own limit), or more than [`MAX_HEAD_BYTES`], are answered 431.
//! - No connection holds another one up: each has a task of its own.
//! - At the end requests that were begun are finished, as long as a request may take.
//!
//! # What is deliberately absent
//! - `axum::serve`, which lets nobody say how long headers may take or how large they may be: this is hyper's own loop.
//! - HTTP/2: it is the proxy's, as TLS is.
//! - A bound on how slowly answers are read: they are small, and the system's buffers hold them.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

use super::Edge;

/// Bytes of a request's first line and headers at most.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long accepting pauses after it failed.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is true, and then finishes what was begun.
pub async fn serve(listener: TcpListener, router: Router, edge: Edge, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // The connection is gone, or there are no file descriptors left; the latter passes.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        // Small answers must not wait for the client's acknowledgement; without it they are only slower.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let router = router.clone();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            router.oneshot(request)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(edge.header_timeout())
            .max_header_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(edge.request_timeout(), graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Without a sender nobody can say stop any more: the server is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}
