//! Webhooks of Stripe: the signature, and what a notice is about.
//!
//! The scheme: <https://docs.stripe.com/webhooks#verify-manually>.

use domain::ports::provider::{ProviderNotice, ProviderObject};
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::Secret;

/// A notice is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// There is no signature.
    #[error("the notice has no Stripe-Signature")]
    MissingSignature,
    /// The signature's header cannot be read.
    #[error("the header Stripe-Signature cannot be read")]
    MalformedSignature,
    /// None of our secrets made the signature.
    #[error("the signature is not one of ours")]
    BadSignature,
    /// It was signed too long ago, or in the future.
    #[error("the signature is too old")]
    TooOld,
    /// Signed by Stripe, but not a notice that can be read.
    #[error("the notice cannot be read")]
    MalformedNotice,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    notice_type: String,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    api_version: Option<String>,
    livemode: bool,
    #[serde(default)]
    data: Data,
}

/// Absent in notices of Stripe's second API (`v2.core.event`).
#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    object: Value,
}

/// Verifies a notice against every active secret and reads its envelope. `now_unix` is wall time, in seconds.
///
/// Comparison takes the same time wherever the signatures differ. Types and fields that are not known are no error.
///
/// # Errors
/// [`WebhookError`]; the notice must then not be stored.
pub fn verify(
    raw: &[u8],
    signature: &str,
    secrets: &[Secret],
    now_unix: i64,
    tolerance_seconds: i64,
) -> Result<ProviderNotice, WebhookError> {
    if signature.is_empty() {
        return Err(WebhookError::MissingSignature);
    }
    let mut signed_at = None;
    let mut given = Vec::new();
    for part in signature.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => signed_at = value.parse::<i64>().ok(),
            Some(("v1", value)) => given.push(hex::decode(value).map_err(|_| WebhookError::MalformedSignature)?),
            // Other schemes may stand beside ours.
            Some(_) => {}
            None => return Err(WebhookError::MalformedSignature),
        }
    }
    let signed_at = signed_at.ok_or(WebhookError::MalformedSignature)?;
    // An empty secret is known to everybody.
    let genuine = secrets.iter().filter(|secret| !secret.expose().is_empty()).any(|secret| {
        given.iter().any(|signature| {
            // HMAC takes keys of any length.
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
                return false;
            };
            mac.update(signed_at.to_string().as_bytes());
            mac.update(b".");
            mac.update(raw);
            mac.verify_slice(signature).is_ok()
        })
    });
    if !genuine {
        return Err(WebhookError::BadSignature);
    }
    if now_unix.saturating_sub(signed_at).saturating_abs() > tolerance_seconds {
        return Err(WebhookError::TooOld);
    }
    read(raw, None)
}

/// Reads a notice that was verified before, or that the provider was asked for. `account` says whose it is when the notice
/// itself does not.
///
/// # Errors
/// [`WebhookError::MalformedNotice`].
pub fn read(raw: &[u8], account: Option<&str>) -> Result<ProviderNotice, WebhookError> {
    let mut envelope: Envelope = serde_json::from_slice(raw).map_err(|_| WebhookError::MalformedNotice)?;
    if envelope.account.is_none() {
        envelope.account = account.map(str::to_owned);
    }
    let object_ref = envelope.data.object.get("id").and_then(Value::as_str).map(str::to_owned);
    let names = [Some(&envelope.id), Some(&envelope.notice_type), envelope.account.as_ref()];
    let others = [envelope.api_version.as_ref(), object_ref.as_ref()];
    // Postgres holds no NUL, and no name of Stripe's is empty or has control characters.
    let odd = |name: &&String| name.is_empty() || name.chars().any(char::is_control);
    if names.iter().chain(&others).flatten().any(odd) {
        return Err(WebhookError::MalformedNotice);
    }
    Ok(ProviderNotice {
        object: about(&envelope.notice_type, object_ref.as_deref(), envelope.account.as_deref()),
        notice_id: envelope.id,
        notice_type: envelope.notice_type,
        account: envelope.account,
        object_ref,
        livemode: envelope.livemode,
        api_version: envelope.api_version,
    })
}

