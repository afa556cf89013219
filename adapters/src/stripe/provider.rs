//! Orders carried out and objects looked up at Stripe.

mod history;

use std::collections::HashMap;
use std::time::Duration;

use ::stripe::{ApiErrorsType, IdempotencyKey, RequestStrategy, StripeRequest};
use chrono::{DateTime, Utc};
use domain::exchange::Settled;
use domain::ports::PaymentProvider;
use domain::ports::mandate::Mandate;
use domain::ports::provider::{
    BankPayoutReport, BankPayoutStatus, PaymentReport, PaymentStatus, ProviderError, ProviderObject, ProviderOrder,
    ProviderReport, Receipt, TransferReport,
};
use ledger::{Currency, Minor};
use stripe_connect::transfer::RetrieveTransfer;
use stripe_core::charge::RetrieveCharge;
use stripe_core::payment_intent::{
    CancelPaymentIntent, CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods,
    CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects, CreatePaymentIntentMandateData,
    CreatePaymentIntentMandateDataCustomerAcceptance, CreatePaymentIntentMandateDataCustomerAcceptanceType,
    OnlineParam, RetrievePaymentIntent,
};
use stripe_core::payout::RetrievePayout;
use stripe_shared::{
    AccountId, ApiErrors, ApiErrorsCode, BalanceTransaction, Charge, PaymentIntent, PaymentIntentStatus, Payout,
    Transfer,
};
use stripe_types::Expandable;

use super::transport::{Client, StripeError};
use super::{Secret, account, dispute, failure, payout, refund, treasury};

/// Longest that a call may take. Stripe answers within a few seconds, bank authorisation included.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Where Stripe's API is.
const STRIPE: &str = "https://api.stripe.com";

/// What a report of a payment needs beside the payment.
const EXPAND: &str = "latest_charge.balance_transaction";

/// What a report of a payment needs that a bank may have returned.
const EXPAND_RETURN: &str = "latest_charge.failure_balance_transaction";

/// Calls per second that stay below Stripe's limits, which are 100 with a live key and 25 with a test key
/// (<https://docs.stripe.com/rate-limits>), and leave room for others who use the account.
const LIVE_CALLS_PER_SECOND: u32 = 80;
/// See [`LIVE_CALLS_PER_SECOND`].
const TEST_CALLS_PER_SECOND: u32 = 20;

/// How to reach Stripe.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// Where its API is, without `/v1`; Stripe itself when absent.
    pub base_url: Option<String>,
    /// The platform's secret key.
    pub secret_key: Secret,
}

/// Stripe, or whatever speaks like it.
#[derive(Debug, Clone)]
pub struct StripeProvider {
    client: Client,
    calls_per_second: Option<u32>,
    return_url: Option<String>,
}

impl StripeProvider {
    /// A client. It connects when the first call is made.
    ///
    /// # Errors
    /// [`ProviderError::Unusable`] when URL or key cannot be used in a request.
    pub fn new(config: &StripeConfig) -> Result<Self, ProviderError> {
        let live = ["sk_live_", "rk_live_"].iter().any(|live| config.secret_key.expose().starts_with(live));
        let calls = if live { LIVE_CALLS_PER_SECOND } else { TEST_CALLS_PER_SECOND };
        // What is not Stripe has no limit that we know.
        let calls_per_second = config.base_url.is_none().then_some(calls);
        let base_url = config.base_url.as_deref().unwrap_or(STRIPE);
        if !base_url.starts_with("https://") && (live || !base_url.starts_with("http://")) {
            let why = "the provider's URL has to be http:// or https://, and https:// for a live key";
            return Err(ProviderError::Unusable(why.to_owned()));
        }
        let base_url = format!("{}/", base_url.trim_end_matches('/'));
        let client = Client::new(&base_url, config.secret_key.expose(), TIMEOUT);
        let client = client.map_err(|why| ProviderError::Unusable(why.to_owned()))?;
        // What is not Stripe leads nobody astray: its pages come back to itself.
        let return_url = config.base_url.clone();
        Ok(Self { client, calls_per_second, return_url })
    }

    /// Where payees come back to from Stripe's own pages, `https://` for a live key. Without it no such link is made at
    /// Stripe itself.
    #[must_use]
    pub fn returning_to(self, return_url: Option<String>) -> Self {
        Self { return_url: return_url.or(self.return_url), ..self }
    }

    fn return_url(&self) -> Result<&str, ProviderError> {
        let missing =
            || ProviderError::Unusable("no address for payees to come back to (--onboarding-return-url)".to_owned());
        self.return_url.as_deref().ok_or_else(missing)
    }

