//! Payment intents, and the card charges that pay them.
//!
//! # Invariants
//! - An intent is paid at most once; a paid intent has one successful charge.
//! - A declined card leaves a failed charge and an intent that waits for another payment method.
//! - A bank debit is `processing`, with a pending charge, until its bank answers.
//!
//! # What is deliberately absent
//! Manual capture, saved payment methods, customers, and the page on which the customer answers a required action: the
//! test helper `POST /_sandbox/payment_intents/{id}/authenticate` answers it. Mandates as objects: a bank debit is asked for the
//! customer's acceptance, as at Stripe, and nothing of it is kept.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::types::Json;

use super::disputes;
use super::exchange::Settlement;
use super::fee::Currency;
use super::form::{Form, Metadata};
use super::identifier;
use super::object::{self, Charge, PaymentIntent};
use super::order::{Outcome, Work};
use super::refusal::{Failure, Refusal, documentation};
use super::rows::{insert, lock, update, write_charge};
use super::settlement;
use super::test_card::{Decline, TestCard, Verdict};

/// Parameters of Stripe's that would move other money, or not move it.
const NOT_IMPLEMENTED: &[&str] = &[
    "application_fee_amount",
    "confirmation_token",
    "customer",
    "mandate",
    "on_behalf_of",
    "payment_method_data",
    "setup_future_usage",
    "transfer_data",
];

/// `POST /v1/payment_intents`.
#[derive(Debug)]
pub(super) struct CreateIntent {
    amount: i64,
    currency: Currency,
    capture_method: &'static str,
    payment_method_types: Vec<String>,
    automatic_payment_methods: bool,
    card: Option<TestCard>,
    confirm: Option<Confirmation>,
    description: Option<String>,
    receipt_email: Option<String>,
    statement_descriptor: Option<String>,
    transfer_group: Option<String>,
    metadata: Metadata,
}

/// `POST /v1/payment_intents/{id}/confirm`.
#[derive(Debug)]
pub(super) struct ConfirmIntent {
    id: String,
    card: Option<TestCard>,
    confirmation: Confirmation,
}

/// `POST /v1/payment_intents/{id}/cancel`.
#[derive(Debug)]
pub(super) struct CancelIntent {
    id: String,
    reason: Option<String>,
}

#[derive(Debug)]
struct Confirmation {
    return_url: Option<String>,
    off_session: bool,
    /// Whether the customer has accepted a debit.
    accepted: bool,
}

/// What the customer does about a required action, or the bank about a debit:
/// `POST /_sandbox/payment_intents/{id}/authenticate`.
#[derive(Debug)]
pub(super) struct AnswerChallenge {
    id: String,
    succeeds: bool,
    /// What the bank says; the ordinary failure when absent.
    decline: Option<Decline>,
}

impl Confirmation {
    fn parse(form: &Form) -> Result<Self, Refusal> {
        let off_session = match form.text("off_session").as_deref() {
            Some("one_off" | "recurring") => true, // Texts that older versions took.
            _ => form.boolean("off_session")?.unwrap_or(false),
        };
        Ok(Self { return_url: form.text("return_url"), off_session, accepted: acceptance(form)? })
    }

    /// A debit of a bank account needs the customer's acceptance
    /// (<https://docs.stripe.com/payments/ach-direct-debit/accept-a-payment>).
    fn allows(&self, card: TestCard) -> Result<(), Refusal> {
        if card.is_bank_account() && !self.accepted {
            return Err(Refusal::Missing { param: "mandate_data" });
        }
        Ok(())
    }
}

