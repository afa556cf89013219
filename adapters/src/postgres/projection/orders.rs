//! Orders to the payment provider: put into the outbox with the checkpoint, carried out later.

use domain::process;
use sqlx::postgres::PgConnection;

use super::{ProjectionError, Read};
use crate::postgres::{outbox, to_i64};

pub(super) async fn apply(tx: &mut PgConnection, events: &[Read]) -> Result<(), ProjectionError> {
    let mut orders = Vec::new();
    for read in events {
        let Some(event) = &read.event else { continue };
        for order in process::orders(read.recorded.metadata.event_id, event) {
            orders.push((to_i64(read.recorded.position), order, read.recorded.metadata.occurred_at));
        }
    }
    Ok(outbox::insert(tx, &orders).await?)
}
