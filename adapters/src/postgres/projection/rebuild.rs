//! Building the projections from the first event on, as fast as two cores go.
//!
//! One connection reads ahead; books and views are written beside each other on two more, each with its own checkpoint.
//! The connections are of its own, so that no pool has to be large enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::log::Position;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::sync::mpsc;

use super::read::{self, Read};
use super::{POLL, Progress, ProjectionError, Projector, ViewCache, books, views};
use crate::postgres::to_i64;

/// Events per transaction. More is no faster, and about 2 kB each they have to fit in memory a few times.
const BATCH: usize = 10_000;

/// Batches that are read ahead of each writer.
const AHEAD: usize = 1;

impl Projector {
    /// Throws the projections away and builds them from the first event on. Tells `progress` the position reached and
    /// how long it took so far. Orders to the outside are records and stay. Meanwhile no server projects.
    ///
    /// # Errors
    /// [`ProjectionError`]; the projections are then incomplete, and go on from where they are.
    pub async fn rebuild(&mut self, mut progress: impl FnMut(Position, Duration)) -> Result<Position, ProjectionError> {
        let started = Instant::now();
        self.cache = ViewCache::default();
        let options = Arc::clone(&self.options);
        let mut log = PgConnection::connect_with(&options).await?;
        // Held with the connection until everything is written.
        sqlx::query("select pg_advisory_lock(hashtextextended('earnest projector ' || current_schema(), 0))")
            .execute(&mut log)
            .await?;
        let mut tx = log.begin().await?;
        sqlx::query("truncate postings, subledger_balances, documents, contract_events, wakeups")
            .execute(&mut *tx)
            .await?;
        sqlx::query("update projections set position = 0 where name <> 'orders'").execute(&mut *tx).await?;
        tx.commit().await?;

        let (to_books, mut for_books) = mpsc::channel::<Arc<Vec<Read>>>(AHEAD);
        let (to_views, mut for_views) = mpsc::channel::<Arc<Vec<Read>>>(AHEAD);
        let books_at = AtomicU64::new(0);
        let reading = async {
            // Moved in, so that the writers see the end.
            let (to_books, to_views) = (to_books, to_views);
            let mut after = 0;
            loop {
                let events = read::page(&mut log, after, BATCH, false).await?;
                let Some(last) = events.last() else { return Ok(()) };
                after = last.position;
                let events = Arc::new(events);
                // A writer that failed has ended all of this already.
                let _ = to_books.send(Arc::clone(&events)).await;
                let _ = to_views.send(events).await;
            }
        };
        let writing_books = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            while let Some(events) = for_books.recv().await {
                let mut tx = connection.begin().await?;
                books::apply(&mut tx, &events).await?;
                let last = checkpoint(&mut tx, "books", &events).await?;
                tx.commit().await?;
                books_at.store(last, Ordering::Relaxed);
            }
            Ok(connection.close().await?)
        };
        let writing_views = async {
            let mut cache = ViewCache::default();
            let mut connection = PgConnection::connect_with(&options).await?;
            while let Some(events) = for_views.recv().await {
                let mut tx = connection.begin().await?;
                views::apply(&mut tx, &mut cache, &events).await?;
                let last = checkpoint(&mut tx, "views", &events).await?;
                tx.commit().await?;
                cache.stored(last);
                progress(last.min(books_at.load(Ordering::Relaxed)), started.elapsed());
            }
            Ok(connection.close().await?)
        };
        let all: Result<((), (), ()), ProjectionError> = tokio::try_join!(reading, writing_books, writing_views);
        all?;
        log.close().await?;

        // What was committed meanwhile.
        loop {
            match self.turn(BATCH, false).await? {
                Progress::To(position) => progress(position, started.elapsed()),
                Progress::CaughtUp(position) => {
                    progress(position, started.elapsed());
                    return Ok(position);
                }
                Progress::Elsewhere => tokio::time::sleep(POLL).await,
            }
        }
    }
}

async fn checkpoint(tx: &mut PgConnection, name: &str, events: &[Read]) -> Result<Position, ProjectionError> {
    let last = events.last().map_or(0, |event| event.position);
    sqlx::query("update projections set position = $2 where name = $1")
        .bind(name)
        .bind(to_i64(last))
        .execute(tx)
        .await?;
    Ok(last)
}