/// Whether `mandate_data` says that, and all that it has to say.
fn acceptance(form: &Form) -> Result<bool, Refusal> {
    if !form.has("mandate_data") {
        return Ok(false);
    }
    let at = |rest: &[&str]| form.deep_text(&[&["mandate_data", "customer_acceptance"], rest].concat());
    match at(&["type"]).as_deref() {
        Some("offline") => Ok(true),
        Some("online") if at(&["online", "ip_address"]).is_none() => {
            Err(Refusal::Missing { param: "mandate_data[customer_acceptance][online][ip_address]" })
        }
        Some("online") if at(&["online", "user_agent"]).is_none() => {
            Err(Refusal::Missing { param: "mandate_data[customer_acceptance][online][user_agent]" })
        }
        Some("online") => Ok(true),
        Some(other) => {
            Err(Refusal::invalid("mandate_data[customer_acceptance][type]", format!("Invalid type: {other}")))
        }
        None => Err(Refusal::Missing { param: "mandate_data[customer_acceptance][type]" }),
    }
}

fn card(form: &Form) -> Result<Option<TestCard>, Refusal> {
    let Some(token) = form.text("payment_method") else {
        return Ok(None);
    };
    match TestCard::get(&token) {
        Some(card) => Ok(Some(card)),
        None => Err(Refusal::NoSuch { noun: "PaymentMethod", id: token, param: "payment_method" }),
    }
}

impl CreateIntent {
    pub(super) fn parse(form: &Form) -> Result<Self, Refusal> {
        form.refuse(NOT_IMPLEMENTED)?;
        let amount = form.amount()?;
        let currency = form.currency()?;
        let capture_method = match form.text("capture_method").as_deref() {
            // The default since API version 2024-04-10.
            None | Some("automatic_async") => "automatic_async",
            Some("automatic") => "automatic",
            Some(other) => {
                let message = format!("The sandbox captures automatically; capture_method {other} is not implemented.");
                return Err(Refusal::invalid("capture_method", message));
            }
        };
        let mut payment_method_types = form.texts("payment_method_types");
        // The newer name since 2026; whichever is sent, cards and accounts in the United States are all there is.
        let allowed = form.texts("allowed_payment_method_types");
        let known = |name: &str| ["card", "us_bank_account"].contains(&name);
        if let Some(other) = payment_method_types.iter().chain(&allowed).find(|name| !known(name)) {
            let message = format!("The payment method type \"{other}\" is not implemented. The sandbox takes cards.");
            return Err(Refusal::invalid("payment_method_types", message));
        }
        let automatic = form.inner_boolean("automatic_payment_methods", "enabled")?;
        if automatic == Some(true) && !payment_method_types.is_empty() {
            let message =
                "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.";
            return Err(Refusal::invalid("automatic_payment_methods", message));
        }
        // Without payment_method_types the methods are chosen automatically, by default since 2023-08-16.
        let automatic_payment_methods = automatic.unwrap_or(payment_method_types.is_empty());
        if payment_method_types.is_empty() {
            payment_method_types.push("card".to_owned());
        }
        let card = card(form)?;
        let confirm = match form.boolean("confirm")? {
            Some(true) => Some(Confirmation::parse(form)?),
            _ => None,
        };
        if confirm.is_some() && card.is_none() {
            return Err(Refusal::invalid(
                "payment_method",
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
            ));
        }
        if let (Some(confirmation), Some(card)) = (&confirm, card) {
            confirmation.allows(card)?;
        }
        Ok(Self {
            amount,
            currency,
            capture_method,
            payment_method_types,
            automatic_payment_methods,
            card,
            confirm,
            description: form.text("description"),
            receipt_email: form.text("receipt_email"),
            statement_descriptor: form.text("statement_descriptor"),
            transfer_group: form.text("transfer_group"),
            metadata: form.metadata()?,
        })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        fee(work, self.amount, self.currency)?;
        let id = identifier::new("pi");
        let mut intent = PaymentIntent {
            client_secret: format!("{id}_secret_{}", identifier::secret()),
            id,
            account_id: work.account.clone(),
            amount: self.amount,
            currency: self.currency.code.to_owned(),
            status: "requires_payment_method".to_owned(),
            capture_method: self.capture_method.to_owned(),
            payment_method: None,
            payment_method_token: None,
            payment_method_types: self.payment_method_types,
            automatic_payment_methods: self.automatic_payment_methods,
            description: self.description,
            receipt_email: self.receipt_email,
            statement_descriptor: self.statement_descriptor,
            transfer_group: self.transfer_group,
            metadata: Json(self.metadata),
            latest_charge: None,
            last_payment_error: None,
            next_action: None,
            cancellation_reason: None,
            canceled_at: None,
            created_at: work.now,
            amount_received: 0,
            settles_at: None,
        };
        // Told as it was before it was confirmed.
        work.happened("payment_intent.created", intent.show());
        if let Some(card) = self.card {
            attach(&mut intent, card);
        }
        insert(work, &intent).await?;
        match (self.confirm, self.card) {
            (Some(confirmation), Some(card)) => confirm(work, intent, card, &confirmation).await,
            _ => Ok(Outcome::ok(intent.show())),
        }
    }
}