    async fn payment(&self, payment_ref: &str) -> Result<ProviderReport, ProviderError> {
        let request = RetrievePaymentIntent::new(reference(payment_ref)?)
            .expand(vec![EXPAND.to_owned(), EXPAND_RETURN.to_owned()]);
        payment_report(&request.send(&self.client).await.map_err(|error| failure::of(&error))?)
    }

    async fn bank_payout(&self, bank_payout_ref: &str, account: &str) -> Result<ProviderReport, ProviderError> {
        let payout = RetrievePayout::new(reference(bank_payout_ref)?)
            .customize()
            .account_id(account_id(account)?)
            .send(&self.client)
            .await
            .map_err(|error| failure::of(&error))?;
        payout_report(&payout, account)
    }
}

/// A reference becomes part of a path: anything but Stripe's own letters would lead elsewhere.
pub(super) fn reference(text: &str) -> Result<&str, ProviderError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.is_empty() || text.len() > 255 || !text.bytes().all(plain) {
        return Err(ProviderError::Unusable("not a reference of the provider's".to_owned()));
    }
    Ok(text)
}

/// A request to be tried once, under our key.
pub(super) fn once(key: &str) -> Result<RequestStrategy, ProviderError> {
    let key = IdempotencyKey::new(key).map_err(|_| ProviderError::Unusable("the idempotency key".to_owned()))?;
    Ok(RequestStrategy::Idempotent(key))
}

pub(super) fn account_id(account: &str) -> Result<AccountId, ProviderError> {
    account.parse().map_err(|_| ProviderError::Unusable("the account's id".to_owned()))
}

pub(super) fn to_stripe(currency: Currency) -> Result<stripe_types::Currency, ProviderError> {
    currency
        .code()
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| ProviderError::Unusable(format!("{currency} is not a currency of the provider")))
}

pub(super) fn from_stripe(currency: &stripe_types::Currency) -> Result<Currency, ProviderError> {
    let code = currency.to_string().to_ascii_uppercase();
    code.parse().map_err(|_| ProviderError::Unusable(format!("unknown currency {code}")))
}

pub(super) fn units(amount: Minor, currency: Currency) -> Result<i64, ProviderError> {
    currency.psp_units(amount).map_err(|error| ProviderError::Unusable(error.to_string()))
}

pub(super) fn minor(units: i64, currency: Currency) -> Result<Minor, ProviderError> {
    currency.from_psp_units(units).map_err(|error| ProviderError::Unusable(error.to_string()))
}

pub(super) fn instant(seconds: i64) -> Result<DateTime<Utc>, ProviderError> {
    DateTime::from_timestamp(seconds, 0).ok_or_else(|| ProviderError::Unusable("an instant out of range".to_owned()))
}

