//! Orders: the requests that change something, each in one transaction with its idempotency key.
//!
//! # Invariants
//! - One key, one execution: the answer is stored in the transaction that carries the order out, so both are there or
//!   neither. The same request again gets the same status and body; another one is refused.
//! - What the validation of parameters refuses, and what ends in an error of the server, is not stored: it may be tried
//!   again with the same key (<https://docs.stripe.com/api/idempotent_requests>).
//! - An order is carried out to its end even if the client has gone.
//!
//! # What is deliberately absent
//! Keys that expire by themselves: Stripe may forget them after 24 hours; here they are kept until
//! `POST /_sandbox/keys/prune`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::accounts::CreateAccount;
use super::clock::BEGIN_SHARED;
use super::connected::ConnectedOrder;
use super::disputes::DisputeOrder;
use super::events::{self, Cause, Endpoints, NewEvent};
use super::faults::Faults;
use super::fee::FeeRule;
use super::intents::{AnswerChallenge, CancelIntent, ConfirmIntent, CreateIntent};
use super::moves::{CreatePayout, CreateTransfer};
use super::object;
use super::refunds::{CancelRefund, CreateRefund, TurnRefund};
use super::refusal::{Failure, Refusal};
use super::settlement::Twist;
use super::topups::CreateTopUp;

/// What does not change while the sandbox runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) fee: FeeRule,
    pub(super) availability_delay: Duration,
    pub(super) arrival_delay: Duration,
    pub(super) refund_delay: Duration,
    pub(super) refund_failure_delay: Duration,
    pub(super) debit_delay: Duration,
}

/// Everything that a request can reach.
#[derive(Debug)]
pub(super) struct App {
    pub(super) pool: PgPool,
    /// Where it is reached: `http://address:port`.
    pub(super) base_url: String,
    pub(super) rules: Rules,
    pub(super) endpoints: Endpoints,
    pub(super) faults: Arc<Faults>,
    pub(super) under_way: KeysUnderWay,
    /// SHA-256 of the secret key: comparing digests says nothing about the length of the key.
    pub(super) secret_digest: [u8; 32],
}

/// A request that changes something, checked as far as it can be without the database.
#[derive(Debug)]
pub(super) enum Order {
    CreateIntent(CreateIntent),
    ConfirmIntent(ConfirmIntent),
    CancelIntent(CancelIntent),
    AnswerChallenge(AnswerChallenge),
    CreateRefund(CreateRefund),
    CancelRefund(CancelRefund),
    TurnRefund(TurnRefund),
    CreateTransfer(CreateTransfer),
    CreatePayout(CreatePayout),
    CreateAccount(CreateAccount),
    CreateTopUp(CreateTopUp),
    Connected(ConnectedOrder),
    Dispute(DisputeOrder),
}

/// Who asks, and how often.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    /// The `Stripe-Account` header; the platform without it.
    pub(super) account: Option<String>,
    pub(super) request_id: String,
    pub(super) idempotency_key: Option<String>,
    /// Of method, path and parameters.
    pub(super) fingerprint: Vec<u8>,
    /// What a planned fault changes about a payment.
    pub(super) twist: Twist,
}

/// The outcome of an order that was carried out.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: StatusCode,
    pub(super) value: Value,
}

/// What is sent to the client.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
    /// The request that was carried out, when this one only repeats its answer.
    pub(super) replay_of: Option<String>,
}

impl Answer {
    pub(super) fn refused(refusal: &Refusal) -> Self {
        Self { status: refusal.status(), body: refusal.body().to_string(), replay_of: None }
    }
}

impl Outcome {
    pub(super) fn ok(value: Value) -> Self {
        Self { status: StatusCode::OK, value }
    }
}

/// The transaction of an order, and what it needs to know.
pub(super) struct Work<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) rules: Rules,
    /// Where the sandbox is reached.
    pub(super) base_url: &'a str,
    /// The account that the order acts on.
    pub(super) account: String,
    pub(super) platform_account: String,
    /// The clock's time in whole seconds, as Stripe dates its objects.
    pub(super) now: DateTime<Utc>,
    /// What a planned fault changes about a payment.
    pub(super) twist: Twist,
    /// What has happened so far; stored at the end.
    pub(super) happened: Vec<NewEvent>,
}

impl Work<'_> {
    pub(super) fn happened(&mut self, kind: &'static str, object: Value) {
        self.happened.push(NewEvent::new(kind, &self.account, self.now, object));
    }
}

#[derive(sqlx::FromRow)]
struct Context {
    platform_account: String,
    clock_now: Option<DateTime<Utc>>,
    account_id: Option<String>,
    fingerprint: Option<Vec<u8>>,
    status: Option<i32>,
    body: Option<String>,
    request_id: Option<String>,
}

impl App {
    /// Forgets the keys of orders that are that old. Returns how many.
    pub(super) async fn prune_keys(&self, older_than: TimeDelta) -> Result<u64, sqlx::Error> {
        let pruned = sqlx::query(
            "DELETE FROM idempotency_keys USING sandbox_state AS state
             WHERE created_at <= coalesce(state.clock_now, $2) - $1 * interval '1 second'",
        )
        .bind(older_than.num_seconds())
        .bind(super::wall::now())
        .execute(&self.pool)
        .await?;
        Ok(pruned.rows_affected())
    }