impl ConfirmIntent {
    pub(super) fn parse(id: String, form: &Form) -> Result<Self, Refusal> {
        form.refuse(NOT_IMPLEMENTED)?;
        form.refuse(&["capture_method"])?;
        Ok(Self { id, card: card(form)?, confirmation: Confirmation::parse(form)? })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let mut intent = lock(work, self.id).await?;
        if !matches!(intent.status.as_str(), "requires_payment_method" | "requires_confirmation" | "requires_action") {
            let message = format!(
                "You cannot confirm this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the \
                 following statuses may be confirmed: requires_confirmation, requires_action, requires_payment_method.",
                intent.status
            );
            return Err(Refusal::UnexpectedState { message, intent: intent.show() }.into());
        }
        let kept = intent.payment_method_token.as_deref().and_then(TestCard::get);
        let card = match self.card {
            Some(card) => {
                attach(&mut intent, card);
                card
            }
            None => kept.ok_or_else(|| Refusal::UnexpectedState {
                message: "You cannot confirm this PaymentIntent because it's missing a payment method.".to_owned(),
                intent: intent.show(),
            })?,
        };
        self.confirmation.allows(card)?;
        confirm(work, intent, card, &self.confirmation).await
    }
}

impl CancelIntent {
    pub(super) fn parse(id: String, form: &Form) -> Result<Self, Refusal> {
        let reason = form.text("cancellation_reason");
        if let Some(other) = &reason
            && !["duplicate", "fraudulent", "requested_by_customer", "abandoned"].contains(&other.as_str())
        {
            return Err(Refusal::invalid("cancellation_reason", format!("Invalid cancellation_reason: {other}")));
        }
        Ok(Self { id, reason })
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let mut intent = lock(work, self.id).await?;
        if matches!(intent.status.as_str(), "succeeded" | "canceled") {
            let message = format!(
                "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the \
                 following statuses may be canceled: requires_payment_method, requires_confirmation, requires_action.",
                intent.status
            );
            return Err(Refusal::UnexpectedState { message, intent: intent.show() }.into());
        }
        if let Some(mut charge) = settlement::pending_charge(work.connection, &intent).await? {
            // A debit that is called back: our assumption is that its charge counts as failed.
            "failed".clone_into(&mut charge.status);
            charge.failure_code = Some("payment_intent_canceled".to_owned());
            write_charge(work.connection, &charge).await?;
        }
        "canceled".clone_into(&mut intent.status);
        intent.cancellation_reason = self.reason;
        intent.canceled_at = Some(work.now);
        (intent.next_action, intent.settles_at) = (None, None);
        update(work.connection, &intent).await?;
        work.happened("payment_intent.canceled", intent.show());
        Ok(Outcome::ok(intent.show()))
    }
}

impl AnswerChallenge {
    pub(super) fn parse(id: String, form: &Form) -> Result<Self, Refusal> {
        let decline = match form.text("code") {
            None => None,
            Some(code) => {
                let known = TestCard::decline_of(&code);
                Some(known.ok_or_else(|| Refusal::invalid("code", format!("No test card is declined with {code}")))?)
            }
        };
        match form.required("outcome")?.as_str() {
            "succeeded" => Ok(Self { id, succeeds: true, decline: None }),
            "failed" => Ok(Self { id, succeeds: false, decline }),
            other => Err(Refusal::invalid("outcome", format!("Invalid outcome: {other}"))),
        }
    }