impl PaymentProvider for StripeProvider {
    async fn carry_out(&self, order: &ProviderOrder, idempotency_key: &str) -> Result<ProviderReport, ProviderError> {
        match order {
            ProviderOrder::CollectPayment { funding_id, contract_id, amount, currency, payment_method, mandate } => {
                let mut metadata = HashMap::from([("funding_id".to_owned(), funding_id.to_string())]);
                let mut payment = CreatePaymentIntent::new(units(*amount, *currency)?, to_stripe(*currency)?)
                    .payment_method(payment_method.as_str())
                    .automatic_payment_methods(CreatePaymentIntentAutomaticPaymentMethods {
                        // Nobody is there to be sent to another site and back.
                        allow_redirects: Some(CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never),
                        enabled: true,
                    })
                    .confirm(true)
                    .expand(vec![EXPAND.to_owned()]);
                if let Some(contract_id) = contract_id {
                    metadata.insert("contract_id".to_owned(), contract_id.to_string());
                    payment = payment.transfer_group(contract_id.to_string());
                }
                if let Some(mandate) = mandate {
                    payment = payment.mandate_data(mandate_data(mandate));
                }
                let sent = payment
                    .metadata(metadata)
                    .customize()
                    .request_strategy(once(idempotency_key)?)
                    .send(&self.client)
                    .await;
                match sent {
                    Ok(payment) => payment_report(&payment),
                    Err(StripeError::Stripe(error, 402, _)) if error.type_ == ApiErrorsType::CardError => {
                        match &error.payment_intent {
                            // The error shows the payment unexpanded; in a state that is no failure, all of it is needed.
                            Some(payment) if payment.status != PaymentIntentStatus::RequiresPaymentMethod => {
                                self.payment(&payment.id).await
                            }
                            _ => declined(&error, *funding_id),
                        }
                    }
                    Err(error) => Err(failure::of(&error)),
                }
            }
            ProviderOrder::CancelPayment { payment_ref, .. } => {
                let sent = CancelPaymentIntent::new(reference(payment_ref)?)
                    .customize()
                    .request_strategy(once(idempotency_key)?)
                    .send(&self.client)
                    .await;
                match sent {
                    Ok(payment) => payment_report(&payment),
                    // Past calling off: what it has become is known here before any webhook tells it.
                    Err(StripeError::Stripe(error, 400, _))
                        if error.code == Some(ApiErrorsCode::PaymentIntentUnexpectedState) =>
                    {
                        self.payment(payment_ref).await
                    }
                    Err(error) => Err(failure::of(&error)),
                }
            }
            ProviderOrder::Refund { refund_id, charge_ref, amount, currency, .. } => {
                let amount = units(*amount, *currency)?;
                refund::create(&self.client, *refund_id, charge_ref, amount, idempotency_key).await
            }
            ProviderOrder::ReadRefund { refund_ref, .. } => refund::look_up(&self.client, refund_ref).await,
            ProviderOrder::ReadReceipt { payment_ref, .. } => self.payment(payment_ref).await,
            ProviderOrder::MoveToPayee { payout_id, payee_id, amount, currency, account } => {
                let money = (*amount, *currency);
                payout::transfer(&self.client, (*payout_id, *payee_id), money, account, idempotency_key).await
            }
            ProviderOrder::PayToBank { payout_id, amount, currency, account } => {
                payout::pay(&self.client, *payout_id, (*amount, *currency), account, idempotency_key).await
            }
            ProviderOrder::ReadBankPayout { bank_payout_ref, account, .. } => {
                self.bank_payout(bank_payout_ref, account).await
            }
            ProviderOrder::SubmitEvidence { dispute_ref, evidence, words, .. } => {
                dispute::submit(&self.client, dispute_ref, evidence, words.as_deref(), idempotency_key).await
            }
            ProviderOrder::CloseDispute { dispute_ref, .. } => {
                dispute::close(&self.client, dispute_ref, idempotency_key).await
            }
            ProviderOrder::CreateAccount { party_id, country, .. } => {
                Box::pin(account::create(&self.client, *party_id, country, idempotency_key)).await
            }
            ProviderOrder::CreateOnboardingLink { link_id, account, .. } => {
                account::link(&self.client, (*link_id, account), self.return_url()?, idempotency_key).await
            }
            ProviderOrder::SetDestination { party_id, account, currency, token, .. } => {
                let bank = (*currency, token.as_str());
                Box::pin(account::set_destination(&self.client, (*party_id, account), bank, idempotency_key)).await
            }
            ProviderOrder::ReadAccount { party_id, account } => {
                Box::pin(account::read(&self.client, Some(*party_id), account)).await
            }
            ProviderOrder::ReverseTransfer { reversal_id, payout_id, transfer_ref, amount, currency, .. } => {
                let (ids, money) = ((*reversal_id, *payout_id), (*amount, *currency));
                payout::reverse(&self.client, ids, transfer_ref, money, idempotency_key).await
            }
            ProviderOrder::TopUp { top_up_id, amount, currency } => {
                treasury::top_up(&self.client, *top_up_id, *amount, *currency, idempotency_key).await
            }
            ProviderOrder::PayPlatform { sweep_id, amount, currency } => {
                treasury::pay_platform(&self.client, *sweep_id, *amount, *currency, idempotency_key).await
            }
        }
    }

    async fn look_up(&self, object: &ProviderObject) -> Result<ProviderReport, ProviderError> {
        match object {
            ProviderObject::Payment { payment_ref } => self.payment(payment_ref).await,
            ProviderObject::Charge { charge_ref } => {
                let charge = RetrieveCharge::new(reference(charge_ref)?)
                    .send(&self.client)
                    .await
                    .map_err(|error| failure::of(&error))?;
                match charge.payment_intent {
                    Some(payment) => self.payment(payment.id()).await,
                    None => Err(ProviderError::Unusable("a charge without a payment".to_owned())),
                }
            }
            ProviderObject::Refund { refund_ref } => refund::look_up(&self.client, refund_ref).await,
            ProviderObject::Transfer { transfer_ref } => transfer_report(
                &RetrieveTransfer::new(reference(transfer_ref)?)
                    .send(&self.client)
                    .await
                    .map_err(|error| failure::of(&error))?,
            ),
            ProviderObject::BankPayout { bank_payout_ref, account } => self.bank_payout(bank_payout_ref, account).await,
            ProviderObject::Dispute { dispute_ref } => dispute::look_up(&self.client, dispute_ref).await,
            ProviderObject::FraudWarning { warning_ref } => dispute::look_up_warning(&self.client, warning_ref).await,
            ProviderObject::Account { account, deauthorized } => {
                Box::pin(account::look_up(&self.client, account, *deauthorized)).await
            }
            ProviderObject::TransferReversal { transfer_ref, reversal_ref } => {
                payout::look_up_reversal(&self.client, transfer_ref, reversal_ref).await
            }
            ProviderObject::TopUp { top_up_ref } => treasury::look_up_top_up(&self.client, top_up_ref).await,
            ProviderObject::PlatformPayout { bank_payout_ref } => {
                treasury::look_up_payout(&self.client, bank_payout_ref).await
            }
        }
    }

