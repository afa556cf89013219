//! Orders to the payment provider: put into the outbox with the checkpoint, carried out later.

use domain::process;
use sqlx::postgres::PgConnection;

use super::ProjectionError;
use super::read::Read;
use crate::postgres::{corrupt, outbox, to_i64};

pub(super) async fn apply(tx: &mut PgConnection, events: &[Read]) -> Result<(), ProjectionError> {
    let mut orders = Vec::new();
    for read in events {
        let Some(event) = &read.event else { continue };
        let Some(origin) = read.origin else {
            return Err(corrupt("an event was read without its metadata").into());
        };
        for order in process::orders(origin.event_id, event) {
            orders.push((to_i64(read.position), order, origin.occurred_at));
        }
    }
    Ok(outbox::insert(tx, &orders).await?)
}