    pub(super) async fn carry_out(self, work: &mut Work<'_>) -> Result<Outcome, Failure> {
        let mut intent = lock(work, self.id).await?;
        let (account, now) = (work.account.clone(), work.now);
        if intent.status == "processing"
            && let Some(mut charge) = settlement::pending_charge(work.connection, &intent).await?
        {
            let (connection, happened) = (&mut *work.connection, &mut work.happened);
            if self.succeeds {
                settlement::succeed(connection, now, &mut intent, &mut charge, happened).await?;
            } else {
                let decline = self.decline.or_else(|| TestCard::decline_of("no_account")).unwrap_or(Decline::UNKNOWN);
                settlement::fail(connection, now, &mut intent, &mut charge, decline, happened).await?;
            }
            return Ok(Outcome::ok(intent.show()));
        }
        if intent.status != "requires_action" {
            let message = format!("Neither customer nor bank of {account} is asked: the status is {}.", intent.status);
            return Err(Refusal::UnexpectedState { message, intent: intent.show() }.into());
        }
        intent.next_action = None;
        let card = intent.payment_method_token.as_deref().and_then(TestCard::get);
        let bank = if self.succeeds { card.and_then(TestCard::declined_after_challenge) } else { self.decline };
        if let Some(decline) = bank {
            decline_charge(work, &mut intent, decline).await?;
            return Ok(Outcome::ok(intent.show()));
        }
        if self.succeeds {
            pay(work, &mut intent).await?;
            return Ok(Outcome::ok(intent.show()));
        }
        let code = "payment_intent_authentication_failure";
        let payment_method = intent.payment_method.take().unwrap_or_default();
        let token = intent.payment_method_token.take().unwrap_or_default();
        intent.last_payment_error = Some(json!({
            "code": code,
            "doc_url": documentation(code),
            "message": "The provided PaymentMethod has failed authentication.",
            "payment_method": object::show_payment_method(&payment_method, &token, work.now),
            "type": "invalid_request_error",
        }));
        "requires_payment_method".clone_into(&mut intent.status);
        update(work.connection, &intent).await?;
        work.happened("payment_intent.payment_failed", intent.show());
        Ok(Outcome::ok(intent.show()))
    }
}

/// Every use of a test payment method makes a payment method of its own, as at Stripe.
fn attach(intent: &mut PaymentIntent, card: TestCard) {
    intent.payment_method = Some(identifier::new("pm"));
    intent.payment_method_token = Some(card.token().to_owned());
    if card.is_bank_account() && !intent.payment_method_types.iter().any(|kind| kind == "us_bank_account") {
        intent.payment_method_types.push("us_bank_account".to_owned());
    }
    "requires_confirmation".clone_into(&mut intent.status);
}

async fn confirm(
    work: &mut Work<'_>,
    mut intent: PaymentIntent,
    card: TestCard,
    confirmation: &Confirmation,
) -> Result<Outcome, Failure> {
    intent.next_action = None;
    match card.verdict(confirmation.off_session) {
        Verdict::Approved => {
            pay(work, &mut intent).await?;
            Ok(Outcome::ok(intent.show()))
        }
        Verdict::Challenge => {
            "requires_action".clone_into(&mut intent.status);
            intent.next_action = Some(match &confirmation.return_url {
                // There is no bank to be sent to: the way leads straight back.
                Some(url) => {
                    json!({ "type": "redirect_to_url", "redirect_to_url": { "return_url": url, "url": url } })
                }
                None => json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } }),
            });
            update(work.connection, &intent).await?;
            work.happened("payment_intent.requires_action", intent.show());
            Ok(Outcome::ok(intent.show()))
        }
        Verdict::Debit => {
            let mut charge = charge(work, &intent).await?;
            let settles_at = work.now + seconds(work.rules.debit_delay);
            let (now, happened) = (work.now, &mut work.happened);
            settlement::begin_debit(work.connection, now, &mut intent, &mut charge, settles_at, happened).await?;
            Ok(Outcome::ok(intent.show()))
        }
        Verdict::Declined(decline) => {
            let error = decline_charge(work, &mut intent, decline).await?;
            Ok(Outcome { status: StatusCode::PAYMENT_REQUIRED, value: json!({ "error": error }) })
        }
    }
}