    async fn platform(&self) -> Result<Option<String>, ProviderError> {
        Box::pin(account::platform(&self.client)).await.map(Some)
    }
}

/// What Stripe wants to know of a consent (<https://docs.stripe.com/payments/ach-direct-debit/accept-a-payment>, the same for
/// SEPA): without it a debit is not taken.
fn mandate_data(mandate: &Mandate) -> CreatePaymentIntentMandateData {
    CreatePaymentIntentMandateData::new(CreatePaymentIntentMandateDataCustomerAcceptance {
        accepted_at: Some(mandate.accepted_at.timestamp()),
        offline: None,
        online: Some(OnlineParam::new(mandate.ip_address.to_string(), mandate.user_agent.as_str())),
        type_: CreatePaymentIntentMandateDataCustomerAcceptanceType::Online,
    })
}

fn code(error: &ApiErrors) -> String {
    error.code.as_ref().map_or_else(|| error.type_.to_string(), ToString::to_string)
}

/// A declined card is not an error: the payment exists, and has failed.
fn declined(error: &ApiErrors, funding_id: domain::id::FundingId) -> Result<ProviderReport, ProviderError> {
    let code = error.decline_code.clone().unwrap_or_else(|| code(error));
    match &error.payment_intent {
        Some(payment) => Ok(ProviderReport::Payment(PaymentReport {
            payment_ref: payment.id.to_string(),
            funding_id: Some(funding_id),
            status: PaymentStatus::Failed { code },
        })),
        None => Err(ProviderError::Refused { code }),
    }
}

fn payment_report(payment: &PaymentIntent) -> Result<ProviderReport, ProviderError> {
    use PaymentIntentStatus as S;
    let status = match &payment.status {
        S::Succeeded => succeeded(payment)?,
        S::Processing => PaymentStatus::Processing,
        S::RequiresAction => PaymentStatus::ActionRequired,
        S::Canceled => PaymentStatus::Cancelled,
        S::RequiresPaymentMethod if payment.last_payment_error.is_some() => {
            if let Some(returned) = returned(payment)? {
                return Ok(report_of(payment, returned));
            }
            let code = payment
                .last_payment_error
                .as_ref()
                .map(|error| error.decline_code.clone().unwrap_or_else(|| code(error)));
            PaymentStatus::Failed { code: code.unwrap_or_default() }
        }
        S::RequiresPaymentMethod | S::RequiresConfirmation => PaymentStatus::Created,
        other => return Err(ProviderError::Unusable(format!("unknown status {other}"))),
    };
    Ok(report_of(payment, status))
}

fn report_of(payment: &PaymentIntent, status: PaymentStatus) -> ProviderReport {
    ProviderReport::Payment(PaymentReport {
        payment_ref: payment.id.to_string(),
        funding_id: payment.metadata.get("funding_id").and_then(|id| id.parse().ok()),
        status,
    })
}

fn succeeded(payment: &PaymentIntent) -> Result<PaymentStatus, ProviderError> {
    let Some(Expandable::Object(charge)) = &payment.latest_charge else {
        return Err(ProviderError::Unusable("a payment that succeeded without its charge".to_owned()));
    };
    collected(charge, payment.amount_received, from_stripe(&payment.currency)?)
}

/// What a charge has brought.
fn collected(charge: &Charge, amount: i64, currency: Currency) -> Result<PaymentStatus, ProviderError> {
    Ok(PaymentStatus::Succeeded {
        charge_ref: charge.id.to_string(),
        captured: minor(amount, currency)?,
        currency,
        collected_at: instant(charge.created)?,
        receipt: receipt(charge)?,
    })
}

