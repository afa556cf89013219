//! Projections: rows derived from the log, stored together with how far they go.
//!
//! # Invariants
//! - Rows and checkpoint are stored in one transaction: after a crash it goes on exactly where it was.
//! - One projector works on a tenant at a time, whichever server it runs on.
//! - Rebuilt from zero the tables hold the same rows.
//!
//! What is built: [`books`] (postings and sub-ledger balances), [`views`] (documents, events by contract, wake-ups) and
//! [`orders`] (orders to the payment provider; records of the outside, so never rebuilt).

mod books;
mod orders;
mod read;
mod rebuild;
mod views;

use std::time::Duration;

use domain::event::EventError;
use domain::log::{Position, StoreError};
use sqlx::postgres::PgConnection;
use sqlx::{PgPool, Row};
use tokio::sync::{Notify, watch};

use super::{to_i64, to_u64};

pub use views::ViewCache;

/// Events per transaction while following the log. Large enough that a busy stream is written once for many events.
const BATCH: usize = 2000;

/// How long the projector sleeps when nothing was committed here: other servers commit without telling it.
const POLL: Duration = Duration::from_millis(100);

/// How long it waits after an error.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// A projection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The database refused.
    #[error("the database refused: {0}")]
    Database(#[from] sqlx::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// An event of ours cannot be read.
    #[error("event {position}: {error}")]
    Event {
        /// Where it is.
        position: Position,
        /// What is wrong.
        error: EventError,
    },
    /// A stored document cannot be read or written.
    #[error(transparent)]
    Document(#[from] domain::view::DocumentError),
    /// A sub-ledger account is on the wrong side of zero: a defect, somebody has to look before anything is believed.
    #[error("account {account} {dims} in {currency} is below its floor at position {position}")]
    BelowFloor {
        /// The account's code.
        account: i16,
        /// Its currency.
        currency: String,
        /// Its dimensions.
        dims: String,
        /// The event that did it.
        position: Position,
    },
}

/// What one turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Another server is at it.
    Elsewhere,
    /// Up to this position, and there may be more.
    To(Position),
    /// Nothing new.
    CaughtUp(Position),
}

/// How far each projection is.
#[derive(Debug, Clone, Copy)]
struct Checkpoints {
    books: Position,
    views: Position,
    orders: Position,
}

impl Checkpoints {
    fn least(self) -> Position {
        self.books.min(self.views).min(self.orders)
    }
}

/// Builds a tenant's projections.
#[derive(Debug)]
pub struct Projector {
    pool: PgPool,
    cache: ViewCache,
    reached: watch::Sender<Position>,
}

impl Projector {
    /// A projector on a tenant's pool.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, cache: ViewCache::default(), reached: watch::Sender::new(0) }
    }

    /// How far the projections are, as far as this process knows.
    pub fn reached(&self) -> watch::Receiver<Position> {
        self.reached.subscribe()
    }

    /// Takes the next events in, in one transaction.
    ///
    /// # Errors
    /// [`ProjectionError`]; nothing was changed.
    pub async fn run_once(&mut self) -> Result<Progress, ProjectionError> {
        self.turn(BATCH, true).await
    }

    async fn turn(&mut self, batch: usize, with_orders: bool) -> Result<Progress, ProjectionError> {
        // Put back only after the commit: on the way it is ahead of what is stored, and this may fail or be dropped.
        let mut cache = std::mem::take(&mut self.cache);
        let mut tx = self.pool.begin().await?;
        let locked: bool = sqlx::query(
            "select pg_try_advisory_xact_lock(hashtextextended('earnest projector ' || current_schema(), 0)) as locked",
        )
        .fetch_one(&mut *tx)
        .await?
        .try_get("locked")?;
        if !locked {
            return Ok(Progress::Elsewhere);
        }
        let before = checkpoints(&mut tx).await?;
        let from = if with_orders { before.least() } else { before.books.min(before.views) };
        let events = read::page(&mut *tx, from, batch, with_orders).await?;
        let Some(last) = events.last().map(|event| event.position) else {
            self.cache = cache;
            self.reached.send_replace(from);
            return Ok(Progress::CaughtUp(from));
        };
        let after = |checkpoint: Position| {
            let first = events.partition_point(|event| event.position <= checkpoint);
            events.get(first..).unwrap_or_default()
        };
        books::apply(&mut tx, after(before.books)).await?;
        cache.expect(before.views);
        views::apply(&mut tx, &mut cache, after(before.views)).await?;
        if with_orders {
            orders::apply(&mut tx, after(before.orders)).await?;
        }
        sqlx::query("update projections set position = $1 where position < $1 and (name <> 'orders' or $2)")
            .bind(to_i64(last))
            .bind(with_orders)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        cache.stored(last);
        self.cache = cache;
        self.reached.send_replace(last);
        Ok(Progress::To(last))
    }

    /// Follows the log until told to stop. Errors are logged, and tried again.
    pub async fn follow(mut self, committed: std::sync::Arc<Notify>, mut stop: watch::Receiver<bool>) {
        loop {
            // Registered before looking, so that a commit in between is not missed.
            let told = committed.notified();
            let pause = match self.run_once().await {
                Ok(Progress::To(_)) => Duration::ZERO,
                Ok(Progress::CaughtUp(_)) => POLL,
                Ok(Progress::Elsewhere) => {
                    if let Err(error) = self.look_how_far().await {
                        tracing::warn!(%error, "cannot see how far the projections are");
                    }
                    POLL
                }
                Err(error) => {
                    tracing::error!(%error, "the projections stand still");
                    PAUSE_AFTER_ERROR
                }
            };
            if *stop.borrow() {
                return;
            }
            if !pause.is_zero() {
                tokio::select! {
                    () = told => {}
                    () = tokio::time::sleep(pause) => {}
                    _ = stop.changed() => {}
                }
            }
        }
    }

    async fn look_how_far(&self) -> Result<(), ProjectionError> {
        let reached = reached(&self.pool).await?;
        self.reached.send_replace(reached);
        Ok(())
    }
}

/// How far all projections are.
///
/// # Errors
/// [`ProjectionError`].
pub async fn reached(pool: &PgPool) -> Result<Position, ProjectionError> {
    let mut connection = pool.acquire().await?;
    Ok(checkpoints(&mut connection).await?.least())
}

async fn checkpoints(connection: &mut PgConnection) -> Result<Checkpoints, ProjectionError> {
    let rows = sqlx::query("select name, position from projections").fetch_all(connection).await?;
    let mut found = Checkpoints { books: 0, views: 0, orders: 0 };
    for row in rows {
        let position = to_u64(row.try_get("position")?);
        match row.try_get::<String, _>("name")?.as_str() {
            "books" => found.books = position,
            "views" => found.views = position,
            "orders" => found.orders = position,
            other => tracing::warn!(projection = other, "a projection that this version does not know"),
        }
    }
    Ok(found)
}