/// The bank approves.
async fn pay(work: &mut Work<'_>, intent: &mut PaymentIntent) -> Result<(), Failure> {
    let mut charge = charge(work, intent).await?;
    let (now, happened) = (work.now, &mut work.happened);
    settlement::succeed(work.connection, now, intent, &mut charge, happened).await?;
    if let Some(card) = charge.payment_method_token.as_deref().and_then(TestCard::get) {
        disputes::at_once(work, &charge, card).await?;
    }
    Ok(())
}

/// The bank declines: the error is that which the caller gets.
async fn decline_charge(work: &mut Work<'_>, intent: &mut PaymentIntent, decline: Decline) -> Result<Value, Failure> {
    let mut charge = charge(work, intent).await?;
    let (now, happened) = (work.now, &mut work.happened);
    Ok(settlement::fail(work.connection, now, intent, &mut charge, decline, happened).await?)
}

fn fee(work: &Work<'_>, amount: i64, currency: Currency) -> Result<i64, Refusal> {
    // Stripe has a minimum per currency for the same reason; ours follows from the fee.
    work.rules.fee.on(amount, currency).filter(|fee| *fee <= amount).ok_or_else(|| Refusal::Invalid {
        param: "amount".to_owned(),
        code: Some("amount_too_small"),
        message: "Amount is too small: the fee would exceed it.".to_owned(),
    })
}

fn seconds(delay: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(delay).unwrap_or_default()
}

/// An attempt to pay an intent, with what it will cost; a planned fault may make it another amount.
async fn charge(work: &mut Work<'_>, intent: &PaymentIntent) -> Result<Charge, Failure> {
    let code = work.twist.currency.unwrap_or(&intent.currency);
    let currency =
        Currency::get(code).ok_or_else(|| Refusal::invalid("currency", format!("Invalid currency: {code}")))?;
    let amount = work.twist.amount.unwrap_or(intent.amount);
    let settled = Settlement::of(work.connection, amount, currency).await?;
    let settled = settled.ok_or_else(|| Refusal::invalid("amount", "Amount is too large to be exchanged."))?;
    let card = intent.payment_method_token.as_deref().and_then(TestCard::get);
    let available_after = if card.is_some_and(TestCard::available_at_once) {
        TimeDelta::zero()
    } else {
        seconds(work.rules.availability_delay)
    };
    Ok(Charge {
        id: identifier::new("ch"),
        account_id: intent.account_id.clone(),
        payment_intent: Some(intent.id.clone()),
        source_transfer: None,
        amount,
        amount_refunded: 0,
        currency: currency.code.to_owned(),
        status: "pending".to_owned(),
        payment_method: intent.payment_method.clone(),
        payment_method_token: intent.payment_method_token.clone(),
        balance_transaction: None,
        description: intent.description.clone(),
        receipt_email: intent.receipt_email.clone(),
        statement_descriptor: intent.statement_descriptor.clone(),
        transfer_group: intent.transfer_group.clone(),
        failure_code: None,
        failure_message: None,
        decline_code: None,
        disputed: false,
        failure_balance_transaction: None,
        // The intent's metadata are copied to its charge, as at Stripe.
        metadata: intent.metadata.clone(),
        created_at: work.now,
        fee: fee(work, settled.amount, settled.currency)?,
        available_after_seconds: available_after.num_seconds(),
        booked_after_seconds: work.twist.booked_after_seconds,
        books_at: None,
    })
}