/// A charge that failed after it had succeeded: the bank has taken the money back.
fn returned(payment: &PaymentIntent) -> Result<Option<PaymentStatus>, ProviderError> {
    let Some(Expandable::Object(charge)) = &payment.latest_charge else { return Ok(None) };
    let booked = match &charge.failure_balance_transaction {
        None => return Ok(None),
        Some(Expandable::Object(booked)) => booked,
        Some(Expandable::Id(_)) => {
            return Err(ProviderError::Unusable("a balance transaction that was not expanded".to_owned()));
        }
    };
    let (moved_in, currency) = (from_stripe(&booked.currency)?, from_stripe(&charge.currency)?);
    let moved = minor(booked.amount.saturating_abs(), moved_in)?;
    // A bank returns the whole of a debit; what it took is told in the currency in which Stripe settles.
    let (amount, settled) = if moved_in == currency {
        (moved, None)
    } else {
        (minor(charge.amount, currency)?, Some(Settled { amount: moved, currency: moved_in }))
    };
    Ok(Some(PaymentStatus::Returned {
        amount,
        currency,
        balance_transaction_ref: booked.id.to_string(),
        booked_on: instant(booked.created)?.date_naive(),
        code: charge.failure_code.clone().unwrap_or_else(|| "unknown".to_owned()),
        settled,
        collected: Some(Box::new(collected(charge, charge.amount, from_stripe(&charge.currency)?)?)),
    }))
}

fn receipt(charge: &Charge) -> Result<Option<Receipt>, ProviderError> {
    let booked: &BalanceTransaction = match &charge.balance_transaction {
        None => return Ok(None), // Captured asynchronously: booked some moments later.
        Some(Expandable::Object(booked)) => booked,
        Some(Expandable::Id(_)) => {
            return Err(ProviderError::Unusable("a balance transaction that was not expanded".to_owned()));
        }
    };
    let available = match booked.status.as_str() {
        "available" => true,
        "pending" => false,
        other => return Err(ProviderError::Unusable(format!("unknown status {other}"))),
    };
    let currency = from_stripe(&booked.currency)?;
    Ok(Some(Receipt {
        balance_transaction_ref: booked.id.to_string(),
        fee: minor(booked.fee, currency)?,
        net: minor(booked.net, currency)?,
        currency,
        booked_on: instant(booked.created)?.date_naive(),
        available_on: instant(booked.available_on)?,
        available,
    }))
}

pub(super) fn transfer_report(transfer: &Transfer) -> Result<ProviderReport, ProviderError> {
    let currency = from_stripe(&transfer.currency)?;
    // Those of ours carry our id. Stripe shows the newest ten with the transfer.
    let ours = |metadata: &HashMap<String, String>| metadata.contains_key("reversal_id");
    let by_hand = transfer.reversals.data.iter().filter(|reversal| !reversal.metadata.as_ref().is_some_and(ours));
    let by_hand = by_hand.fold(0_i64, |sum, reversal| sum.saturating_add(reversal.amount));
    Ok(ProviderReport::Transfer(TransferReport {
        transfer_ref: transfer.id.to_string(),
        payout_id: transfer.metadata.get("payout_id").and_then(|id| id.parse().ok()),
        amount: minor(transfer.amount, currency)?,
        currency,
        reversed_by_hand: minor(by_hand, currency)?,
    }))
}

/// How far a payout is, of whatever account.
pub(super) fn payout_status(payout: &Payout) -> Result<BankPayoutStatus, ProviderError> {
    let arrival_at = instant(payout.arrival_date)?;
    Ok(match payout.status.as_str() {
        "pending" => BankPayoutStatus::Pending { arrival_at },
        "in_transit" => BankPayoutStatus::InTransit { arrival_at },
        "paid" => BankPayoutStatus::Paid,
        "failed" => {
            BankPayoutStatus::Failed { code: payout.failure_code.clone().unwrap_or_else(|| "unknown".to_owned()) }
        }
        "canceled" => BankPayoutStatus::Cancelled,
        other => return Err(ProviderError::Unusable(format!("unknown status {other}"))),
    })
}

pub(super) fn payout_report(payout: &Payout, account: &str) -> Result<ProviderReport, ProviderError> {
    Ok(ProviderReport::BankPayout(BankPayoutReport {
        bank_payout_ref: payout.id.to_string(),
        payout_id: payout.metadata.as_ref().and_then(|metadata| metadata.get("payout_id")?.parse().ok()),
        account: account.to_owned(),
        status: payout_status(payout)?,
    }))
}