    /// Carries out an order, or repeats its answer.
    pub(super) async fn perform(&self, asker: &Asker, order: Order, expand: &[Vec<String>]) -> Answer {
        match self.try_perform(asker, order, expand).await {
            Ok(answer) => answer,
            Err(Failure::Refused(refusal)) => Answer::refused(&refusal),
            Err(Failure::Database(error)) => {
                if let (Some(key), Some("idempotency_keys_pkey")) =
                    (&asker.idempotency_key, error.as_database_error().and_then(sqlx::error::DatabaseError::constraint))
                {
                    // Another process carried out the same order at the same time, and was first.
                    return Answer::refused(&Refusal::KeyInUse { key: key.clone() });
                }
                tracing::error!(%error, request_id = asker.request_id, "sandbox: an order could not be carried out");
                Answer::refused(&Refusal::Internal)
            }
        }
    }

    async fn try_perform(&self, asker: &Asker, order: Order, expand: &[Vec<String>]) -> Result<Answer, Failure> {
        let mut tx = self.pool.begin_with(BEGIN_SHARED).await?;
        let context: Context = sqlx::query_as(
            "SELECT state.platform_account, state.clock_now, account.id AS account_id,
                key.fingerprint, key.status, key.body, key.request_id
             FROM sandbox_state AS state
             LEFT JOIN accounts AS account
                ON account.id = coalesce($1, state.platform_account) AND NOT account.deauthorized
             LEFT JOIN idempotency_keys AS key ON key.account_id = account.id AND key.key = $2",
        )
        .bind(&asker.account)
        .bind(&asker.idempotency_key)
        .fetch_one(&mut *tx)
        .await?;
        let Some(account) = context.account_id else {
            return Err(Refusal::NoAccess { account: asker.account.clone().unwrap_or_default() }.into());
        };
        if let (Some(key), Some(fingerprint), Some(status), Some(body)) =
            (&asker.idempotency_key, context.fingerprint, context.status, context.body)
        {
            if fingerprint != asker.fingerprint {
                return Err(Refusal::OtherParameters { key: key.clone() }.into());
            }
            let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
            return Ok(Answer {
                status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                body,
                replay_of: context.request_id,
            });
        }
        let mut work = Work {
            connection: &mut tx,
            rules: self.rules,
            base_url: &self.base_url,
            account,
            platform_account: context.platform_account,
            now: context.clock_now.unwrap_or_else(super::wall::now).trunc_subsecs(0),
            twist: asker.twist,
            happened: Vec::new(),
        };
        let capture_is_late = matches!(order, Order::CreateIntent(_) | Order::ConfirmIntent(_));
        let (status, mut value) = match order.carry_out(&mut work).await {
            Ok(outcome) => (outcome.status, outcome.value),
            // Refused before anything was written: what is committed below is the answer alone.
            Err(Failure::Refused(refusal)) => (refusal.status(), refusal.body()),
            Err(Failure::Database(error)) => return Err(error.into()),
        };
        if status.is_success() {
            // An expansion that makes no sense is a parameter that makes no sense: all is rolled back, nothing stored.
            object::expand(work.connection, &mut value, expand).await?;
            // With asynchronous capture the answer comes before the balance transaction is there
            // (https://docs.stripe.com/payments/payment-intents/asynchronous-capture).
            if capture_is_late
                && value["capture_method"] == "automatic_async"
                && let Some(charge) = value.get_mut("latest_charge").and_then(Value::as_object_mut)
            {
                charge.insert("balance_transaction".to_owned(), Value::Null);
            }
        }
        let body = value.to_string();
        let Work { account, platform_account, now, happened, .. } = work;
        let cause = Cause { request_id: asker.request_id.clone(), idempotency_key: asker.idempotency_key.clone() };
        events::store(&mut tx, &platform_account, &self.endpoints, Some(&cause), &happened).await?;
        if let Some(key) = &asker.idempotency_key {
            sqlx::query(
                "INSERT INTO idempotency_keys (account_id, key, fingerprint, status, body, request_id, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(&account)
            .bind(key)
            .bind(&asker.fingerprint)
            .bind(i32::from(status.as_u16()))
            .bind(&body)
            .bind(&asker.request_id)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        if !happened.is_empty() {
            self.endpoints.nudge();
        }
        Ok(Answer { status, body, replay_of: None })
    }
}

impl Order {
    async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::CreateIntent(order) => order.carry_out(work).await,
            Self::ConfirmIntent(order) => order.carry_out(work).await,
            Self::CancelIntent(order) => order.carry_out(work).await,
            Self::AnswerChallenge(order) => order.carry_out(work).await,
            Self::CreateRefund(order) => order.carry_out(work).await,
            Self::CancelRefund(order) => order.carry_out(work).await,
            Self::TurnRefund(order) => order.carry_out(work).await,
            Self::CreateTransfer(order) => order.carry_out(work).await,
            Self::CreatePayout(order) => order.carry_out(work).await,
            Self::CreateAccount(order) => order.carry_out(work).await,
            Self::CreateTopUp(order) => order.carry_out(work).await,
            Self::Connected(order) => order.carry_out(work).await,
            Self::Dispute(order) => order.carry_out(work).await,
        }
    }
}

/// The keys of requests that are being carried out by this process.
#[derive(Debug, Clone, Default)]
pub(super) struct KeysUnderWay {
    keys: Arc<Mutex<HashSet<AccountKey>>>,
}

/// The named account, and the key.
type AccountKey = (Option<String>, String);

/// Gives the key back when dropped.
#[derive(Debug)]
pub(super) struct KeyClaim {
    owner: KeysUnderWay,
    key: AccountKey,
}

impl KeysUnderWay {
    /// Takes a key of an account; `None` when it is taken.
    pub(super) fn claim(&self, account: Option<&str>, key: &str) -> Option<KeyClaim> {
        let key = (account.map(str::to_owned), key.to_owned());
        let taken = self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        taken.then(|| KeyClaim { owner: self.clone(), key })
    }
}

impl Drop for KeyClaim {
    fn drop(&mut self) {
        self.owner.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
