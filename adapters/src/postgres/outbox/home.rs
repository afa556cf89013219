//! Where the outbox is at home. A dump that is restored beside a provider that has moved on would order again what was
//! carried out since; so a copy hands nothing out until somebody has compared it with the provider.
//!
//! # Invariants
//! - Home is the cluster, the database, the table and the timeline. A restored dump has another table, a copied database
//!   another number, a restored base backup that was recovered another timeline, another cluster another identifier.
//! - A copy is paused by whoever looks first, and every order that was open in it counts as of unknown outcome, with a key
//!   that is forgotten: also after a hasty `resume` each is looked for at the provider before it is sent. So is every
//!   later order of an aggregate that was begun before.
//!
//! # What is deliberately absent
//! A copy of the files that is started again as it is (a snapshot of the volume) cannot be told from the original: nothing
//! in it says how old it is. After that, the operator says so ([`Outbox::restored`]). A failover begins a new timeline, and
//! so pauses, too: what the standby had not received yet is lost as after a restore.

use domain::log::StoreError;
use sqlx::Row;

use super::Outbox;
use crate::postgres::{task, unavailable};

/// Where this outbox is, in SQL. Every login may ask for all of it.
pub(super) const HERE: &str = "(select c.system_identifier || '/' || d.oid || '/' || 'outbox_control'::regclass::oid
                                       || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
                                from pg_control_system() c, pg_database d where d.datname = current_database())";

/// Whether the outbox is where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// Where it was, or used for the first time.
    Here,
    /// It is a copy. It is paused now, and its open orders are of unknown outcome.
    Moved {
        /// What differs, in words.
        why: String,
    },
}

impl Outbox {
    /// Looks whether the outbox is where it was, and pauses it if not. A copy is told once; from then on it is at home.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn come_home(&self) -> Result<Home, StoreError> {
        let sql = format!("select home, {HERE} as here from outbox_control");
        let row = sqlx::query(&sql).fetch_one(&self.pool).await.map_err(unavailable)?;
        let home: Option<String> = row.try_get("home").map_err(unavailable)?;
        let here: String = row.try_get("here").map_err(unavailable)?;
        match home {
            Some(home) if home == here => Ok(Home::Here),
            Some(home) => {
                let why = difference(&home, &here);
                // Another server may have been faster.
                Ok(if self.move_in(Some(&home), &here, &why).await? { Home::Moved { why } } else { Home::Here })
            }
            None => {
                sqlx::query("update outbox_control set home = $1 where home is null")
                    .bind(&here)
                    .execute(&self.pool)
                    .await
                    .map_err(unavailable)?;
                Ok(Home::Here)
            }
        }
    }

    /// The operator says that the database is older than the provider: as if it had been found to be a copy.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn restored(&self) -> Result<(), StoreError> {
        let sql = format!("select home, {HERE} as here from outbox_control");
        let row = sqlx::query(&sql).fetch_one(&self.pool).await.map_err(unavailable)?;
        let home: Option<String> = row.try_get("home").map_err(unavailable)?;
        let here: String = row.try_get("here").map_err(unavailable)?;
        self.move_in(home.as_deref(), &here, "the operator says that it was restored").await.map(|_| ())
    }

    /// Pauses, distrusts what is open, and is at home here. `false` when somebody else did it already.
    async fn move_in(&self, from: Option<&str>, here: &str, why: &str) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await.map_err(unavailable)?;
        let moved = sqlx::query(
            "update outbox_control set home = $2, paused = true, paused_because = $3,
                 suspect_until = (select position from log_head)
             where home is not distinct from $1",
        )
        .bind(from)
        .bind(here)
        .bind(why)
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "update outbox set status = case when status = 'pending' then 'unknown' else status end,
                 first_sent_at = 'epoch', locked_until = 'epoch', locked_by = null
             where status <> 'done'",
        )
        .execute(&mut *tx)
        .await
        .map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        let detail = format!("{why}: the outbox is paused; see `earnest outbox diff`, then `earnest outbox resume`");
        task::open(&self.pool, task::RESTORED, "outbox", &detail).await?;
        Ok(true)
    }
}

/// What differs, in words.
fn difference(home: &str, here: &str) -> String {
    const PARTS: [&str; 4] = [
        "it is in another cluster",
        "it is in another database",
        "its tables were made anew",
        "the server recovered onto another timeline",
    ];
    let differing = home.split('/').zip(here.split('/')).zip(PARTS).find(|((was, is), _)| was != is);
    format!("the outbox is a copy: {}", differing.map_or("it is elsewhere", |(_, words)| words))
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_widest_difference_is_named() {
        assert!(difference("1/2/3/4", "9/2/8/4").ends_with("in another cluster"));
        assert!(difference("1/2/3/4", "1/2/8/4").ends_with("made anew"));
        assert!(difference("1/2/3/00000001", "1/2/3/00000002").ends_with("another timeline"));
    }
}