/// What to look up because of a notice; `None` for kinds that tell us nothing.
fn about(notice_type: &str, id: Option<&str>, account: Option<&str>) -> Option<ProviderObject> {
    let (kind, _) = notice_type.split_once('.')?;
    // Whatever happened to a payee's account or its balance: the account tells what is so. Some of these are about other
    // objects, such as a bank account, or about none that has an id.
    if let ("account" | "capability" | "balance", Some(account)) = (kind, account) {
        let deauthorized = notice_type == "account.application.deauthorized";
        return Some(ProviderObject::Account { account: account.to_owned(), deauthorized });
    }
    let id = id?.to_owned();
    match (kind, account) {
        ("payment_intent", None) => Some(ProviderObject::Payment { payment_ref: id }),
        ("refund", None) => Some(ProviderObject::Refund { refund_ref: id }),
        // `charge.refund.updated` is about the refund. Those of payments that are no card charges are `pyr_`.
        ("charge", None) if id.starts_with("re_") || id.starts_with("pyr_") => {
            Some(ProviderObject::Refund { refund_ref: id })
        }
        // `charge.dispute.…` is about the dispute, `radar.early_fraud_warning.…` about the warning.
        ("charge", None) if id.starts_with("dp_") || id.starts_with("du_") => {
            Some(ProviderObject::Dispute { dispute_ref: id })
        }
        ("radar", None) if id.starts_with("issfr_") => Some(ProviderObject::FraudWarning { warning_ref: id }),
        ("charge", None) if id.starts_with("ch_") || id.starts_with("py_") => {
            Some(ProviderObject::Charge { charge_ref: id })
        }
        ("transfer", None) => Some(ProviderObject::Transfer { transfer_ref: id }),
        ("payout", Some(account)) => {
            Some(ProviderObject::BankPayout { bank_payout_ref: id, account: account.to_owned() })
        }
        ("payout", None) => Some(ProviderObject::PlatformPayout { bank_payout_ref: id }),
        ("topup", None) => Some(ProviderObject::TopUp { top_up_ref: id }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn signed(body: &str, secret: &str, at: i64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}.{body}").as_bytes());
        let hex = mac.finalize().into_bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        format!("t={at},v1={hex}")
    }

    fn body() -> String {
        r#"{"id":"evt_1","type":"payment_intent.succeeded","livemode":false,"api_version":"2026-01-01","data":{"object":{"id":"pi_1","object":"payment_intent"}}}"#.to_owned()
    }

    fn secrets() -> Vec<Secret> {
        vec![Secret::new("whsec_new"), Secret::new("whsec_old")]
    }

    #[test]
    fn any_active_secret_will_do() {
        for secret in ["whsec_new", "whsec_old"] {
            let notice = verify(body().as_bytes(), &signed(&body(), secret, NOW), &secrets(), NOW + 299, 300).unwrap();
            assert_eq!(notice.notice_id, "evt_1");
            assert_eq!(notice.object, Some(ProviderObject::Payment { payment_ref: "pi_1".to_owned() }));
        }
    }

    #[test]
    fn what_is_not_signed_by_us_and_lately_is_refused() {
        let check = |body: &str, signature: &str| verify(body.as_bytes(), signature, &secrets(), NOW, 300);
        let good = signed(&body(), "whsec_new", NOW);
        assert_eq!(check(&body(), ""), Err(WebhookError::MissingSignature));
        assert_eq!(check(&body(), "nonsense"), Err(WebhookError::MalformedSignature));
        assert_eq!(check(&body(), "t=x,v1=00"), Err(WebhookError::MalformedSignature));
        assert_eq!(check(&body(), "t=1,v1=0g"), Err(WebhookError::MalformedSignature));
        assert_eq!(check(&body(), &signed(&body(), "whsec_other", NOW)), Err(WebhookError::BadSignature));
        assert_eq!(check(&body().replace("pi_1", "pi_2"), &good), Err(WebhookError::BadSignature));
        assert_eq!(check(&body(), &signed(&body(), "whsec_new", NOW - 301)), Err(WebhookError::TooOld));
        assert_eq!(check(&body(), &signed(&body(), "whsec_new", NOW + 301)), Err(WebhookError::TooOld));
        assert_eq!(check("[]", &signed("[]", "whsec_new", NOW)), Err(WebhookError::MalformedNotice));
    }

    /// `process-managers.md` C.2: what happens to a payee's account leads to the account, whatever object the notice shows.
    #[test]
    fn notices_of_a_payees_account_lead_to_it() {
        let account = |kind: &str, object: &str| {
            let body = format!(
                r#"{{"id":"evt_1","type":"{kind}","livemode":false,"account":"acct_1","data":{{"object":{object}}}}}"#
            );
            read(body.as_bytes(), None).unwrap().object
        };
        let to_account = |deauthorized| Some(ProviderObject::Account { account: "acct_1".to_owned(), deauthorized });
        for (kind, object) in [
            ("account.updated", r#"{"id":"acct_1"}"#),
            ("account.external_account.updated", r#"{"id":"ba_1"}"#),
            ("account.application.deauthorized", r#"{"id":"ca_1"}"#),
            ("capability.updated", r#"{"id":"transfers"}"#),
            ("balance.available", r#"{"object":"balance"}"#),
        ] {
            let deauthorized = kind == "account.application.deauthorized";
            assert_eq!(account(kind, object), to_account(deauthorized), "{kind}");
        }
        let payout = ProviderObject::BankPayout { bank_payout_ref: "po_1".to_owned(), account: "acct_1".to_owned() };
        assert_eq!(account("payout.failed", r#"{"id":"po_1"}"#), Some(payout));
    }

    #[test]
    fn a_dispute_and_a_warning_are_looked_up_themselves() {
        let dispute = |id: &str| Some(ProviderObject::Dispute { dispute_ref: id.to_owned() });
        let warning = Some(ProviderObject::FraudWarning { warning_ref: "issfr_1".to_owned() });
        for (kind, id, account, object) in [
            ("charge.dispute.created", "dp_1", None, dispute("dp_1")),
            ("charge.dispute.closed", "du_1", None, dispute("du_1")),
            ("charge.dispute.closed", "du_1", Some("acct_1"), None),
            ("radar.early_fraud_warning.created", "issfr_1", None, warning),
            ("radar.rule.created", "rule_1", None, None),
        ] {
            assert_eq!(about(kind, Some(id), account), object, "{kind}");
        }
    }

    #[test]
    fn kinds_that_tell_nothing_are_taken_and_left() {
        let body = body().replace("payment_intent.succeeded", "customer.created");
        let notice = verify(body.as_bytes(), &signed(&body, "whsec_new", NOW), &secrets(), NOW, 300).unwrap();
        assert_eq!(notice.object, None);
    }

    /// `process-managers.md` C.2: every event that the guide says to subscribe to leads to an object.
    #[test]
    fn what_is_subscribed_to_is_looked_up() {
        let guide = include_str!("../../../docs/stripe.md");
        let (_, list) = guide.split_once("Subscribe to:").unwrap();
        let (list, _) = list.split_once("What no webhook tells").unwrap();
        let (platform, connect) = list.split_once("- connect:").unwrap();
        let ids = [
            ("charge.refund.", "re_1"),
            ("charge.dispute.", "dp_1"),
            ("charge.", "ch_1"),
            ("payment_intent.", "pi_1"),
            ("refund.", "re_1"),
            ("radar.", "issfr_1"),
            ("transfer.", "tr_1"),
            ("payout.", "po_1"),
            ("topup.", "tu_1"),
            ("", "x_1"),
        ];
        for (events, account, least) in [(platform, None, 30), (connect, Some("acct_1"), 12)] {
            let names: Vec<&str> = events.split('`').skip(1).step_by(2).collect();
            assert!(names.len() >= least, "{names:?}");
            for name in names {
                let (_, id) = ids.into_iter().find(|(kind, _)| name.starts_with(kind)).unwrap();
                assert!(about(name, Some(id), account).is_some(), "{name}");
            }
        }
    }
}
