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

use std::sync::Arc;
use std::time::Duration;

use domain::event::EventError;
use domain::log::{Position, StoreError};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, PgPool, Row};
use tokio::sync::{Notify, watch};

use super::background::Background;
use super::{to_i64, to_u64};

pub use views::ViewCache;

/// Events per transaction while following the log. Large enough that a busy stream is written once for many events.
const BATCH: usize = 4000;

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
    options: Arc<PgConnectOptions>,
    /// Its own: statements are prepared once, and a pool that is busy does not hold it up.
    connection: Option<PgConnection>,
    /// Reads ahead while the first one writes.
    reader: Option<PgConnection>,
    ahead: Option<Ahead>,
    cache: ViewCache,
    reached: watch::Sender<Position>,
}

/// Events that were read before their turn.
#[derive(Debug)]
struct Ahead {
    after: Position,
    with_orders: bool,
    events: Vec<read::Read>,
}

impl Projector {
    /// A projector of the tenant of this pool. It connects by itself.
    pub fn new(pool: &PgPool) -> Self {
        Self {
            options: pool.connect_options(),
            connection: None,
            reader: None,
            ahead: None,
            cache: ViewCache::default(),
            reached: watch::Sender::new(0),
        }
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
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => PgConnection::connect_with(&self.options).await?,
        };
        let progress = self.turn_on(&mut connection, batch, with_orders).await?;
        // After an error the next turn takes a new one.
        self.connection = Some(connection);
        Ok(progress)
    }

    async fn turn_on(
        &mut self,
        connection: &mut PgConnection,
        batch: usize,
        with_orders: bool,
    ) -> Result<Progress, ProjectionError> {
        // Put back only after the commit: on the way it is ahead of what is stored, and this may fail or be dropped.
        let mut cache = std::mem::take(&mut self.cache);
        let mut tx = connection.begin().await?;
        let locked: bool = sqlx::query(
            "select pg_try_advisory_xact_lock(hashtextextended('earnest projector ' || current_schema(), 0)) as locked",
        )
        .fetch_one(&mut *tx)
        .await?
        .try_get("locked")?;
        // Ended on every way out: a connection that is kept would keep the lock as well.
        if !locked {
            tx.rollback().await?;
            return Ok(Progress::Elsewhere);
        }
        let before = checkpoints(&mut tx).await?;
        let from = if with_orders { before.least() } else { before.books.min(before.views) };
        let events = match self.ahead.take() {
            Some(ahead) if ahead.after == from && ahead.with_orders == with_orders => ahead.events,
            _ => read::page(&mut *tx, from, batch, with_orders).await?,
        };
        let Some(last) = events.last().map(|event| event.position) else {
            tx.rollback().await?;
            self.cache = cache;
            self.reached.send_replace(from);
            return Ok(Progress::CaughtUp(from));
        };
        let after = |checkpoint: Position| {
            let first = events.partition_point(|event| event.position <= checkpoint);
            events.get(first..).unwrap_or_default()
        };
        let writing = async {
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
            Ok::<_, ProjectionError>(())
        };
        // A short page was the last one: there is nothing to read ahead.
        let busy = events.len() >= batch / 4;
        let reading = async {
            if busy { read_ahead(&self.options, self.reader.take(), last, batch, with_orders).await } else { None }
        };
        let (written, ahead) = tokio::join!(writing, reading);
        written?;
        if let Some((reader, ahead)) = ahead {
            self.reader = Some(reader);
            // An empty page may be out of date by its turn.
            self.ahead = Some(ahead).filter(|ahead| !ahead.events.is_empty());
        }
        tx.commit().await?;
        cache.stored(last);
        self.cache = cache;
        self.reached.send_replace(last);
        Ok(Progress::To(last))
    }

    /// Follows the log on a thread of its own until told to stop. Errors are logged, and tried again.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self, committed: Arc<Notify>, stop: watch::Receiver<bool>) -> std::io::Result<Background> {
        Background::start("earnest-project", move || self.follow(committed, stop))
    }

    /// Follows the log until told to stop. Errors are logged, and tried again.
    pub async fn follow(mut self, committed: Arc<Notify>, mut stop: watch::Receiver<bool>) {
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

    async fn look_how_far(&mut self) -> Result<(), ProjectionError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => PgConnection::connect_with(&self.options).await?,
        };
        self.reached.send_replace(checkpoints(&mut connection).await?.least());
        self.connection = Some(connection);
        Ok(())
    }
}

/// The next page, if there is one. What goes wrong here goes wrong again, and is told, when its turn comes.
async fn read_ahead(
    options: &PgConnectOptions,
    reader: Option<PgConnection>,
    after: Position,
    batch: usize,
    with_orders: bool,
) -> Option<(PgConnection, Ahead)> {
    let mut reader = match reader {
        Some(reader) => reader,
        None => PgConnection::connect_with(options).await.ok()?,
    };
    let events = read::page(&mut reader, after, batch, with_orders).await.ok()?;
    Some((reader, Ahead { after, with_orders, events }))
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
